// Package http1 is the HTTP/1 codec: pure functions between byte slices and
// the heads of package message, and a decoder of chunked bodies.
//
// It owns the syntax of HTTP/1 (RFC 9112), the strictness towards it, and the
// framing that follows from a head. It does no I/O, keeps nothing between
// calls except the state of a chunked body, starts nothing, and never decides
// about connections: it says what the peer asked for, and writes what it is
// told.
package http1
