package stream

// H2 tells whether the client's connection speaks HTTP/2.
func (s *Session) H2() bool { return s.mux != nil }

// Glitches is how many odd things the client's HTTP/2 connection saw.
func (s *Session) Glitches() int { return s.mux.glitches() }

// StreamsLimit is how many exchanges the client's connection may carry at once.
func (s *Session) StreamsLimit() int { return s.mux.limit() }

// StreamsNow is how many it carries.
func (s *Session) StreamsNow() int { return s.mux.streams() }

// The methods about the server's connection go on telling of the last one after
// it was given back.

// DialErr is why the last attempt to connect to a server failed, nil if it did
// not.
func (st *Stream) DialErr() error { return st.dialErr }

// ServerH2 tells whether the server's connection speaks HTTP/2.
func (st *Stream) ServerH2() bool { return st.last != nil && st.last.mux != nil }

// ServerGlitches is how many odd things the server's HTTP/2 connection saw.
func (st *Stream) ServerGlitches() int { return st.serverMux().glitches() }

// ServerStreamsLimit is how many exchanges the server's connection may carry at
// once.
func (st *Stream) ServerStreamsLimit() int { return st.serverMux().limit() }

// ServerStreamsNow is how many it carries.
func (st *Stream) ServerStreamsNow() int { return st.serverMux().streams() }

func (st *Stream) serverMux() *mux {
	if st.last == nil {
		return nil
	}
	return st.last.mux
}

// A nil mux is a connection that carries one exchange.

func (m *mux) glitches() int {
	if m == nil {
		return 0
	}
	return m.Glitches()
}

func (m *mux) limit() int {
	switch {
	case m == nil:
		return 1
	case m.sess != nil:
		if n := m.w.h2config(m.r, true).MaxStreams; n > 0 {
			return int(n)
		}
		return 100 // tune.h2.max-concurrent-streams
	}
	return m.Streams() + m.Available()
}

func (m *mux) streams() int {
	if m == nil {
		return 1
	}
	return m.Streams()
}
