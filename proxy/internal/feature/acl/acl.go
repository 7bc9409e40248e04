// Package acl is conditions: the "acl" keyword, what follows "if" and "unless",
// and the predefined ACLs (chapter 7 of the manual).
//
// An ACL is compiled when its line is read; a condition refers to ACLs that were
// declared before it. Package conf reaches it through conf.ParseCondition.
package acl

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// test is one criterion with its patterns: those of files, then those of the line.
type test struct {
	expr     *sample.Expr
	patterns []*pattern.Matcher
}

// match tells whether a value matches. Scope.Undecided tells whether that may change.
func (t *test) match(sc *stream.Scope) bool {
	v := sample.Borrow(sc)
	matched := false
	for n := 0; !matched && t.expr.Nth(sc, v, n); n++ {
		for _, m := range t.patterns {
			if matched = m.Match(v); matched {
				break
			}
		}
	}
	v.Return(sc)
	return matched
}

// named is an ACL: the criteria of all the lines of its name, of which one must
// match.
type named struct {
	name  string // "" if it is anonymous
	tests []*test
}

// Set is the ACLs of a section.
type Set struct{ byName map[string]*named }

// Clone gives a section made from defaults its own list.
func (s *Set) Clone() *Set {
	c := &Set{byName: make(map[string]*named, len(s.byName))}
	for k, v := range s.byName {
		c.byName[k] = &named{k, slices.Clone(v.tests)}
	}
	return c
}

var sets = slot.New[*stream.Proxy, Set]()

// term is an ACL in a condition.
type term struct {
	acl *named
	not bool
}

// Cond is a compiled condition: one of the conjunctions must hold.
type Cond struct {
	any    [][]term
	unless bool
}

// result is what is known of an ACL, or a condition, while data may still come. It is
// ordered: all of a conjunction is as good as the worst, one of several as the best.
type result int8

const (
	no result = iota - 1
	maybe
	yes
)

// Match evaluates the condition. If more data may decide otherwise it does not hold
// yet, "unless" or not, and the scope is Undecided.
func (c *Cond) Match(sc *stream.Scope) bool {
	best := no
	for _, all := range c.any {
		if best = max(best, conjunction(sc, all)); best == yes {
			break
		}
	}
	if best == maybe {
		sc.MayChange()
		return false
	}
	return (best == yes) != c.unless
}

// conjunction evaluates ACLs that must all hold. The first that does not, or may not
// do so yet, is the last one that is looked at.
func conjunction(sc *stream.Scope, all []term) result {
	for i := range all {
		r := all[i].acl.match(sc)
		if all[i].not {
			r = -r
		}
		if r != yes {
			return r
		}
	}
	return yes
}

// Restrict makes those ACLs of the condition fail that need what there is not at
// a place (see [sample.Fetch]), and warns of them. title names the place.
func (c *Cond) Restrict(where sample.Places, title string, warn func(format string, args ...any)) {
	for _, all := range c.any {
		for i := range all {
			a := all[i].acl
			usable := false
			for _, t := range a.tests {
				usable = usable || t.expr.Usable(where)
			}
			switch {
			case usable:
				continue
			case a.name == "":
				warn("anonymous acl will never match because it uses keyword '%s' which is incompatible with '%s'.", a.tests[0].expr.Fetch.Name, title)
			default:
				warn("acl '%s' will never match because it only involves keywords that are incompatible with '%s'.", a.name, title)
			}
			all[i].acl = &named{}
		}
	}
}

func (a *named) match(sc *stream.Scope) result {
	r := no
	for _, t := range a.tests {
		sc.Undecided() // of whatever was before
		if t.match(sc) {
			sc.Undecided()
			return yes
		}
		if sc.Undecided() {
			r = maybe
		}
	}
	return r
}

func init() {
	conf.ParseCondition = ParseCond
	conf.Register(conf.Keyword{Name: "acl", In: conf.Proxies, Max: -1, Parse: aclLine})
	conf.RegisterDump("acl", func(w io.Writer) {
		var list []string
		for n, d := range derived {
			if sample.FindFetch(d.fetch) != nil {
				list = append(list, fmt.Sprintf("%s = %s -m %s\n", n, d.fetch, d.method))
			}
		}
		sort.Strings(list)
		io.WriteString(w, "# List of registered ACL keywords:\n")
		for _, l := range list {
			io.WriteString(w, l)
		}
	})
}

func aclLine(c *conf.Ctx) error {
	if len(c.Args) == 0 {
		return conf.Predicatef("expects the name of an ACL and a criterion.")
	}
	name := c.Args[0]
	if strings.EqualFold(name, "or") {
		return fmt.Errorf("acl name '%s' will never match. 'or' is used to express a logical disjunction within a condition.", name)
	}
	if r, ok := config.ValidName(name); !ok {
		return fmt.Errorf("character '%c' is not permitted in acl name '%s'.", r, name)
	}
	t, err := parseTest(c, c.Args[1:])
	if err != nil {
		return fmt.Errorf("error detected while parsing ACL '%s' : %w.", name, err)
	}
	set := sets.Make(c.Proxy)
	if set.byName == nil {
		set.byName = map[string]*named{}
	}
	a := set.byName[name]
	if a == nil {
		a = &named{name: name}
		set.byName[name] = a
	}
	a.tests = append(a.tests, t)
	return nil
}

// predefined are the ACLs of chapter 7.4.
var predefined = map[string][]string{
	"FALSE":          {"always_false"},
	"HTTP":           {"req.proto_http"},
	"HTTP_1.0":       {"req.ver", "-m", "str", "1.0"},
	"HTTP_1.1":       {"req.ver", "-m", "str", "1.1"},
	"HTTP_2.0":       {"req.ver", "-m", "str", "2.0"},
	"HTTP_3.0":       {"req.ver", "-m", "str", "3.0"},
	"HTTP_CONTENT":   {"req.hdr(content-length)", "-m", "int", "gt", "0"},
	"HTTP_URL_ABS":   {"url", "-m", "reg", "^[^/:]*://"},
	"HTTP_URL_SLASH": {"url", "-m", "beg", "/"},
	"HTTP_URL_STAR":  {"url", "-m", "str", "*"},
	"LOCALHOST":      {"src", "127.0.0.1/8", "::1"},
	"METH_CONNECT":   {"method", "CONNECT"},
	"METH_DELETE":    {"method", "DELETE"},
	"METH_GET":       {"method", "GET", "HEAD"},
	"METH_HEAD":      {"method", "HEAD"},
	"METH_OPTIONS":   {"method", "OPTIONS"},
	"METH_POST":      {"method", "POST"},
	"METH_PUT":       {"method", "PUT"},
	"METH_TRACE":     {"method", "TRACE"},
	"RDP_COOKIE":     {"req.rdp_cookie_cnt", "gt", "0"},
	"REQ_CONTENT":    {"req.len", "gt", "0"},
	"TRUE":           {"always_true"},
	"WAIT_END":       {"wait_end"},
}

// ParseCond compiles a condition; words begin with "if" or "unless".
func ParseCond(c *conf.Ctx, words []string) (stream.Cond, error) {
	if len(words) == 0 || words[0] != "if" && words[0] != "unless" {
		return nil, fmt.Errorf("'if' or 'unless' expected")
	}
	cond := &Cond{unless: words[0] == "unless"}
	var all []term
	not := false
	var missing error // words that are not supported yet
	words = words[1:]
	for i := 0; i < len(words); i++ {
		w := words[i]
		for strings.HasPrefix(w, "!") {
			not = !not
			w = w[1:]
		}
		switch {
		case w == "":
			continue
		case strings.EqualFold(w, "or") || w == "||":
			if len(all) == 0 || not {
				return nil, conf.Join(missing, fmt.Errorf("unexpected '%s' in a condition", w))
			}
			cond.any = append(cond.any, all)
			all = nil
			continue
		case w == "{":
			end := slices.Index(words[i:], "}")
			if end < 0 {
				return nil, fmt.Errorf("missing closing '}' in condition")
			}
			if end < 2 {
				return nil, fmt.Errorf("empty anonymous ACL in condition")
			}
			t, err := parseTest(c, words[i+1:i+end])
			if err != nil && !conf.IsNotYet(err) {
				return nil, conf.Join(missing, err)
			}
			missing = conf.Join(missing, err)
			all = append(all, term{&named{tests: []*test{t}}, not})
			i += end
		default:
			a, err := find(c, w)
			if err != nil {
				return nil, conf.Join(missing, err)
			}
			all = append(all, term{a, not})
		}
		not = false
	}
	if missing != nil {
		return nil, missing
	}
	if not || len(all) == 0 {
		return nil, fmt.Errorf("no ACL in the condition, or '!' without one")
	}
	cond.any = append(cond.any, all)
	return cond, nil
}

func find(c *conf.Ctx, name string) (*named, error) {
	if set := sets.Of(c.Proxy); set != nil {
		if a := set.byName[name]; a != nil {
			return a, nil
		}
	}
	if words := predefined[name]; words != nil {
		t, err := parseTest(c, words)
		if err != nil {
			return nil, err
		}
		return &named{name, []*test{t}}, nil
	}
	return nil, fmt.Errorf("no such ACL : '%s'", name)
}
