package check

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
)

// connection is what a "connect" rule says.
type connection struct {
	addr     reactor.Addr
	port     int
	portExpr *sample.Expr
	linger   bool
	proxy    bool // send-proxy
	defaults bool // as the server line says
	secure   bool
	sni      string
	alpn     []string
	proto    string   // "" for what the server line says
	asksFor  *payload // the host of the first request, when no rule says how to connect
}

func connectRule(c *conf.Ctx, r *ruleset) error {
	st := step{kind: connect}
	if len(r.steps) > 0 {
		if r.steps[0].kind != connect {
			return conf.Causef("first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when there is a 'connect' step in the tcp-check ruleset.")
		}
		if r.word == "http-check" && r.steps[len(r.steps)-1].kind == send {
			return conf.Causef("unable to add http-check connect rule at step %d (missing expect rule).", len(r.steps)+1)
		}
	}
	for w := c.Words(); len(w.Rest()) > 0; {
		name := w.Next()
		if err := st.connects(c, r.word, name, &w); err != nil {
			return conf.Causef("%w", conf.About(name, err))
		}
	}
	r.add(st)
	return nil
}

// aString is what most arguments of rules have to be.
const aString = "a string as argument."

// connects reads one word of a "connect" rule and its argument.
func (st *step) connects(c *conf.Ctx, ruleset, name string, w *conf.Words) (err error) {
	switch name {
	case "default":
		st.defaults = true
	case "ssl":
		st.secure = true
	case "linger":
		st.linger = true
	case "send-proxy":
		st.proxy = true
	case "sni":
		st.sni, err = w.Value(aString)
	case "comment":
		st.comment, err = w.Value(aString)
	case "alpn":
		var list string
		if list, err = w.Value(aString); err == nil {
			st.alpn, err = ssl.Protocols(list)
		}
	case "port":
		err = st.toPort(c, w)
	case "addr":
		var text string
		if text, err = w.Value("<ipv4|ipv6> as argument."); err == nil {
			if st.addr, err = address(c, []string{text}, 0); err != nil {
				err = conf.Causef("%w.", err)
			}
		}
	case "proto":
		err = st.speaks(ruleset, w)
	case "via-socks4":
		err = conf.NotYet("option", ruleset+" connect "+name)
	default:
		err = say("expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got '%s' as argument.", name)
	}
	return err
}

// toPort reads a port, or an expression whose value is one.
func (st *step) toPort(c *conf.Ctx, w *conf.Words) error {
	text, err := w.Value("a port number or a sample expression as argument.")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err == nil {
		if n < 1 || n > 65535 {
			return say("expects a valid TCP port (from range 1 to 65535) or a sample expression, got %s.", text)
		}
		st.port = n
		return nil
	}
	if st.portExpr, err = expression(c, text); err != nil {
		return say("error detected while parsing port expression : %w.", err)
	}
	return nil
}

// expression compiles one that is evaluated in the check's scope.
func expression(c *conf.Ctx, text string) (*sample.Expr, error) {
	e, err := sample.Parse(c, text)
	if err != nil {
		return nil, err
	}
	return e, e.Allowed(text, sample.HealthCheck)
}

// speaks is "proto".
func (st *step) speaks(ruleset string, w *conf.Words) error {
	proto, err := w.Value("a MUX protocol as argument.")
	http := known(proto)
	switch {
	case err != nil:
		return err
	case !http && proto != "none":
		if conf.FutureProtocol(proto) {
			return conf.NotYet("option", ruleset+" connect proto "+proto)
		}
		return conf.Causef("unknown MUX protocol '%s'.", proto)
	case http != (ruleset == "http-check"):
		return conf.Causef("invalid MUX protocol '%s' for %s.", proto, ruleset)
	case http:
		st.proto = proto
	}
	return nil
}
