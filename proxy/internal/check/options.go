package check

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/conf"
	"github.com/forebay-lb/forebay/proxy/internal/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/server"
	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

func init() {
	conf.RegisterServer(
		conf.ServerOption{Name: "check", Dynamic: true, Parse: flag(true)},
		conf.ServerOption{Name: "no-check", Parse: flag(false)},
		conf.ServerOption{Name: "inter", Args: 1, Dynamic: true, Parse: delay(func(k *server.Check) *time.Duration { return &k.Inter })},
		conf.ServerOption{Name: "fastinter", Args: 1, Dynamic: true, Parse: delay(func(k *server.Check) *time.Duration { return &k.FastInter })},
		conf.ServerOption{Name: "downinter", Args: 1, Dynamic: true, Parse: delay(func(k *server.Check) *time.Duration { return &k.DnInter })},
		conf.ServerOption{Name: "rise", Args: 1, Dynamic: true, Parse: count(func(k *server.Check) *int { return &k.Rise })},
		conf.ServerOption{Name: "fall", Args: 1, Dynamic: true, Parse: count(func(k *server.Check) *int { return &k.Fall })},
		conf.ServerOption{Name: "port", Args: 1, Dynamic: true, Parse: port},
		conf.ServerOption{Name: "addr", Args: 1, Dynamic: true, Parse: addr},
	)
	conf.RegisterFinish(finish)
}

// say makes an error of a message that users of HAProxy know.
func say(format string, args ...any) error { return fmt.Errorf(format, args...) }

func flag(on bool) func(*conf.Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *conf.Ctx, s *stream.ServerSettings, _ []string) (int, error) {
		s.Check.Enabled = on
		return 1, nil
	}
}

func delay(field func(*server.Check) *time.Duration) func(*conf.Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
		if len(words) < 2 {
			return 0, say("'%s' expects a delay as argument.", words[0])
		}
		d, err := config.ParseTime(words[1], time.Millisecond)
		var bad *config.CharError
		switch {
		case errors.Is(err, config.ErrTimeOverflow):
			return 0, say("timer overflow in argument <%s> to <%s> of server, maximum value is 2147483647 ms (~24.8 days).", words[1], words[0])
		case errors.As(err, &bad):
			return 0, say("unexpected character '%c' in '%s' argument.", bad.Char, words[0])
		case err != nil:
			return 0, say("'%s' : %w", words[0], err)
		case d <= 0:
			return 0, say("invalid value %s for argument '%s' of server.", words[1], words[0])
		}
		*field(&s.Check) = max(d, time.Millisecond)
		return 2, nil
	}
}

// maxCount bounds rise and fall: more makes no sense, and their sum must not
// overflow.
const maxCount = 1 << 30

func count(field func(*server.Check) *int) func(*conf.Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
		if len(words) < 2 {
			return 0, say("'%s' expects an integer argument.", words[0])
		}
		n, err := strconv.Atoi(words[1])
		if err != nil || n <= 0 || n > maxCount {
			return 0, say("'%s' has to be > 0.", words[0])
		}
		*field(&s.Check) = n
		return 2, nil
	}
}

func port(_ *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
	if len(words) < 2 {
		return 0, say("'port' expects a port number as argument.")
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 1 || n > 65535 {
		return 0, say("'port' expects a number from 1 to 65535, found '%s'.", words[1])
	}
	s.Check.Port = n
	return 2, nil
}

func addr(_ *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
	if len(words) < 2 {
		return 0, say("'addr' expects <ipv4|ipv6> as argument.")
	}
	ip, err := netip.ParseAddr(words[1])
	if err != nil || ip.Zone() != "" {
		return 0, say("'addr' expects <ipv4|ipv6> as argument, found '%s'.", words[1])
	}
	s.Check.Addr = reactor.Addr{IP: ip}
	return 2, nil
}

// finish looks at what goes together once all sections are known.
func finish(c *conf.Ctx) {
	for _, p := range c.Snap.Proxies {
		if !p.Backend || p.Disabled {
			continue
		}
		own := rules.Of(p)
		if own != nil {
			if err := own.finish(); err != nil {
				c.Alert(own.pos, "%s", err)
			}
			if !own.on && len(own.steps) > 0 {
				c.Diags.Warn(own.pos, "%s '%s' uses http-check rules without 'option httpchk', so the rules are ignored.", kindOf(p), p.Name)
			}
		}
		for _, l := range p.ServerLines {
			k := &l.Settings.Check
			if !k.Enabled || !l.Settings.MapPort || k.Port != 0 || own.names() {
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
