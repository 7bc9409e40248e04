// Package ssl is TLS as the configuration has it: the words of bind, server and
// crt-list lines, the global defaults, which certificate is served to whom, and
// how certificates of peers are verified. It makes the tls.Config that a
// connection begins its handshake with; package transport runs the handshake
// and package certs keeps the certificates.
//
// What OpenSSL can do and Go's crypto/tls cannot is refused with the reason
// where leaving it out would allow what was forbidden, and left out with a
// warning where it would not.
package ssl
