// Package transport is a connection as the layers above see it: bytes, in clear
// or under TLS, with the same methods either way.
//
// A [Conn] is a descriptor on a reactor with an optional secure layer.
// crypto/tls runs on the reactor unchanged: during the handshake its reads park
// the coroutine; afterwards reads never wait (they fail with a temporary error
// that crypto/tls does not remember) and writes never wait either: what the
// socket does not take stays in a buffer that the writer flushes. Nothing is
// ever parked while crypto/tls holds one of its locks, so that two coroutines
// may read and write one connection.
//
// The package chooses no certificate and no parameter: those come with the
// tls.Config. It never reads a file.
package transport
