// Package http2 is the HTTP/2 protocol (RFC 9113) with its header compression
// (RFC 7541) as a machine without I/O: bytes from the peer are fed in, messages
// and events come out to an [Owner], and bytes for the peer are taken from a
// queue. A [Conn] plays either role: a server, whose peer opens streams, or a
// client, which opens them itself.
//
// It owns the framing, the streams' states, both directions of flow control,
// the order in which streams may send, the compression state, and the bounds
// that a hostile peer meets. It never reads or writes a socket, looks at a clock,
// starts a coroutine, takes a lock or logs. A Conn belongs to one reactor.
//
// In the steady state it does not allocate: received bodies and output are held
// in buffers of the owner, streams are pooled, and heads are decoded into the
// memory of the messages they become.
package http2
