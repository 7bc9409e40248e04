package stream

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// H2 are the settings of HTTP/2 (tune.h2.*) for one side.
type H2 struct {
	InitialWindow int // bytes
	RxBuf         int // bytes
	MaxStreams    int
	MaxTotal      int
	MaxRst        int
	MaxFrames     int
	Glitches      int
}

// H2Settings are those of the process.
type H2Settings struct {
	// Front and Back are for connections with clients and with servers, both are
	// what is said of both: each side has it where nothing is said of itself.
	Front, Back, both     H2
	MaxFrame, HeaderTable int
	// NoWebSocket is h2-workaround-bogus-websocket-clients.
	NoWebSocket bool
	LogErrors   string // of h2LogLevels
	// GlitchUsage is tune.glitches.kill.cpu-usage: the reactor's usage, in percent,
	// below which a connection's glitches do not end it.
	GlitchUsage int
}

// HTTP2 gives the settings of HTTP/2.
var HTTP2 = slot.New[*Global, H2Settings]()

// h2LogLevels are what tune.h2.log-errors may say: which errors of HTTP/2
// connections are logged.
var h2LogLevels = []string{"none", "connection", "stream"}

const positive = "a positive numeric value."

func init() {
	number := func(name string, low, high int, want string, set func(h *H2Settings, n int)) Number {
		return Number{Name: name, Low: low, High: high, Want: want, InPlace: true, Set: func(g *Global, n int) { set(HTTP2.Make(g), n) }}
	}
	side := func(name string, field func(h *H2Settings) *int) Number {
		return number(name, 0, math.MaxInt32, positive, func(h *H2Settings, n int) { *field(h) = n })
	}
	streams := func(name string, field func(h *H2Settings) *int) Number {
		return number(name, 0, math.MaxInt32, positive, func(h *H2Settings, n int) {
			if n == 0 {
				n = math.MaxInt32
			}
			*field(h) = n
		})
	}
	rxbuf := func(name string, field func(h *H2Settings) *int) Number {
		n := number(name, 0, 1<<30, "a size of at most 1 GiB.", func(h *H2Settings, n int) { *field(h) = n })
		n.Size = true
		return n
	}
	clients := streams("tune.h2.fe.max-concurrent-streams", func(h *H2Settings) *int { return &h.Front.MaxStreams })
	clients.Rest = streamsByLoad
	settings([]Number{
		number("tune.h2.header-table-size", 4096, 65536, "a numeric value between 4096 and 65536.", func(h *H2Settings, n int) { h.HeaderTable = n }),
		number("tune.h2.max-frame-size", 16384, 16777215, "a numeric value between 16384 and 16777215.", func(h *H2Settings, n int) { h.MaxFrame = n }),
		number("tune.glitches.kill.cpu-usage", 0, 100, "a numeric value between 0 and 100.", func(h *H2Settings, n int) { h.GlitchUsage = n }),
		side("tune.h2.initial-window-size", func(h *H2Settings) *int { return &h.both.InitialWindow }),
		side("tune.h2.fe.initial-window-size", func(h *H2Settings) *int { return &h.Front.InitialWindow }),
		side("tune.h2.be.initial-window-size", func(h *H2Settings) *int { return &h.Back.InitialWindow }),
		streams("tune.h2.max-concurrent-streams", func(h *H2Settings) *int { return &h.both.MaxStreams }),
		streams("tune.h2.be.max-concurrent-streams", func(h *H2Settings) *int { return &h.Back.MaxStreams }),
		clients,
		side("tune.h2.fe.max-total-streams", func(h *H2Settings) *int { return &h.Front.MaxTotal }),
		side("tune.h2.fe.max-rst-at-once", func(h *H2Settings) *int { return &h.Front.MaxRst }),
		side("tune.h2.fe.max-frames-at-once", func(h *H2Settings) *int { return &h.Front.MaxFrames }),
		side("tune.h2.be.max-frames-at-once", func(h *H2Settings) *int { return &h.Back.MaxFrames }),
		side("tune.h2.fe.glitches-threshold", func(h *H2Settings) *int { return &h.Front.Glitches }),
		side("tune.h2.be.glitches-threshold", func(h *H2Settings) *int { return &h.Back.Glitches }),
		rxbuf("tune.h2.fe.rxbuf", func(h *H2Settings) *int { return &h.Front.RxBuf }),
		rxbuf("tune.h2.be.rxbuf", func(h *H2Settings) *int { return &h.Back.RxBuf }),
	},
		// There is nothing to switch: frames are always gathered into one send.
		Word{Name: "tune.h2.zero-copy-fwd-send", InPlace: true, Of: []string{"on", "off"}, Want: "'on' or 'off'.", Set: func(*Global, string) {}},
		Word{Name: "tune.h2.log-errors", InPlace: true, Of: h2LogLevels, Want: "'none', 'connection' or 'stream'.", Set: func(g *Global, word string) {
			HTTP2.Make(g).LogErrors = word
		}},
		Word{Name: "h2-workaround-bogus-websocket-clients", No: true, InPlace: true, Set: func(g *Global, word string) {
			HTTP2.Make(g).NoWebSocket = word != "no"
		}},
	)
}

// streamsByLoad reads what tune.h2.fe.max-concurrent-streams says of load.
func streamsByLoad(words []string) (int, error) {
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	for i := 0; i < len(words); i += 2 {
		switch next := word(i + 1); {
		case words[i] == "rq-load" && next == "ignore":
		case words[i] == "rq-load":
			return 0, fmt.Errorf("'rq-load %s' is not supported: there is no run queue whose length would say what to announce.", next)
		case words[i] == "min" && next != "":
			if m, err := strconv.Atoi(next); err != nil || m < 1 {
				return 0, errors.New("'min' expects a number of at least 1.")
			}
		default:
			return i, nil
		}
	}
	return len(words), nil
}

// complete gives the settings their defaults.
func (h *H2Settings) complete(g *Global) {
	if h.both.InitialWindow == 0 {
		h.both.InitialWindow = max(16384, g.BufSize)
	}
	if h.both.MaxStreams == 0 {
		h.both.MaxStreams = 100
	}
	if h.HeaderTable == 0 {
		h.HeaderTable = 4096
	}
	if h.MaxFrame == 0 || h.MaxFrame > g.BufSize {
		h.MaxFrame = max(16384, g.BufSize)
	}
	for _, s := range []*H2{&h.Front, &h.Back} {
		if s.InitialWindow == 0 {
			s.InitialWindow = h.both.InitialWindow
		}
		if s.MaxStreams == 0 {
			s.MaxStreams = h.both.MaxStreams
		}
		if s.RxBuf == 0 {
			s.RxBuf = 100 * g.BufSize
		}
		s.RxBuf = (s.RxBuf + g.BufSize - 1) / g.BufSize * g.BufSize
	}
}

// noH2 are the settings where there are none.
var noH2 H2Settings

// http2 are the settings.
func (g *Global) http2() *H2Settings {
	if h := HTTP2.Of(g); h != nil {
		return h
	}
	return &noH2
}
