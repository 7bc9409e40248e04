package http2

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// Config are a connection's settings. It is immutable and shared.
type Config struct {
	// Server tells that the peer opens the streams.
	Server bool
	// InitialWindow is SETTINGS_INITIAL_WINDOW_SIZE as announced, in bytes
	// (tune.h2.fe.initial-window-size, tune.h2.be.initial-window-size). 0 stands
	// for the protocol's 65535.
	InitialWindow uint32
	// RxBuf is how many bytes of bodies are held for all streams
	// (tune.h2.fe.rxbuf, tune.h2.be.rxbuf), besides 16384 that every stream has
	// for itself. It is the connection's window, which is never below the
	// protocol's 65535 bytes.
	RxBuf int
	// MaxStreams is SETTINGS_MAX_CONCURRENT_STREAMS. 0 stands for 100. A client
	// opens no more than that, and no more than the server allows.
	MaxStreams uint32
	// MaxFrame is SETTINGS_MAX_FRAME_SIZE in bytes; at least 16384.
	MaxFrame uint32
	// HeaderTable is SETTINGS_HEADER_TABLE_SIZE in bytes, at most 65536. 0 stands
	// for 4096.
	HeaderTable uint32
	// MaxHeaders is the most lines of a head, the first included
	// (tune.http.maxhdr). 0 stands for 101.
	MaxHeaders int
	// MaxHead bounds a decoded head: names and values, and 4 bytes each. 0 stands
	// for 15360.
	MaxHead int
	// MaxTotal is how many streams a client may open before it is told to go to
	// another connection (tune.h2.fe.max-total-streams); 0: no limit.
	MaxTotal int
	// MaxRst and MaxFrames are how many RST_STREAM frames, and how many frames,
	// are taken before others have their turn (tune.h2.fe.max-rst-at-once,
	// tune.h2.*.max-frames-at-once): see [Conn.Throttled]. 0: no limit.
	MaxRst, MaxFrames int
	// Glitches is the number of tolerated oddities (see [Conn.Glitches]) from
	// which on the connection is closed (tune.h2.*.glitches-threshold); 0: none.
	Glitches int
	// ExtendedConnect announces SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441).
	ExtendedConnect bool
}

func (cfg *Config) window() uint32 {
	if cfg.InitialWindow == 0 {
		return defaultWindow
	}
	return min(cfg.InitialWindow, maxWindow)
}

func (cfg *Config) connWindow() int64 {
	return min(max(int64(cfg.RxBuf), defaultWindow), maxWindow)
}

func (cfg *Config) maxStreams() int {
	if cfg.MaxStreams == 0 {
		return 100
	}
	return int(min(cfg.MaxStreams, 1<<30))
}

func (cfg *Config) maxFrame() uint32 { return min(max(cfg.MaxFrame, minFrame), maxFrame) }

func (cfg *Config) headerTable() uint32 {
	if cfg.HeaderTable == 0 {
		return defaultTable
	}
	return min(cfg.HeaderTable, maxTable)
}

func (cfg *Config) maxHeaders() int {
	if cfg.MaxHeaders <= 0 {
		return 100
	}
	return cfg.MaxHeaders - 1
}

func (cfg *Config) maxHead() int {
	if cfg.MaxHead <= 0 {
		return 15 << 10
	}
	return cfg.MaxHead
}

// Owner is who a connection works for. Its methods are called from [Conn.Feed],
// and Changed also from the methods that make room. They must not call Feed, and
// must not call methods of other streams before the method that called them has
// returned.
type Owner interface {
	// Buffer gives a buffer for received data or output; all have one size. The
	// connection gives it back with Release as soon as it is empty.
	Buffer() []byte
	Release([]byte)
	// Refuse tells that there is no memory for more received data: the stream is
	// reset (ENHANCE_YOUR_CALM).
	Refuse() bool
	// NewStream announces a stream that the peer opens and asks for the message to
	// be filled. nil refuses the stream (REFUSED_STREAM), which is not to be used
	// then. Otherwise Request follows at once.
	NewStream(s *Stream) *message.Request
	// Request says that the head is complete, or that it was malformed and the
	// stream has been reset for it: see [Stream.Err]. In either case the owner has
	// to close the stream.
	Request(s *Stream)
	// Response says that s.Res has the head of a response, interim or final.
	Response(s *Stream)
	// Changed says that something is new: data, the end, trailers, room to send,
	// or the stream's end by an error.
	Changed(s *Stream)
}

// User is who uses a stream for the owner of its connection.
type User interface {
	// Changed says what [Owner].Changed does of the user's stream.
	Changed()
}

// ErrCode is an error code of RFC 9113 7.
type ErrCode uint32

// The error codes of RFC 9113 7.
const (
	NoError ErrCode = iota
	ProtocolError
	InternalError
	FlowControl
	SettingsTimeout
	StreamClosed
	FrameSize
	RefusedStream
	Cancel
	Compression
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
	codes
)

var codeNames = [codes]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c ErrCode) String() string {
	if c < codes {
		return codeNames[c]
	}
	return "error " + strconv.FormatUint(uint64(c), 10)
}

// Error is an error of a connection, which ends all of its streams.
type Error struct {
	Code   ErrCode
	Reason string // a constant: what the peer did
}

func (e *Error) Error() string { return "http/2: " + e.Code.String() + ": " + e.Reason }

// ResetError is the end of one stream before its time.
type ResetError struct {
	Code ErrCode
	// Retry tells that the peer has surely not processed the request.
	Retry bool
}

func (e *ResetError) Error() string {
	if e.Retry {
		return "http/2: stream refused: " + e.Code.String()
	}
	return "http/2: stream reset: " + e.Code.String()
}

// resets are the errors of resets made once: hostile peers cause many.
var resets = func() (t [codes][2]*ResetError) {
	for c := range codes {
		t[c] = [2]*ResetError{{Code: c}, {Code: c, Retry: true}}
	}
	return t
}()

func resetError(code ErrCode, retry bool) error {
	if code >= codes {
		code = InternalError // RFC 9113 7: unknown codes count as such
	}
	if retry {
		return resets[code][1]
	}
	return resets[code][0]
}

// textError is an error of using a connection.
type textError string

func (e textError) Error() string { return "http/2: " + string(e) }

// ErrNoStream is an error of [Conn.Open].
const ErrNoStream textError = "no stream can be opened on the connection"
