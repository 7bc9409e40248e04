package compression

import (
	"fmt"
	"slices"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// algorithm is one of those that can be named. token is what Accept-Encoding and
// Content-Encoding call it; name is what the configuration does.
type algorithm struct {
	name, token string
	form        form
}

// form is what stands around the blocks of deflate.
type form uint8

const (
	asIs     form = iota // identity
	asGzip               // RFC 1952
	asZlib               // RFC 1950
	asBlocks             // RFC 1951, and nothing around them
)

var (
	identity   = &algorithm{"identity", "identity", asIs}
	algorithms = []*algorithm{identity, {"deflate", "deflate", asZlib}, {"raw-deflate", "deflate", asBlocks}, {"gzip", "gzip", asGzip}}
)

func find(name string) *algorithm {
	if i := slices.IndexFunc(algorithms, func(a *algorithm) bool { return a.name == name }); i >= 0 {
		return algorithms[i]
	}
	return nil
}

// direction is a set of directions.
type direction uint8

const (
	requests direction = 1 << iota
	responses
)

var directions = map[string]direction{"request": requests, "response": responses, "both": requests | responses}

// settings are what the lines "compression" of a section say. What was said last
// stands first.
type settings struct {
	algos   []*algorithm // of responses
	algoReq *algorithm
	types   [2][]string // of requests and of responses
	minSize [2]int64
	dirs    direction
	offload bool
	own     config.Pos // of the section's first line, not of one it took over
}

// Of types and minSize.
const (
	ofRequests = iota
	ofResponses
)

// Clone is of [slot.Cloner].
func (s *settings) Clone() *settings {
	c := *s
	c.own = config.Pos{}
	return &c
}

var (
	sections = slot.New[*stream.Proxy, settings]()
	// declared are the directions that the filters of a section are for.
	declared = slot.New[*stream.Proxy, direction]()
)

func init() {
	conf.Register(conf.Keyword{Name: "compression", In: conf.Proxies, Max: -1, Parse: parse})
	for name, dirs := range map[string]direction{"comp-req": requests, "comp-res": responses, "compression": 0} {
		conf.RegisterFilter(conf.FilterKind{Name: name, Class: "COMP", Parse: func(c *conf.Ctx, args []string) (stream.Filter, error) {
			return declare(c, name, dirs, args)
		}})
	}
	conf.RegisterFinish(finish)
}

// parse reads a line "compression".
func parse(c *conf.Ctx) error {
	s := sections.Make(c.Proxy)
	if s.dirs == 0 {
		s.dirs = responses
	}
	if s.own.Line == 0 {
		s.own = c.Pos
	}
	what, rest := c.Arg(0), c.Args[min(len(c.Args), 1):]
	switch what {
	case "algo", "algo-res", "algo-req":
		return s.algo(what, rest)
	case "type", "type-res", "type-req":
		if len(rest) == 0 || rest[0] == "" {
			return conf.Predicatef("expects <type>.")
		}
		list := &s.types[ofResponses]
		if what == "type-req" {
			list = &s.types[ofRequests]
		}
		*list = append(slices.Clip(*list), rest...)
		return nil
	case "minsize-req", "minsize-res":
		return s.size(what, rest)
	case "offload":
		if c.InDefaults {
			c.Warn("'%s' : 'offload' ignored in 'defaults' section.", c.Keyword)
		} else {
			s.offload = true
		}
		return none(rest)
	case "direction":
		d := directions[word(rest)]
		if d == 0 {
			return conf.Predicatef("expects 'request', 'response', or 'both'.")
		}
		s.dirs = d
		return none(rest[1:])
	}
	return conf.Predicatef("expects 'algo', 'type', 'direction', 'offload', 'minsize-req' or 'minsize-res'.")
}

func word(rest []string) string {
	if len(rest) == 0 {
		return ""
	}
	return rest[0]
}

func none(rest []string) error {
	if len(rest) > 0 {
		return conf.Causef("unexpected argument '%s'", rest[0])
	}
	return nil
}

func (s *settings) algo(what string, names []string) error {
	if word(names) == "" {
		return conf.Predicatef("expects <algorithm>.")
	}
	for _, name := range names {
		a := find(name)
		if a == nil {
			return conf.Causef("'%s' is not a supported algorithm.", name)
		}
		if what == "algo-req" {
			if s.algoReq = a; len(names) > 1 {
				return conf.Causef("'algo-req' takes one algorithm, found '%s' as well", names[1])
			}
			return nil
		}
		s.algos = append([]*algorithm{a}, s.algos...)
	}
	return nil
}

func (s *settings) size(what string, rest []string) error {
	n, err := config.ParseSize(word(rest))
	if err != nil || n < 0 {
		if word(rest) == "" {
			return conf.Predicatef("expects a size after '%s'", what)
		}
		return fmt.Errorf("unexpected '%s' after size passed to '%s'", unread(rest[0]), what)
	}
	s.minSize[map[string]int{"minsize-req": ofRequests, "minsize-res": ofResponses}[what]] = n
	return none(rest[1:])
}

// unread is what of a size is none.
func unread(s string) string {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[i:]
}

// declare makes the filter of a line. dirs are 0 for that which "compression
// direction" is about.
func declare(c *conf.Ctx, name string, dirs direction, args []string) (stream.Filter, error) {
	if len(args) > 0 {
		return nil, conf.Causef("unknown keyword '%s'.", args[0])
	}
	all := dirs
	if all == 0 {
		all = requests | responses
	}
	have := declared.Make(c.Proxy)
	if *have&all != 0 {
		return nil, conf.Causef("%s: Proxy supports only one compression filter", c.Proxy.Name)
	}
	*have |= all
	return newFilter(c.Loading, dirs), nil
}

// finish gives sections their filter if no line does, which is the last one then.
func finish(c *conf.Ctx) {
	for p := range c.Fresh() {
		s := sections.Of(p)
		if s == nil {
			continue
		}
		kind := "backend"
		if p.Frontend {
			kind = p.Kind
		}
		switch {
		case p.Mode != stream.HTTP:
			if s.own.Line != 0 {
				c.Diags.Warn(s.own, "'compression' ignored for %s '%s' as it requires HTTP mode.", kind, p.Name)
			}
		case declared.Value(p) != 0:
		case len(p.Filters) > 0:
			c.Diags.Alert(p.Pos, "%s '%s': require an explicit filter declaration to use HTTP compression", kind, p.Name)
		default:
			p.Filters = append(p.Filters, newFilter(c.Loading, 0))
		}
	}
}
