package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// clientSource is the source of what the client sends after the head h.
func (st *Stream) clientSource(h *message.Header) Source {
	st.bodies = true
	if st.client.on() {
		st.client.done = st.client.s.RecvEnd()
		return &st.client
	}
	s := &st.fromClient
	s.st, s.conn, s.in, s.client = st, &st.Sess.Conn, &st.in, true
	s.start(h)
	return s
}

// serverSource is the source of what the server sends after the head h.
func (st *Stream) serverSource(h *message.Header) Source {
	st.bodies = true
	if st.server.on() {
		st.server.done = st.server.s.RecvEnd()
		return &st.server
	}
	s := &st.fromServer
	s.st, s.conn, s.in, s.client = st, &st.up.Conn, &st.up.in, false
	s.start(h)
	return s
}

// responseBody is the source of the response's body, nil if there is none.
func (st *Stream) responseBody() Source {
	src := st.serverSource(&st.Res.Header)
	if st.server.on() {
		if st.server.done && len(src.Trailers()) == 0 {
			return nil
		}
	} else if st.fromServer.done {
		return nil
	}
	return src
}

// clientSink is where what the client is sent goes.
func (st *Stream) clientSink(f message.Framing) sink {
	if st.client.on() {
		return &st.client
	}
	st.bodies = true
	st.toClient = h1Sink{st: st, conn: &st.Sess.Conn, framing: f, client: true}
	return &st.toClient
}

// serverSink is where what the server is sent goes.
func (st *Stream) serverSink(f message.Framing) sink {
	if st.server.on() {
		return &st.server
	}
	st.bodies = true
	st.toServer = h1Sink{st: st, conn: &st.up.Conn, framing: f}
	return &st.toServer
}

// beginResponse sends the head in st.Res to the client, with what is at hand of
// body (nil: there is none), and makes st.download the transfer of the rest. read
// tells whether nothing of the request hinders the next one. It tells whether the
// client's connection may be kept.
func (st *Stream) beginResponse(body Source, read bool) (keep bool) {
	res, t := &st.Res, &st.download
	st.bodies = true
	if st.client.on() {
		*t = transfer{st: st, src: body, dst: &st.client, done: body == nil}
		t.werr = st.sendHead(res, body == nil)
		return true
	}
	v10 := st.Req.Version == message.HTTP10
	if res.Framing == message.Chunked && v10 {
		res.Framing = message.Close // HTTP/1.0 knows no chunks
	}
	keep = read && st.mayKeep() && res.Framing != message.Close
	k := st.clientSink(res.Framing).(*h1Sink)
	k.fin = !keep
	if st.headOnly {
		k.framing = message.NoBody
	}
	k.response(res, http1.WriteOptions{Close: !keep, Peer10: v10 && st.HasRequest, Head: st.headOnly})
	*t = transfer{st: st, src: body, dst: k}
	t.first()
	return keep
}

// sendInterim sends a head that is not the response's last, or begins a tunnel, to
// the client.
func (st *Stream) sendInterim(res *message.Response) error {
	if st.client.on() {
		return st.sendHead(res, false)
	}
	k := st.clientSink(message.NoBody).(*h1Sink)
	k.response(res, http1.WriteOptions{})
	return k.Flush(false)
}
