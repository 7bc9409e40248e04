package conf

import (
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Keyword{Name: "mode", In: Proxies, Max: 1, Parse: mode},
		Keyword{Name: "maxconn", In: feSide, Max: 1, Parse: proxyInt(func(p *stream.Proxy) *int { return &p.MaxConn })},
		Keyword{Name: "backlog", In: feSide, Max: 1, Parse: proxyInt(func(p *stream.Proxy) *int { return &p.Backlog })},
		Keyword{Name: "fullconn", In: beSide, Max: 1, Parse: proxyInt(func(p *stream.Proxy) *int { return fullConnSaid.Make(p) })},
		Keyword{Name: "max-session-srv-conns", In: feSide, Max: 1, Parse: sessionConns},
		Keyword{Name: "retries", In: beSide, Max: 1, Parse: retries},
		Keyword{Name: "http-reuse", In: beSide, Max: 1, Parse: httpReuse},
		Keyword{Name: "default_backend", In: feSide, Max: 1, Parse: defaultBackend},
		Keyword{Name: "monitor-uri", In: feSide, Max: 1, Parse: monitorURI},
		Keyword{Name: "rate-limit sessions", In: feSide, Max: 1, Parse: rateLimit},
		Keyword{Name: "disabled", In: Proxies, Max: 0, Parse: func(c *Ctx) error { c.Proxy.Disabled = true; return nil }},
		Keyword{Name: "enabled", In: Proxies, Max: 0, Parse: func(c *Ctx) error { c.Proxy.Disabled = false; return nil }},
		Keyword{Name: "id", In: Frontend | Backend, Max: 1, Parse: proxyID},
		Keyword{Name: "description", In: Frontend | Backend, Max: -1, Parse: description},
		Keyword{Name: "monitor fail", In: Frontend, Max: -1, Parse: monitorFail},
	)
}

func mode(c *Ctx) error {
	switch m := c.Arg(0); m {
	case "tcp":
		c.Proxy.Mode = stream.TCP
	case "http":
		c.Proxy.Mode = stream.HTTP
	case "log", "spop", "haterm":
		return NotYet("mode", m)
	case "health":
		return say("'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.")
	default:
		return say("unknown proxy mode '%s'.", m)
	}
	return nil
}

// proxyInt parses keywords that take a number of connections.
func proxyInt(field func(*stream.Proxy) *int) func(*Ctx) error {
	return func(c *Ctx) error {
		n, err := c.Integer(0, maxInt, "an integer argument.")
		if err == nil {
			*field(c.Proxy) = n
		}
		return err
	}
}

func sessionConns(c *Ctx) error {
	n, err := c.Integer(0, maxInt, "an integer argument.")
	if err == nil {
		c.Proxy.SessionConns = n
		if n == 0 {
			c.Proxy.SessionConns = -1
		}
	}
	return err
}

func retries(c *Ctx) error {
	n, err := c.Integer(0, maxInt, "an integer argument (dispatch counts for one).")
	if err == nil {
		c.Proxy.Retries = n
	}
	return err
}

var reuseModes = map[string]stream.Reuse{
	"never": stream.ReuseNever, "safe": stream.ReuseSafe, "aggressive": stream.ReuseAggressive, "always": stream.ReuseAlways,
}

func httpReuse(c *Ctx) error {
	m, ok := reuseModes[c.Arg(0)]
	if !ok {
		return Predicatef("only supports 'never', 'safe', 'aggressive', 'always'.")
	}
	c.Proxy.Reuse = m
	return nil
}

func defaultBackend(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects a backend name.")
	}
	c.Proxy.DefaultName = c.Arg(0)
	return nil
}

func monitorURI(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects an URI.")
	}
	c.Proxy.MonitorURI = []byte(c.Arg(0))
	return nil
}

func rateLimit(c *Ctx) error {
	v := c.Arg(0)
	if v == "" {
		return Predicatef("expects expects an integer value (in sessions/second)")
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > maxInt {
		bad := strings.TrimLeft(v, "0123456789")
		if bad == "" {
			bad = v
		}
		return Causef("unexpected character '%c' in integer value '%s'", bad[0], v)
	}
	c.Proxy.RateLimit = n
	return nil
}

func proxyID(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects an integer argument.")
	}
	n, err := strconv.Atoi(c.Arg(0))
	if err != nil || n <= 0 || n > maxInt {
		return say("custom id has to be > 0.")
	}
	for _, o := range c.Snap.Proxies {
		if o != c.Proxy && o.ForcedID && o.ID == n {
			return say("%s %s reuses same custom id as %s %s (declared at %s).", kindOf(c.Proxy), c.Proxy.Name, kindOf(o), o.Name, o.Pos)
		}
	}
	c.Proxy.ID, c.Proxy.ForcedID = n, true
	return nil
}

func description(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("expects a string argument.")
	}
	c.Proxy.Descr = c.text()
	return nil
}

func monitorFail(c *Ctx) error {
	if a := c.Arg(0); a != "if" && a != "unless" {
		return Predicatef("requires either 'if' or 'unless' followed by a condition.")
	}
	if ParseCondition == nil {
		return NotYet("keyword", "monitor fail")
	}
	cond, err := c.Condition("a 'monitor fail' condition", c.Args)
	if err != nil {
		return err
	}
	c.Proxy.MonitorFail = append(c.Proxy.MonitorFail, cond)
	return nil
}
