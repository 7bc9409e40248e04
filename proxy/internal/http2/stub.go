// Placeholder so that package stream builds: the package proper replaces this file.

package http2

import "github.com/forebay-lb/forebay/proxy/internal/message"

type Config struct {
	Server                                                 bool
	InitialWindow, MaxStreams, MaxFrame, HeaderTable       uint32
	RxBuf, MaxHeaders, MaxHead, MaxTotal, MaxRst, Glitches int
	ExtendedConnect, AcceptInvalid                         bool
}
type ErrCode uint32

const (
	NoError ErrCode = iota
	ProtocolError
	InternalError
	Cancel
)

type ResetError struct {
	Code  ErrCode
	Retry bool
}

func (*ResetError) Error() string { return "" }

type Owner interface {
	Buffer() []byte
	Release([]byte)
	NewStream(s *Stream) *message.Request
	Request(s *Stream)
	Response(s *Stream)
	Changed(s *Stream)
}
type Conn struct{ Secure bool }

func (c *Conn) Init(cfg *Config, o Owner) {}
func (c *Conn) Feed(p []byte) error       { return nil }
func (c *Conn) Out() []byte               { return nil }
func (c *Conn) Sent(int)                  {}
func (c *Conn) Pending() int              { return 0 }
func (c *Conn) GoAway(ErrCode)            {}
func (c *Conn) Draining() bool            { return false }
func (c *Conn) Streams() int              { return 0 }
func (c *Conn) Available() int            { return 0 }
func (c *Conn) Glitches() int             { return 0 }
func (c *Conn) Abort(error)               {}
func (c *Conn) Free()                     {}
func (c *Conn) Upgrade(settings []byte, req *message.Request, user any) (*Stream, error) {
	return nil, nil
}
func (c *Conn) Open(req *message.Request, res *message.Response, user any, end bool) (*Stream, error) {
	return nil, nil
}

type Stream struct {
	ID               uint32
	User             any
	Res              *message.Response
	Trailers         []message.Field
	Protocol, Scheme []byte
}

func (s *Stream) Data() []byte                             { return nil }
func (s *Stream) Consume(int)                              {}
func (s *Stream) Queued() int                              { return 0 }
func (s *Stream) RecvEnd() bool                            { return false }
func (s *Stream) EndReceived() bool                        { return false }
func (s *Stream) HasHead() bool                            { return false }
func (s *Stream) NextHead()                                {}
func (s *Stream) Err() error                               { return nil }
func (s *Stream) SendHead(res *message.Response, end bool) {}
func (s *Stream) Room() int                                { return 0 }
func (s *Stream) SendData(p []byte, end bool) int          { return 0 }
func (s *Stream) SendTrailers([]message.Field)             {}
func (s *Stream) Reset(ErrCode)                            {}
func (s *Stream) Close()                                   {}
