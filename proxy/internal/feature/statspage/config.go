package statspage

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// settings are what the "stats" lines of a section say.
type settings struct {
	of      string // the section that says it
	uri     string
	realm   string
	auth    []string // "user:password"
	refresh time.Duration
	scope   []string // names, "." for the section's own
	admin   []stream.Cond
	rules   []access

	// Names are shown if they are not nil; "" is what the global section says.
	node, desc                *string
	legends, modules, version bool
}

// access is a "stats http-request" line.
type access struct {
	word  string
	realm string
	cond  stream.Cond
}

// Clone is of [slot.Cloner].
func (s *settings) Clone() *settings {
	c := *s
	c.auth, c.scope = slices.Clone(s.auth), slices.Clone(s.scope)
	return &c
}

var pages = slot.New[*stream.Proxy, settings]()

func init() {
	for word, parse := range map[string]func(*conf.Ctx, *settings) error{
		"enable": func(*conf.Ctx, *settings) error { return nil },
		"uri": func(c *conf.Ctx, s *settings) (err error) {
			s.uri, err = word(c, "needs an URI prefix.")
			return err
		},
		"realm": func(c *conf.Ctx, s *settings) (err error) {
			s.realm, err = word(c, "needs an realm name.")
			return err
		},
		"auth": func(c *conf.Ctx, s *settings) error {
			account, err := word(c, "needs a user:password account.")
			s.auth = append(s.auth, account)
			return err
		},
		"scope": func(c *conf.Ctx, s *settings) error {
			name, err := word(c, "needs a proxy name.")
			s.scope = append(s.scope, name)
			return err
		},
		"refresh":      readRefresh,
		"show-node":    readNode,
		"show-desc":    func(c *conf.Ctx, s *settings) error { s.desc = new(strings.Join(c.Args, " ")); return nil },
		"show-legends": func(_ *conf.Ctx, s *settings) error { s.legends = true; return nil },
		"show-modules": func(_ *conf.Ctx, s *settings) error { s.modules = true; return nil },
		"show-version": func(_ *conf.Ctx, s *settings) error { s.version = true; return nil },
		"hide-version": func(_ *conf.Ctx, s *settings) error { s.version = false; return nil },
		"admin":        readAdmin,
		"http-request": readAccess,
	} {
		conf.Register(conf.Keyword{Name: "stats " + word, In: conf.Proxies, Max: -1, Parse: func(c *conf.Ctx) error {
			switch {
			case c.InDefaults && word == "admin":
				return fmt.Errorf("'stats admin' not allowed in 'defaults' section.")
			case c.InDefaults && word == "http-request":
				return fmt.Errorf("'stats' not allowed in 'defaults' section.")
			}
			return parse(c, of(c))
		}})
	}
	conf.RegisterFinish(finish)
}

// of gives the section's settings. Its first line begins anew: what its defaults say
// is for sections that say nothing.
func of(c *conf.Ctx) *settings {
	p := c.Proxy
	name := p.Kind + " " + p.Name
	s := pages.Of(p)
	if s == nil || s.of != name {
		s = pages.Make(p)
		*s = settings{of: name, uri: "/haproxy?stats"}
	}
	if len(p.Pages) == 0 {
		p.Pages, p.NeedsBody = []stream.Rule{rule{}}, needsBody
	}
	return s
}

// word gives the argument of the line.
func word(c *conf.Ctx, missing string) (string, error) {
	if c.Arg(0) == "" {
		return "", conf.About(strings.TrimPrefix(c.Keyword, "stats "), conf.Predicatef("%s", missing))
	}
	return c.Arg(0), nil
}

func readRefresh(c *conf.Ctx, s *settings) error {
	d, err := config.ParseTime(c.Arg(0), time.Second)
	if err != nil {
		char := ""
		if i := strings.IndexFunc(c.Arg(0), func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			char = c.Arg(0)[i : i+1]
		}
		return fmt.Errorf("unexpected character '%s' in argument to stats refresh interval.", char)
	}
	s.refresh = (d + time.Second - 1).Truncate(time.Second)
	return nil
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)

func readNode(c *conf.Ctx, s *settings) error {
	if !nodeName.MatchString(c.Arg(0)) {
		return fmt.Errorf("'stats show-node' invalid node name - should be a string" + "with digits(0-9), letters(A-Z, a-z), hyphen(-) or underscode(_).")
	}
	s.node = new(c.Arg(0))
	return nil
}

func readAdmin(c *conf.Ctx, s *settings) error {
	if w := c.Arg(0); w != "if" && w != "unless" {
		return fmt.Errorf("'stats admin' requires either 'if' or 'unless' followed by a condition.")
	}
	cond, err := c.Condition("a 'stats admin' rule", c.Args)
	s.admin = append(s.admin, cond)
	return err
}

func readAccess(c *conf.Ctx, s *settings) error {
	a := access{word: c.Arg(0)}
	rest := c.Args[min(1, len(c.Args)):]
	switch a.word {
	case "allow", "deny":
	case "auth":
		if len(rest) > 0 && rest[0] == "realm" {
			if len(rest) < 2 {
				return conf.About("stats http-request auth", conf.Predicatef("missing realm value."))
			}
			a.realm, rest = rest[1], rest[2:]
		}
	default:
		return fmt.Errorf("'http-request' expects 'allow', 'deny' or 'auth', but got '%s'%s.", a.word, map[bool]string{true: " (missing argument)"}[a.word == ""])
	}
	if len(rest) > 0 {
		if rest[0] != "if" && rest[0] != "unless" {
			return conf.About("stats http-request "+a.word, conf.Predicatef("expects either 'if' or 'unless' followed by a condition but found '%s'.", rest[0]))
		}
		var err error
		if a.cond, err = c.Condition("a 'stats http-request "+a.word+"' condition", rest); err != nil {
			return err
		}
	}
	s.rules = append(s.rules, a)
	return nil
}

// finish tells of what goes nowhere.
func finish(c *conf.Ctx) {
	for _, p := range c.Snap.Proxies {
		s := pages.Of(p)
		switch {
		case s == nil || s.of != p.Kind+" "+p.Name: // its defaults may serve others
		case p.Mode != stream.HTTP:
			c.Diags.Warn(p.Pos, "'stats' statement ignored for %s '%s' as it requires HTTP mode.", conf.KindOf(p), p.Name)
		case len(s.rules) > 0 && (len(s.auth) > 0 || s.realm != ""):
			c.Diags.Warn(p.Pos, "%s '%s': stats 'auth'/'realm' and 'http-request' can't be used at the same time.", conf.KindOf(p), p.Name)
		}
	}
}
