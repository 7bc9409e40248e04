package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

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

// serverSink is where what the server is sent goes.
func (st *Stream) serverSink(f message.Framing) sink {
	if st.server.on() {
		return &st.server
	}
	st.bodies = true
	st.toServer = h1Sink{st: st, conn: &st.up.Conn, framing: f}
	return &st.toServer
}
