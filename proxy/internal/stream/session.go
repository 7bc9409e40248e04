package stream

type private struct{}

type streamList struct{}

func (s *Session) begin()    {}
func (s *Session) Readable() {}
