package check

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
)

func init() {
	conf.RegisterServer(
		conf.ServerOption{Name: "check", Dynamic: true, Parse: flag(true)},
		conf.ServerOption{Name: "no-check", Parse: flag(false)},
		delay("inter", func(k *server.Check) *time.Duration { return &k.Inter }),
		delay("fastinter", func(k *server.Check) *time.Duration { return &k.FastInter }),
		delay("downinter", func(k *server.Check) *time.Duration { return &k.DnInter }),
		count("rise", func(k *server.Check) *int { return &k.Rise }),
		count("fall", func(k *server.Check) *int { return &k.Fall }),
		option("port", port),
		option("check-proto", protocol),
		option("addr", addr),
	)
	conf.RegisterFinish(finish)
	conf.RegisterServerFinish(func(c *conf.Ctx, p *stream.Proxy, name string, s *stream.ServerSettings) error {
		if !c.Dynamic {
			return nil // the rules are not known yet: see finish
		}
		return secure(c, p, name, s, rules.Of(p))
	})
}

// say makes an error of a message that users of HAProxy know.
func say(format string, args ...any) error { return fmt.Errorf(format, args...) }

func flag(on bool) func(*conf.Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *conf.Ctx, s *stream.ServerSettings, _ []string) (int, error) {
		s.Check.Enabled = on
		return 1, nil
	}
}

// option is an option with an argument.
func option(name string, read func(*conf.Ctx, *stream.ServerSettings, *conf.Words) error) conf.ServerOption {
	return conf.ServerOption{Name: name, Args: 1, Dynamic: true, Parse: conf.Option(read)}
}

func delay(name string, field func(*server.Check) *time.Duration) conf.ServerOption {
	return option(name, func(c *conf.Ctx, s *stream.ServerSettings, w *conf.Words) error {
		text, err := w.Value("a delay as argument.")
		if err != nil {
			return err
		}
		d, err := config.ParseTime(text, time.Millisecond)
		var bad *config.CharError
		switch {
		case errors.Is(err, config.ErrTimeOverflow):
			return say("timer overflow in argument <%s> to <%s> of server, maximum value is 2147483647 ms (~24.8 days).", text, name)
		case errors.As(err, &bad):
			return say("unexpected character '%c' in '%s' argument of server %s.", bad.Char, name, c.Server)
		case err != nil:
			return conf.Causef("%w", err)
		case d <= 0:
			return say("invalid value %s for argument '%s' of server %s.", text, name, c.Server)
		}
		*field(&s.Check) = max(d, time.Millisecond)
		return nil
	})
}

// maxCount bounds rise and fall: more makes no sense, and their sum must not
// overflow.
const maxCount = 1 << 30

func count(name string, field func(*server.Check) *int) conf.ServerOption {
	return option(name, func(_ *conf.Ctx, s *stream.ServerSettings, w *conf.Words) error {
		text, err := w.Value("an integer argument.")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 || n > maxCount {
			return conf.Predicatef("has to be > 0.")
		}
		*field(&s.Check) = n
		return nil
	})
}

func port(_ *conf.Ctx, s *stream.ServerSettings, w *conf.Words) error {
	text, err := w.Value("a port number as argument.")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return conf.Predicatef("expects a number from 1 to 65535, found '%s'.", text)
	}
	s.Check.Port = n
	return nil
}

func addr(c *conf.Ctx, s *stream.ServerSettings, w *conf.Words) error {
	text, err := w.Value("<ipv4|ipv6> as argument.")
	if err != nil {
		return err
	}
	a, err := address(c, []string{text}, 0)
	if err != nil {
		return conf.Causef("%w", err)
	}
	s.Check.Addr = a
	return nil
}

// address reads where a check connects to: an address or a name, with a port or
// without.
func address(c *conf.Ctx, words []string, i int) (reactor.Addr, error) {
	return c.SocketAddr(words, i, config.AddressOptions{Port: true, NoDgram: true, NoNames: c.Dynamic})
}

// connections are what a server's line says of the connections of its checks.
type connections struct {
	proto string // "check-proto", "": that of the server
	// rules secure connections that the rules of the check open, by the number of
	// the step.
	rules map[int]*ssl.Upstream
}

var (
	saidOf = slot.New[*server.Settings, connections]()
	noLine connections
)

// lineOf gives what is said of the checks with these settings.
func lineOf(set *server.Settings) *connections {
	if l := saidOf.Of(set); l != nil {
		return l
	}
	return &noLine
}

// protocol is "check-proto".
func protocol(_ *conf.Ctx, s *stream.ServerSettings, w *conf.Words) error {
	proto, err := w.Value("")
	switch {
	case err != nil:
		return err
	case proto == "none":
		saidOf.Edit(s).proto = ""
	case known(proto):
		saidOf.Edit(s).proto = proto
	case conf.FutureProtocol(proto):
		return conf.NotYet("option", "check-proto "+proto)
	default:
		return conf.Causef(" unknown MUX protocol '%s'.", proto)
	}
	return nil
}

// known tells whether checks can ask in a protocol.
func known(proto string) bool {
	p := stream.ProtocolNamed(proto)
	return p != nil && p.Mode == stream.HTTP && p.ForServers()
}

// secure prepares TLS for the connections that the rules of a server's checks
// open, where they say something of it.
func secure(c *conf.Ctx, p *stream.Proxy, srv string, s *stream.ServerSettings, own *settings) error {
	k := &s.Check
	if !k.Enabled {
		return nil
	}
	if l := saidOf.Of(s); l != nil && l.proto != "" && !own.ofHTTP() {
		return say("uses an incompatible MUX protocol for the selected check type")
	}
	line := ssl.ChecksUnderTLS.Of(s)
	var made map[int]*ssl.Upstream
	sequence := own.active().sequence
	for i := range sequence {
		st := &sequence[i]
		inherits := st.defaults && line != nil
		if st.kind != connect || !st.secure && (!inherits || st.sni == "" && st.alpn == nil) {
			continue
		}
		name, alpn := st.sni, st.alpn
		if inherits {
			name = cmp.Or(name, line.Name(nil))
			if alpn == nil {
				alpn = line.Offers()
			}
		}
		u, err := ssl.ForCheck(c, p, srv, s, name, alpn)
		if err != nil {
			return err
		}
		if made == nil {
			made = make(map[int]*ssl.Upstream)
		}
		made[i] = u
	}
	if made != nil {
		saidOf.Edit(s).rules = made
	}
	return nil
}

// finish looks at what goes together once all sections are known.
func finish(c *conf.Ctx) {
	for p := range c.Fresh() {
		if !p.Backend || p.Disabled {
			continue
		}
		own := rules.Of(p)
		if own != nil {
			if err := own.finish(); err != nil {
				c.Alert(own.pos, "%s", err)
			}
			for r, option := range map[*ruleset]string{&own.http: "httpchk", &own.tcp: "tcp-check"} {
				if r.lines > 0 && own.active() != r {
					c.Diags.Warn(r.pos, "%s '%s' uses %s rules without 'option %s', so the rules are ignored.", kindOf(p), p.Name, r.word, option)
				}
			}
		}
		for _, l := range p.ServerLines {
			k := &l.Settings.Check
			if err := secure(c, p, l.Name, l.Settings, own); err != nil {
				c.Alert(l.Pos, "'server %s/%s' : %s", p.Name, l.Name, err)
			}
			if !k.Enabled || !l.Settings.MapPort || k.Port != 0 || k.Addr.Port != 0 || own.active().namesPort() {
				continue
			}
			c.Alert(l.Pos, "config: %s '%s': server '%s' has neither service port nor check port.", kindOf(p), p.Name, l.Name)
		}
	}
}

// kindOf is how messages call a proxy with a backend.
func kindOf(p *stream.Proxy) string {
	if p.Kind == "listen" {
		return "proxy"
	}
	return "backend"
}
