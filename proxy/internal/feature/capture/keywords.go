package capture

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// cookieLen is "tune.http.cookielen".
var cookieLen = slot.New[*stream.Global, int]()

// How long captured values may be: no head is longer.
const (
	maxLen        = 1 << 24
	defaultCookie = 63
)

func init() {
	conf.Register(
		conf.Keyword{Name: "capture cookie", In: conf.Frontend, Max: -1, Parse: captureCookie},
		conf.Keyword{Name: "capture request", In: conf.Frontend, Max: -1, Parse: captureField(request)},
		conf.Keyword{Name: "capture response", In: conf.Frontend, Max: -1, Parse: captureField(response)},
		conf.Keyword{Name: "declare", In: conf.Proxies, Max: -1, Parse: declare},
	)
	conf.RegisterNumber(conf.Number{Name: "tune.http.cookielen", Low: 0, High: maxLen, InPlace: true, Want: "an integer argument.", Set: func(g *stream.Global, n int) {
		cookieLen.Set(g, n)
	}})
	conf.RegisterFinish(finish)
}

var errWhat = conf.About("capture", conf.Predicatef("expects 'cookie' or 'request header' or 'response header'."))

// captureCookie reads "capture cookie <name> len <length>".
func captureCookie(c *conf.Ctx) error {
	if len(c.Args) < 3 || c.Args[1] != "len" {
		return conf.About("capture", conf.Predicatef("expects 'cookie' <cookie_name> 'len' <len>."))
	}
	if len(c.Args) > 3 {
		return conf.Predicatef("cannot handle unexpected argument '%s'.", c.Args[3])
	}
	l := layouts.Make(c.Proxy)
	l.cookie, l.cookieMax = c.Args[0], length(c.Args[2])
	return nil
}

// captureField reads "capture request header <name> len <length>".
func captureField(s side) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		switch {
		case c.Arg(0) != "header":
			return errWhat
		case len(c.Args) < 4 || c.Args[2] != "len":
			return conf.Predicatef("expects 'header' <header_name> 'len' <len>.")
		case len(c.Args) > 4:
			return conf.Predicatef("cannot handle unexpected argument '%s'.", c.Args[4])
		}
		layouts.Make(c.Proxy).add(s, declared{name: strings.ToLower(c.Args[1]), max: length(c.Args[3])})
		return nil
	}
}

// length reads a number as HAProxy does here: what is none counts for nothing.
func length(text string) int {
	n, _ := strconv.Atoi(text[:len(text)-len(strings.TrimLeft(text, "0123456789"))])
	return min(n, maxLen)
}

// declare reads "declare capture request|response len <length>".
func declare(c *conf.Ctx) error {
	if c.InDefaults {
		return conf.Predicatef("not available in default section")
	}
	if !c.Proxy.Frontend {
		return conf.Predicatef("only available in frontend or listen section")
	}
	if c.Arg(0) != "capture" {
		return fmt.Errorf("unknown declaration type '%s' (supports 'capture')", c.Arg(0))
	}
	const what = "declare capture"
	s, known := map[string]side{"request": request, "response": response}[c.Arg(1)]
	switch {
	case !known:
		return conf.About(what, conf.Predicatef("requires a direction ('request' or 'response')"))
	case c.Arg(2) != "len":
		return conf.About(what, conf.Predicatef("requires a capture length ('len')"))
	case c.Arg(3) == "":
		return fmt.Errorf("'%s': 'len' requires a numeric value that represents the capture length", what)
	case len(c.Args) > 4:
		return conf.About(what, conf.Predicatef("cannot handle unexpected argument '%s'.", c.Args[4]))
	}
	n, err := strconv.Atoi(c.Args[3])
	switch {
	case err != nil:
		return fmt.Errorf("'%s': cannot parse the length '%s'.", what, c.Args[3])
	case n <= 0:
		return errors.New("length must be > 0")
	}
	layouts.Make(c.Proxy).add(s, declared{max: min(n, maxLen)})
	return nil
}

// finish has frontends capture.
func finish(c *conf.Ctx) {
	most := defaultCookie
	if n := cookieLen.Of(c.Snap.Global); n != nil {
		most = *n
	}
	for p := range c.Fresh() {
		l := layouts.Of(p)
		if l == nil || !p.Frontend {
			continue
		}
		if l.cookie != "" && p.Mode != stream.HTTP {
			c.Diags.Warn(p.Pos, "'capture' statement ignored for %s '%s' as it requires HTTP mode.", conf.KindOf(p), p.Name)
			l.cookie = ""
		}
		if l.cookie != "" && l.cookieMax > most {
			c.Diags.Warn(p.Pos, "truncating capture length to %d bytes for %s '%s'.", most, conf.KindOf(p), p.Name)
			l.cookieMax = most
		}
		for _, r := range l.refers {
			if r.n >= len(*l.list(r.side)) {
				set := "http-request"
				if r.side == response {
					set = "http-response"
				}
				c.Alert(r.pos, "Proxy '%s': unable to find capture id '%d' referenced by %s capture rule.", p.Name, r.n, set)
			}
		}
		l.freeze()
		l.attach(p)
	}
}

// attach makes the frontend capture. The cookie is looked for as the client sent it,
// and as the server did: before others make something else of it.
func (l *layout) attach(p *stream.Proxy) {
	if named(l.req) {
		p.OnRequest = append(p.OnRequest, fields(request))
	}
	if named(l.res) {
		p.OnResponse = append(p.OnResponse, fields(response))
	}
	if l.cookie != "" {
		p.OnForward = append([]func(*stream.Stream){requestCookie}, p.OnForward...)
		p.OnDenied = append(p.OnDenied, requestCookie)
		p.OnDeliver = append([]func(*stream.Stream){responseCookie}, p.OnDeliver...)
	}
}

// named tells whether fields are among what is declared.
func named(list []declared) bool {
	for _, d := range list {
		if d.name != "" {
			return true
		}
	}
	return false
}
