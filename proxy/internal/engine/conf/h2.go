package conf

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

const (
	positive = "a positive numeric value."
	maxWin   = 1<<31 - 1
)

// h2Numbers are HTTP/2's numbers. A name without a side gives both sides what they
// do not have of their own.
var h2Numbers = []Number{
	{Name: "tune.h2.header-table-size", Low: 4096, High: 65536, InPlace: true, Want: "a numeric value between 4096 and 65536.", Set: func(g *stream.Global, n int) { g.H2HeaderTable = n }},
	{Name: "tune.h2.max-frame-size", Low: 16384, High: 16777215, InPlace: true, Want: "a numeric value between 16384 and 16777215.", Set: func(g *stream.Global, n int) { g.H2MaxFrame = n }},
	{Name: "tune.h2.initial-window-size", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { h2Common.Make(g).InitialWindow = n }},
	{Name: "tune.h2.max-concurrent-streams", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { h2Common.Make(g).MaxStreams = unlimited(n) }},
	{Name: "tune.h2.fe.initial-window-size", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Front.InitialWindow = n }},
	{Name: "tune.h2.be.initial-window-size", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Back.InitialWindow = n }},
	{Name: "tune.h2.be.max-concurrent-streams", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Back.MaxStreams = unlimited(n) }},
	{Name: "tune.h2.fe.max-total-streams", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Front.MaxTotal = n }},
	{Name: "tune.h2.fe.max-rst-at-once", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Front.MaxRst = n }},
	{Name: "tune.h2.fe.max-frames-at-once", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Front.MaxFrames = n }},
	{Name: "tune.h2.be.max-frames-at-once", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Back.MaxFrames = n }},
	{Name: "tune.h2.fe.glitches-threshold", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Front.Glitches = n }},
	{Name: "tune.glitches.kill.cpu-usage", High: 100, InPlace: true, Want: "a numeric value between 0 and 100.", Set: func(g *stream.Global, n int) { g.GlitchUsage = n }},
	{Name: "tune.h2.be.glitches-threshold", High: maxWin, InPlace: true, Want: positive, Set: func(g *stream.Global, n int) { g.H2Back.Glitches = n }},
}

// h2Common is what is said of both sides.
var h2Common = slot.New[*stream.Global, stream.H2]()

// unlimited is what 0 means for a number of streams.
func unlimited(n int) int {
	if n == 0 {
		return maxWin
	}
	return n
}

func init() {
	RegisterNumber(h2Numbers...)
	rxbuf := func(set func(*stream.Global) *int) func(*Ctx) error {
		return func(c *Ctx) error {
			n, err := config.ParseSize(c.Arg(0))
			if err != nil || n < 0 || n > 1<<30 {
				return Predicatef("expects a size of at most 1 GiB.")
			}
			*set(c.Snap.Global) = int(n)
			return c.extra(1)
		}
	}
	Register(
		Keyword{Name: "tune.h2.fe.max-concurrent-streams", In: Global, InPlace: true, Max: -1, Parse: maxConcurrent},
		Keyword{Name: "tune.h2.fe.rxbuf", In: Global, InPlace: true, Max: -1, Parse: rxbuf(func(g *stream.Global) *int { return &g.H2Front.RxBuf })},
		Keyword{Name: "tune.h2.be.rxbuf", In: Global, InPlace: true, Max: -1, Parse: rxbuf(func(g *stream.Global) *int { return &g.H2Back.RxBuf })},
		Keyword{Name: "tune.h2.zero-copy-fwd-send", In: Global, InPlace: true, Max: -1, Parse: func(c *Ctx) error {
			// There is nothing to switch: frames are always gathered into one send.
			if v := c.Arg(0); v != "on" && v != "off" {
				return Predicatef("expects 'on' or 'off'.")
			}
			return c.extra(1)
		}},
		Keyword{Name: "tune.h2.log-errors", In: Global, InPlace: true, Max: -1, Parse: func(c *Ctx) error {
			i := slices.Index(stream.H2LogLevels[:], c.Arg(0))
			if i < 0 {
				return Predicatef("expects 'none', 'connection' or 'stream'.")
			}
			c.Snap.Global.H2LogErrors = stream.H2LogLevels[i]
			return c.extra(1)
		}},
		Keyword{Name: "h2-workaround-bogus-websocket-clients", In: Global, InPlace: true, No: true, Max: -1, Parse: func(c *Ctx) error {
			c.Snap.Global.H2NoWebSocket = !c.No
			return c.extra(0)
		}},
	)
	RegisterServer(
		ServerOption{Name: "proto", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			p, err := protocol(words)
			s.Proto = p
			return 2, err
		}},
		ServerOption{Name: "idle-ping", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			d, err := interval(words)
			s.IdlePing = d
			return 2, err
		}},
		ServerOption{Name: "ws", Args: 1, Dynamic: true, Parse: func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
			if len(words) < 2 || !slices.Contains([]string{"auto", "h1", "h2"}, words[1]) {
				return 0, Predicatef("has to be 'auto', 'h1' or 'h2'.")
			}
			s.WS = strings.TrimPrefix(words[1], "auto")
			return 2, nil
		}},
	)
	RegisterServerFinish(func(_ *Ctx, p *stream.Proxy, _ string, s *stream.ServerSettings) error {
		if proto := stream.ProtocolNamed(s.Proto); proto != nil && (proto.Mode != p.Mode || !proto.ForServers()) {
			return say("MUX protocol '%s' is not usable for it.", s.Proto)
		}
		return nil
	})
}

// maxConcurrent is tune.h2.fe.max-concurrent-streams.
func maxConcurrent(c *Ctx) error {
	n, err := strconv.Atoi(c.Arg(0))
	if err != nil || n < 0 {
		return Predicatef("expects %s", positive)
	}
	c.Snap.Global.H2Front.MaxStreams = unlimited(n)
	for i := 1; i < len(c.Args); i += 2 {
		switch word := c.Args[i]; {
		case word == "rq-load" && c.Arg(i+1) == "ignore":
		case word == "rq-load":
			return Causef("'rq-load %s' is not supported: there is no run queue whose length would say what to announce.", c.Arg(i+1))
		case word == "min" && c.Arg(i+1) != "":
			if m, err := strconv.Atoi(c.Args[i+1]); err != nil || m < 1 {
				return Causef("'min' expects a number of at least 1.")
			}
		default:
			return unexpected(word)
		}
	}
	return nil
}

// protocol reads the word after "proto".
func protocol(words []string) (string, error) {
	v, err := value(words)
	if err != nil {
		return "", err
	}
	if stream.ProtocolNamed(v) != nil {
		return v, nil
	}
	if FutureProtocol(v) {
		return "", NotYet("option", "proto "+v)
	}
	return "", say("'proto' :  unknown MUX protocol '%s'", v)
}

// FutureProtocol tells whether HAProxy knows a protocol by that name, and we do not.
func FutureProtocol(name string) bool {
	return slices.Contains([]string{"fcgi", "quic", "qmux", "spop"}, name) && stream.ProtocolNamed(name) == nil
}

// bindProto is "proto" on a bind line.
func bindProto(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	p, err := protocol(words)
	b.Proto = p
	return 2, err
}

// bindIdlePing is "idle-ping" on a bind line.
func bindIdlePing(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	d, err := interval(words)
	b.IdlePing = d
	return 2, err
}

// interval reads a time in milliseconds after an option.
func interval(words []string) (time.Duration, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	d, err := config.ParseTime(v, time.Millisecond)
	if err != nil {
		return 0, Causef("%w", err)
	}
	return d, nil
}

// finishH2 gives HTTP/2's settings their defaults, and looks whether protocols
// fit the modes.
func (l *Loading) finishH2() {
	g := l.Snap.Global
	common := stream.H2{InitialWindow: 16384, MaxStreams: 100}
	common.InitialWindow = max(common.InitialWindow, g.BufSize)
	if c := h2Common.Of(g); c != nil {
		if c.InitialWindow > 0 {
			common.InitialWindow = c.InitialWindow
		}
		if c.MaxStreams > 0 {
			common.MaxStreams = c.MaxStreams
		}
	}
	if g.H2HeaderTable == 0 {
		g.H2HeaderTable = 4096
	}
	if g.H2MaxFrame == 0 || g.H2MaxFrame > g.BufSize {
		g.H2MaxFrame = max(16384, g.BufSize)
	}
	for _, s := range []*stream.H2{&g.H2Front, &g.H2Back} {
		if s.InitialWindow == 0 {
			s.InitialWindow = common.InitialWindow
		}
		if s.MaxStreams == 0 {
			s.MaxStreams = common.MaxStreams
		}
		if s.RxBuf == 0 {
			s.RxBuf = 100 * g.BufSize
		}
		s.RxBuf = (s.RxBuf + g.BufSize - 1) / g.BufSize * g.BufSize
	}
	for _, p := range l.Snap.Proxies {
		for _, b := range p.Binds {
			if proto := stream.ProtocolNamed(b.Proto); proto != nil && (proto.Mode != p.Mode || !proto.ForClients()) {
				l.Alert(b.Pos, "proxy '%s' : MUX protocol '%s' is not usable for 'bind %s' at [%s].", p.Name, b.Proto, b.Addr, b.Pos)
			}
		}
	}
}
