package stream

// H2 tells whether the client's connection speaks HTTP/2.
func (s *Session) H2() bool { return s.conn != nil && s.conn.protocol().Major == 2 }

// Glitches is how many odd things the client's HTTP/2 connection saw.
func (s *Session) Glitches() int { return s.conn.glitches() }

// StreamsLimit is how many exchanges the client's connection may carry at once.
func (s *Session) StreamsLimit() int { return s.conn.limit() }

// StreamsNow is how many it carries.
func (s *Session) StreamsNow() int { return s.conn.streams() }

// The methods about the server's connection go on telling of the last one after
// it was given back.

// DialErr is why the last attempt to connect to a server failed, nil if it did
// not.
func (st *Stream) DialErr() error { return st.dialErr }

// ServerH2 tells whether the server's connection speaks HTTP/2.
func (st *Stream) ServerH2() bool {
	return st.last != nil && st.last.back != nil && st.last.back.protocol().Major == 2
}

// ServerGlitches is how many odd things the server's HTTP/2 connection saw.
func (st *Stream) ServerGlitches() int {
	if st.last == nil || st.last.back == nil {
		return 0
	}
	return st.last.back.glitches()
}

// ServerStreamsLimit is how many exchanges the server's connection may carry at
// once.
func (st *Stream) ServerStreamsLimit() int {
	if st.last == nil || st.last.back == nil {
		return 1
	}
	return st.last.back.limit()
}

// ServerStreamsNow is how many it carries.
func (st *Stream) ServerStreamsNow() int {
	if st.last == nil || st.last.back == nil {
		return 1
	}
	return st.last.back.streams()
}
