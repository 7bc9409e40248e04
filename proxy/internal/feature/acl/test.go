package acl

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// criterion is a word that stands for a fetch with a method.
type criterion struct {
	fetch  string
	method pattern.Method
	// dotted tells that patterns are versions: "3.1".
	dotted bool
}

// derived are criteria that are a fetch with a method.
var derived = func() map[string]criterion {
	m := map[string]criterion{
		"method":             {fetch: "method", method: pattern.Str},
		"payload":            {fetch: "req.payload", method: pattern.Bin},
		"payload_lv":         {fetch: "req.payload_lv", method: pattern.Bin},
		"req.ssl_ver":        {fetch: "req.ssl_ver", method: pattern.Int, dotted: true},
		"req_rdp_cookie":     {fetch: "req.rdp_cookie", method: pattern.Str},
		"req_rdp_cookie_cnt": {fetch: "req.rdp_cookie_cnt", method: pattern.Int},
		"req_ssl_sni":        {fetch: "req.ssl_sni", method: pattern.Str},
		"req_ssl_ver":        {fetch: "req.ssl_ver", method: pattern.Int, dotted: true},
		"req_ver":            {fetch: "req.ver", method: pattern.Str},
		"resp_ver":           {fetch: "res.ver", method: pattern.Str},
		"ssl_fc_sni_end":     {fetch: "ssl_fc_sni", method: pattern.End},
		"ssl_fc_sni_reg":     {fetch: "ssl_fc_sni", method: pattern.Reg},
	}
	suffixes := []pattern.Method{pattern.Beg, pattern.Dir, pattern.Dom, pattern.End, pattern.Len, pattern.Reg, pattern.Sub}
	for short, fetch := range map[string]string{
		"base": "base", "hdr": "req.hdr", "path": "path", "shdr": "res.hdr", "url": "url", "cook": "req.cook", "scook": "res.cook", "urlp": "urlp",
	} {
		m[short] = criterion{fetch: fetch, method: pattern.Str}
		for _, s := range suffixes {
			m[short+"_"+string(s)] = criterion{fetch: fetch, method: s}
		}
	}
	return m
}()

// testParser reads "criterion [flags] [operator] patterns…".
type testParser struct {
	c      *conf.Ctx
	test   *test
	words  []string // that are left
	word   string   // the criterion as written
	name   string   // without arguments and converters
	dotted bool
	method pattern.Method // "": not known yet
	use    pattern.Use
	id     int
}

// parseTest compiles a criterion with its patterns.
func parseTest(c *conf.Ctx, words []string) (*test, error) {
	if len(words) == 0 {
		return nil, errors.New("missing fetch method in ACL expression ''")
	}
	p := &testParser{c: c, test: &test{}, words: words[1:], word: words[0], use: pattern.Use{ACL: true, Names: true}, id: -1}
	if err := p.expression(); err != nil {
		return nil, err
	}
	flagged := len(p.words) > 0
	if err := p.flags(); err != nil {
		return nil, err
	}
	if err := p.resolve(); err != nil {
		return nil, err
	}
	files := len(p.test.patterns)
	line, err := p.patterns()
	if err != nil {
		return nil, err
	}
	if line.Len() == 0 && !flagged && p.method != pattern.Found && p.method != pattern.Bool && files == 0 {
		c.Warn("parsing acl keyword '%s' :\n"+
			"  no pattern to match against were provided, so this ACL will never match.\n"+
			"  If this is what you intended, please add '--' to get rid of this warning.\n"+
			"  If you intended to match only for existence, please use '-m found'.\n"+
			"  If you wanted to force an int to match as a bool, please use '-m bool'.", p.word)
	}
	return p.test, nil
}

// expression compiles the criterion, which may say the method as well.
func (p *testParser) expression() error {
	name, rest := p.word, ""
	if i := strings.IndexAny(p.word, "(,"); i >= 0 {
		name, rest = p.word[:i], p.word[i:]
	}
	p.name = name
	text := p.word
	d, isKeyword := derived[name]
	if isKeyword {
		text = d.fetch + rest
		if !strings.Contains(rest, "),") && !strings.HasPrefix(rest, ",") {
			p.method, p.dotted = d.method, d.dotted
		}
	}
	in := *p.c
	in.InACL = true
	var err error
	p.test.expr, err = sample.Parse(&in, text)
	switch {
	case err == nil:
		return nil
	case isKeyword:
		return fmt.Errorf("ACL keyword '%s' : %w", name, plain(err, d.fetch))
	case sample.FindFetch(name) == nil && !conf.IsKnown("smp", name):
		return fmt.Errorf("%w in ACL expression '%s'%s", err, p.word, config.DidYouMean(name, criteria()))
	}
	return fmt.Errorf("%w in ACL expression '%s'", err, p.word)
}

// resolve finds the method, once patterns come.
func (p *testParser) resolve() error {
	if p.method != "" {
		return nil
	}
	var ok bool
	if p.method, ok = pattern.Default(p.test.expr.Type()); !ok {
		return fmt.Errorf("matching method must be specified first (using '-m') when using a sample fetch of this type ('%s')", p.name)
	}
	return nil
}

// flags reads the words that begin with a hyphen, up to the patterns.
func (p *testParser) flags() error {
	for len(p.words) > 0 && strings.HasPrefix(p.words[0], "-") && len(p.words[0]) > 1 {
		w := p.words[0]
		switch {
		case w == "--":
			p.words = p.words[1:]
			return nil
		case isNumber(w):
			return nil
		}
		arg := ""
		if len(p.words) > 1 {
			arg = p.words[1]
		}
		took, err := p.flag(w, arg)
		if err != nil {
			return err
		}
		p.words = p.words[min(took, len(p.words)):]
	}
	return nil
}

// flag reads one of them, and tells how many words it took.
func (p *testParser) flag(w, arg string) (took int, err error) {
	switch w {
	case "-i":
		p.use.Fold = true
		return 1, nil
	case "-n":
		p.use.Names = false
		return 1, nil
	case "-M":
		p.use.Map = true
		return 1, nil
	case "-f":
		if err := p.resolve(); err != nil {
			return 0, err
		}
		p.use.Method = p.method
		m, err := pattern.Load(p.c, arg, p.use)
		p.test.patterns = append(p.test.patterns, m)
		return 2, err
	case "-u":
		if p.id, err = strconv.Atoi(arg); err != nil || p.id < 0 {
			return 0, errors.New("the argument of -u must be an integer")
		}
		return 2, nil
	case "-m":
		if len(p.test.patterns) > 0 {
			return 0, errors.New("'-m' must only be specified before patterns and files in parsing ACL expression")
		}
		if p.method = pattern.Method(arg); !p.method.Valid() {
			return 0, fmt.Errorf("unknown matching method '%s' when parsing ACL expression", arg)
		}
		p.dotted = false
		return 2, nil
	}
	return 0, fmt.Errorf("'%s' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'", w)
}

// patterns reads what is left of the line.
func (p *testParser) patterns() (*pattern.Matcher, error) {
	words := p.words
	if p.dotted {
		var err error
		if words, err = numbers(words); err != nil {
			return nil, err
		}
	}
	line, err := pattern.Inline(p.c, p.name, p.method, p.use.Fold, p.id, words)
	if err != nil {
		return nil, err
	}
	if p.use.Names && p.method == pattern.IP {
		line.SetNames(p.c)
	}
	p.test.patterns = append(p.test.patterns, line)
	compares := p.method == pattern.Int || p.method == pattern.Len
	for i := 0; i < len(words); i++ {
		if !compares || !pattern.IsOperator(words[i]) {
			if err := line.Add(words[i]); err != nil {
				return nil, err
			}
			continue
		}
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
	}
	return line, nil
}

// numbers makes numbers of versions: "3.1" is 196609, "3.0:3.3" a range, and "3" all
// that begin with 3.
func numbers(words []string) ([]string, error) {
	out := make([]string, len(words))
	for i, w := range words {
		if pattern.IsOperator(w) {
			out[i] = w
			continue
		}
		low, high, isRange := strings.Cut(w, ":")
		if !isRange && !strings.Contains(w, ".") {
			low, high, isRange = w+".0", w+".65535", true
		}
		var err error
		if out[i], err = number(low); err == nil && isRange {
			high, err = number(high)
			out[i] += ":" + high
		}
		if err != nil {
			return nil, fmt.Errorf("'%s' is not a valid version", w)
		}
	}
	return out, nil
}

// number makes one of "major.minor"; nothing stays nothing, the end of a range.
func number(version string) (string, error) {
	if version == "" {
		return "", nil
	}
	major, minor, dot := strings.Cut(version, ".")
	if !dot {
		minor = "0"
	}
	a, err := strconv.ParseUint(major, 10, 16)
	if err != nil {
		return "", err
	}
	b, err := strconv.ParseUint(minor, 10, 16)
	return strconv.FormatUint(a<<16|b, 10), err
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
