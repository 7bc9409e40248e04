package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// sink is where the data of one direction goes: behind a head, or into a tunnel.
type sink interface {
	// Send takes p, with the trailers if it is the last. It may keep them until
	// Flush, unless they are the last, and waits as needed.
	Send(p []byte, last bool, trailers []message.Field) error
	// Flush sends what was kept. more tells that more is at hand.
	Flush(more bool) error
	// holds tells whether something was kept: nobody may park, or use the
	// reactor's scratch, before it was flushed.
	holds() bool
}

// h1Sink is a connection of HTTP/1, or of a tunnel.
type h1Sink struct {
	st      *Stream
	conn    *transport.Conn
	out     []byte          // kept, in the reactor's scratch
	framing message.Framing // of what is sent
	client  bool            // it is the client's connection
	fin     bool            // the connection ends after the message
}

// gatherBelow is the size of pieces from which on they are not copied to be sent
// together with others.
const gatherBelow = 4096

// request keeps the head of a request.
func (k *h1Sink) request(req *message.Request, opt http1.WriteOptions) {
	k.out = http1.AppendRequest(k.st.R.Scratch[:0], req, opt)
}

// response keeps the head of a response.
func (k *h1Sink) response(res *message.Response, opt http1.WriteOptions) {
	k.out = http1.AppendResponse(k.st.R.Scratch[:0], res, opt)
}

func (k *h1Sink) holds() bool { return len(k.out) > 0 }

// buffer is what is kept, with room.
func (k *h1Sink) buffer() []byte {
	if k.out == nil {
		k.out = k.st.R.Scratch[:0]
	}
	return k.out
}

// Send is of sink.
func (k *h1Sink) Send(p []byte, last bool, trailers []message.Field) error {
	var direct []byte // sent from where it is
	switch {
	case len(p) == 0:
	case k.framing == message.Chunked:
		if err := k.sendChunks(p); err != nil {
			return err
		}
	case len(p) < gatherBelow && len(p) <= cap(k.buffer())-len(k.out):
		k.out = append(k.out, p...)
	default:
		direct = p
	}
	if last && k.framing == message.Chunked {
		if len(trailers) == 0 {
			k.out = append(k.buffer(), http1.ChunkEnd...)
		} else {
			k.out = http1.AppendTrailers(k.buffer(), trailers)
		}
	}
	if !last && direct == nil {
		return nil
	}
	err := k.write(direct, last && k.fin && !k.st.h1.unheard()) // the FIN goes along
	if last && err == nil && k.framing == message.Tunnel {
		k.conn.CloseWrite()
	}
	return err
}

// sendChunks keeps p as chunks that are as large as fit.
func (k *h1Sink) sendChunks(p []byte) error {
	for len(p) > 0 {
		// "hex\r\n" data "\r\n"
		room := cap(k.buffer()) - len(k.out) - 32
		if room < 512 && len(k.out) > 0 {
			if err := k.write(nil, true); err != nil {
				return err
			}
			continue
		}
		n := min(room, len(p))
		k.out = http1.AppendChunkHeader(k.out, int64(n))
		k.out = append(k.out, p[:n]...)
		k.out = append(k.out, '\r', '\n')
		p = p[n:]
	}
	return nil
}

// Flush is of sink.
func (k *h1Sink) Flush(more bool) error { return k.write(nil, more) }

// write sends what was kept, and p.
func (k *h1Sink) write(p []byte, more bool) error {
	st, out := k.st, k.out
	k.out = nil
	n := len(out) + len(p)
	if n == 0 {
		return nil
	}
	if err := st.write(k.conn, out, p, moreIf(more), st.writeTimeout(k.client)); err != nil {
		return err
	}
	st.moved(k.client, int64(n))
	return nil
}

// came counts bytes that were received.
func (st *Stream) came(fromClient bool, n int64) {
	if fromClient {
		st.ReqIn += n
	} else {
		st.ResIn += n
	}
}

// moved counts bytes that were sent.
func (st *Stream) moved(toClient bool, n int64) {
	if toClient {
		st.ResOut += n
	} else {
		st.ReqOut += n
	}
	st.activity = st.R.Now()
}

const msgMore = reactor.More

func moreIf(more bool) int {
	if more {
		return msgMore
	}
	return 0
}

// write sends a, which may be the reactor's scratch, then b, waiting as needed.
// timeout is the longest time without progress in nanoseconds.
func (st *Stream) write(fd *transport.Conn, a, b []byte, flags int, timeout int64) error {
	if fd.TLS != nil {
		return st.writeTLS(fd, a, b, flags, timeout)
	}
	var n int
	var err error
	switch {
	case len(b) == 0:
		n, err = fd.TryWrite(a, flags)
	case len(a) == 0:
		n, err = fd.TryWrite(b, flags)
	case len(a)+len(b) <= cap(a):
		a = append(a, b...)
		b = nil
		n, err = fd.TryWrite(a, flags)
	default:
		n, err = fd.TryWritev(a, b, flags)
	}
	if err != nil || n == len(a)+len(b) {
		return err
	}
	return st.writeRest(fd, a, b, n, flags, timeout)
}

// writeTLS is write for a connection under TLS: head and body share a record
// where they fit in one.
func (st *Stream) writeTLS(fd *transport.Conn, a, b []byte, flags int, timeout int64) error {
	if len(a) > 0 && len(b) > 0 && len(a)+len(b) <= cap(a) && len(a)+len(b) <= maxRecord {
		a, b = append(a, b...), nil
	}
	n, err := fd.TryWritev(a, b, flags)
	if err != nil {
		return err
	}
	if n < len(a)+len(b) {
		if err := st.writeRest(fd, a, b, n, flags, timeout); err != nil {
			return err
		}
	}
	return fd.Flush(timeout)
}

// maxRecord is the most that one TLS record carries.
const maxRecord = 16 << 10

// writeRest sends what [Stream.write] could not send at once, from a copy of the
// scratch.
func (st *Stream) writeRest(fd *transport.Conn, a, b []byte, n, flags int, timeout int64) error {
	if n < len(a) {
		rest := append([]byte(nil), a[n:]...) // a slow receiver pays for it
		if _, err := fd.Write(rest, flags|moreIf(len(b) > 0), timeout); err != nil {
			return err
		}
		n = len(a)
	}
	if b = b[n-len(a):]; len(b) == 0 {
		return nil
	}
	_, err := fd.Write(b, flags, timeout)
	return err
}
