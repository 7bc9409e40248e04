package conf

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// timeouts are the "timeout" keywords (manual 4.2) and what they set.
var timeouts = []struct {
	name  string
	in    Sections
	field func(*stream.Timeouts) *time.Duration
}{
	{"check", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.Check }},
	{"client", Defaults | Frontend, func(t *stream.Timeouts) *time.Duration { return &t.Client }},
	{"client-fin", Defaults | Frontend, func(t *stream.Timeouts) *time.Duration { return &t.ClientFin }},
	{"client-hs", Defaults | Frontend, func(t *stream.Timeouts) *time.Duration { return &t.ClientHS }},
	{"connect", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.Connect }},
	{"http-keep-alive", Proxies, func(t *stream.Timeouts) *time.Duration { return &t.HTTPKeepAlive }},
	{"http-request", Proxies, func(t *stream.Timeouts) *time.Duration { return &t.HTTPRequest }},
	{"queue", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.Queue }},
	{"server", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.Server }},
	{"server-fin", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.ServerFin }},
	{"tarpit", Proxies, func(t *stream.Timeouts) *time.Duration { return &t.Tarpit }},
	{"tunnel", Defaults | Backend, func(t *stream.Timeouts) *time.Duration { return &t.Tunnel }},
}

func init() {
	for _, t := range timeouts {
		Register(Keyword{Name: "timeout " + t.name, In: t.in, Max: -1, Parse: func(c *Ctx) error {
			d, err := Time(c.Arg(0), c.Keyword, time.Millisecond)
			if err != nil {
				return err
			}
			if len(c.Args) > 1 {
				return Causef("unexpected extra argument '%s' after value '%s'.", c.Args[1], c.Args[0])
			}
			cur := t.field(&c.Proxy.Timeouts)
			if *cur != *t.field(&c.base.Timeouts) {
				c.Warn("overwriting '%s' which was already specified", c.Keyword)
			}
			*cur = d
			return nil
		}})
	}
}
