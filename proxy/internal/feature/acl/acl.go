// Package acl is conditions: the "acl" keyword, what follows "if" and "unless",
// and the predefined ACLs (chapter 7 of the manual).
//
// An ACL is compiled when its line is read; a condition refers to ACLs that were
// declared before it. Package conf reaches it through conf.ParseCondition.
package acl

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
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

// Match evaluates the condition.
func (c *Cond) Match(sc *stream.Scope) bool {
	for _, all := range c.any {
		ok := true
		for i := range all {
			if all[i].acl.match(sc) == all[i].not {
				ok = false
				break
			}
		}
		if ok {
			return !c.unless
		}
	}
	return c.unless
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

func (a *named) match(sc *stream.Scope) bool {
	for _, t := range a.tests {
		if t.match(sc) {
			return true
		}
	}
	return false
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
		return errors.New("'acl' expects the name of an ACL and a criterion.")
	}
	name := c.Args[0]
	if strings.EqualFold(name, "or") {
		return fmt.Errorf("acl name '%s' will never match. 'or' is used to express a logical disjunction within a condition.", name)
	}
	if r, ok := config.ValidName(name); !ok {
		return fmt.Errorf("character '%c' is not permitted in acl name '%s'.", r, name)
	}
	if len(c.Args) == 1 {
		return fmt.Errorf("error detected while parsing ACL '%s' : missing fetch method in ACL expression ''.", name)
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

// derived are criteria that are a fetch with a method.
var derived = func() map[string]struct {
	fetch  string
	method pattern.Method
} {
	type d = struct {
		fetch  string
		method pattern.Method
	}
	m := map[string]d{}
	suffixes := []pattern.Method{pattern.Beg, pattern.Dir, pattern.Dom, pattern.End, pattern.Len, pattern.Reg, pattern.Sub}
	for short, fetch := range map[string]string{
		"base": "base", "hdr": "req.hdr", "path": "path", "shdr": "res.hdr", "url": "url", "cook": "req.cook", "scook": "res.cook", "urlp": "urlp",
	} {
		m[short] = d{fetch, pattern.Str}
		for _, s := range suffixes {
			m[short+"_"+string(s)] = d{fetch, s}
		}
	}
	m["method"] = d{"method", pattern.Str}
	m["req_ver"] = d{"req.ver", pattern.Str}
	m["resp_ver"] = d{"res.ver", pattern.Str}
	m["ssl_fc_sni_end"] = d{"ssl_fc_sni", pattern.End}
	m["ssl_fc_sni_reg"] = d{"ssl_fc_sni", pattern.Reg}
	return m
}()

// parseTest compiles "criterion [flags] [operator] patterns…".
func parseTest(c *conf.Ctx, words []string) (*test, error) {
	crit := words[0]
	words = words[1:]
	name, rest := crit, ""
	if i := strings.IndexAny(crit, "(,"); i >= 0 {
		name, rest = crit[:i], crit[i:]
	}
	var method pattern.Method
	expression := crit
	d, isKeyword := derived[name]
	if isKeyword {
		expression = d.fetch + rest
		if !strings.Contains(rest, "),") && !strings.HasPrefix(rest, ",") {
			method = d.method
		}
	}
	in := *c
	in.InACL = true
	expr, err := sample.Parse(&in, expression)
	switch {
	case err == nil:
	case isKeyword:
		return nil, fmt.Errorf("ACL keyword '%s' : %w", name, plain(err, d.fetch))
	case sample.FindFetch(name) == nil && !conf.IsKnown("smp", name):
		return nil, fmt.Errorf("%w in ACL expression '%s'%s", err, crit, config.DidYouMean(name, criteria()))
	default:
		return nil, fmt.Errorf("%w in ACL expression '%s'", err, crit)
	}
	t := &test{expr: expr}
	use, id := pattern.Use{ACL: true, Names: true}, -1
	settle := func() error { // the method, once patterns come
		if method != "" {
			return nil
		}
		var ok bool
		if method, ok = pattern.Default(expr.Type()); !ok {
			return fmt.Errorf("matching method must be specified first (using '-m') when using a sample fetch of this type ('%s')", name)
		}
		return nil
	}
	flagged := len(words) > 0
flags:
	for len(words) > 0 && strings.HasPrefix(words[0], "-") && len(words[0]) > 1 {
		w := words[0]
		arg, took := "", 1
		if len(words) > 1 {
			arg = words[1]
		}
		switch w {
		case "-i":
			use.Fold = true
		case "-n":
			use.Names = false
		case "-M":
			use.Map = true
		case "-f":
			if err := settle(); err != nil {
				return nil, err
			}
			use.Method = method
			m, err := pattern.Load(c, arg, use)
			if err != nil {
				return nil, err
			}
			t.patterns = append(t.patterns, m)
			took = 2
		case "-u":
			n, err := strconv.Atoi(arg)
			if err != nil || n < 0 {
				return nil, errors.New("the argument of -u must be an integer")
			}
			id, took = n, 2
		case "-m":
			if len(t.patterns) > 0 {
				return nil, errors.New("'-m' must only be specified before patterns and files in parsing ACL expression")
			}
			if method = pattern.Method(arg); !method.Valid() {
				return nil, fmt.Errorf("unknown matching method '%s' when parsing ACL expression", arg)
			}
			took = 2
		case "--":
			words = words[1:]
			break flags
		default:
			if isNumber(w) {
				break flags
			}
			return nil, fmt.Errorf("'%s' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'", w)
		}
		words = words[min(took, len(words)):]
	}
	if err := settle(); err != nil {
		return nil, err
	}
	line, err := pattern.Inline(c, name, method, use.Fold, id, words)
	if err != nil {
		return nil, err
	}
	if use.Names && method == pattern.IP {
		line.SetNames(c)
	}
	files := len(t.patterns)
	t.patterns = append(t.patterns, line)
	for i := 0; i < len(words); i++ {
		if pattern.IsOperator(words[i]) && (method == pattern.Int || method == pattern.Len) {
			if i+1 == len(words) {
				return nil, fmt.Errorf("missing number after operator '%s'", words[i])
			}
			op := words[i]
			for i+1 < len(words) && !pattern.IsOperator(words[i+1]) {
				i++
				if err := line.AddOperator(op, words[i]); err != nil {
					return nil, err
				}
			}
			continue
		}
		if err := line.Add(words[i]); err != nil {
			return nil, err
		}
	}
	if line.List.Len() == 0 && !flagged && method != pattern.Found && method != pattern.Bool && files == 0 {
		c.Warn("parsing acl keyword '%s' :\n"+
			"  no pattern to match against were provided, so this ACL will never match.\n"+
			"  If this is what you intended, please add '--' to get rid of this warning.\n"+
			"  If you intended to match only for existence, please use '-m found'.\n"+
			"  If you wanted to force an int to match as a bool, please use '-m bool'.", crit)
	}
	return t, nil
}

// plain takes the name of the fetch that a criterion stands for out of an error:
// it is not what was written.
func plain(err error, fetch string) error {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "fetch method '"+fetch+"' : "); ok {
		return errors.New(rest)
	}
	return err
}

func criteria() []string {
	out := sample.Names()
	for n := range derived {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

func isNumber(w string) bool {
	for _, b := range w[1:] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// predefined are the ACLs of chapter 7.4.
var predefined = map[string][]string{
	"FALSE":          {"always_false"},
	"HTTP":           {"req.ver", "-m", "found"},
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
	"TRUE":           {"always_true"},
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
