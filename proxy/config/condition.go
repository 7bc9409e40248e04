package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxConditionDepth bounds nested parentheses in a condition.
const maxConditionDepth = 256

// ConditionError says what is wrong with a condition and at which byte of it.
type ConditionError struct {
	Text string
	At   int
}

// Error returns the text alone.
func (e *ConditionError) Error() string { return e.Text }

// EvalCondition decides a condition as it stands behind ".if" or the -cc argument (manual 2.4). The words are joined and
// variables expanded already. An empty condition is false. The error is a *ConditionError.
func EvalCondition(expr string, opt Options) (bool, error) {
	if expr == "" {
		return false, nil
	}
	c := condition{expr: expr, opt: &opt}
	ok, err := c.or(0)
	if err != nil {
		return false, err
	}
	c.blanks()
	if c.at < len(expr) {
		return false, c.fail(c.at, "unexpected character '%c' at the end of conditional expression '%s'", expr[c.at], expr)
	}
	return ok, nil
}

// EvalArgument decides the argument of -cc (management manual chapter 3). It is cut into words and its variables are expanded
// as on a line of a configuration, before it is evaluated.
func EvalArgument(text string, opt Options) (bool, error) {
	words, _, err := split([]byte(text), opt.lookup)
	switch {
	case err != nil && err.tooMany:
		return false, fmt.Errorf("%s: %s", "Error in condition", "Too many words.")
	case err != nil:
		what := strings.ToUpper(err.text[:1]) + err.text[1:] + "."
		return false, fmt.Errorf("%s: %s", "Syntax Error in condition", what)
	}
	ok, cerr := EvalCondition(join(words), opt)
	if cerr != nil {
		return false, fmt.Errorf("%s: %w", "Failed to evaluate condition", cerr)
	}
	return ok, nil
}

// join puts words together again as conditions want them: one blank between two, nothing behind an empty word.
func join(words []word) string {
	var list []string
	for _, w := range words {
		if w.text == "" {
			break
		}
		list = append(list, w.text)
	}
	return strings.Join(list, " ")
}

type condition struct {
	expr string
	at   int
	opt  *Options
}

func (c *condition) fail(at int, format string, args ...any) error {
	return &ConditionError{Text: fmt.Sprintf(format, args...), At: at}
}

func (c *condition) blanks() {
	for c.at < len(c.expr) && isSpace(c.expr[c.at]) {
		c.at++
	}
}

func (c *condition) take(sign string) bool {
	c.blanks()
	if strings.HasPrefix(c.expr[c.at:], sign) {
		c.at += len(sign)
		return true
	}
	return false
}

// Both operands are always parsed, so that an error behind a decided one shows; evaluation has no side effects.
func (c *condition) or(depth int) (bool, error) {
	value := false
	for {
		v, err := c.and(depth)
		if err != nil {
			return false, err
		}
		value = value || v
		if more, err := c.operator("||"); !more || err != nil {
			return value, err
		}
	}
}

func (c *condition) and(depth int) (bool, error) {
	value := true
	for {
		v, err := c.term(depth)
		if err != nil {
			return false, err
		}
		value = value && v
		if more, err := c.operator("&&"); !more || err != nil {
			return value, err
		}
	}
}

// operator takes an operator, behind which something must follow.
func (c *condition) operator(sign string) (bool, error) {
	if !c.take(sign) {
		return false, nil
	}
	at := c.at - len(sign)
	if c.blanks(); c.at == len(c.expr) {
		return false, c.fail(at, "unparsable conditional expression '%s'", c.expr[at:])
	}
	return true, nil
}

func (c *condition) term(depth int) (bool, error) {
	c.blanks()
	start := c.at
	neg := false
	for c.take("!") {
		neg = !neg
	}
	c.blanks()
	v, err := c.primary(depth, start)
	return v != neg && err == nil, err
}

func (c *condition) primary(depth, start int) (bool, error) {
	rest := c.expr[c.at:]
	if n := numberLen(rest); n > 0 {
		c.at += n
		return strings.Trim(rest[:n], "+-0xX") != "", nil
	}
	if strings.HasPrefix(rest, "(") {
		if depth >= maxConditionDepth {
			return false, c.fail(c.at, "conditional expression is nested too deeply (maximum is %d)", maxConditionDepth)
		}
		open := c.at
		c.at++
		v, err := c.or(depth + 1)
		if err != nil {
			return false, err
		}
		if !c.take(")") {
			return false, c.fail(open, "expected ')' after conditional expression '%s'", c.expr[open:])
		}
		return v, nil
	}
	n := 0
	for n < len(rest) && isNameChar(rest[n]) {
		n++
	}
	p, known := predicates[rest[:n]]
	if !known {
		return false, c.fail(start, "unparsable conditional expression '%s'", c.expr[start:])
	}
	c.at += n
	args, err := c.arguments(rest[:n], p.args)
	if err != nil {
		return false, err
	}
	return p.eval(c.opt, args), nil
}

// numberLen returns the length of a number with an optional sign, decimal or hexadecimal (0x…), or 0.
func numberLen(s string) int {
	n := 0
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		n++
	}
	digits := n
	if h := n + 2; h < len(s) && s[n] == '0' && s[n+1]|0x20 == 'x' && unhex(s[h]) >= 0 {
		for n = h; n < len(s) && unhex(s[n]) >= 0; n++ {
		}
		return n
	}
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n == digits {
		return 0
	}
	return n
}

// arguments reads "(a,b)". Quotes and backslashes work as at the top level (manual 2.2). A predicate of one argument
// may stand alone, its argument is then empty.
func (c *condition) arguments(name string, want int) ([]string, error) {
	args := []string{}
	closed := true
	if c.at < len(c.expr) && c.expr[c.at] == '(' {
		c.at++
		closed = false
		for {
			a, err := c.argument(name)
			if err != nil {
				return nil, err
			}
			args = append(args, a)
			if len(args) < want && c.at < len(c.expr) && c.expr[c.at] == ',' {
				c.at++
				continue
			}
			break
		}
		if c.at < len(c.expr) && c.expr[c.at] == ')' {
			c.at++
			closed = true
		}
	}
	if want == 1 && len(args) == 0 {
		args = append(args, "")
	}
	where := fmt.Sprintf("in argument 1 of predicate '%s' used in conditional expression", name)
	if len(args) < want {
		return nil, c.fail(max(c.at-1, 0), "missing arguments (got %d/%d), type 'string' expected %s", len(args), want, where)
	}
	if !closed && c.at < len(c.expr) {
		return nil, c.fail(c.at, "expected ')' before '%s' %s", c.expr[c.at:], where)
	}
	if !closed {
		return nil, c.fail(c.at, "expected ')' %s", where)
	}
	return args, nil
}

func (c *condition) argument(name string) (string, error) {
	var b strings.Builder
	var quote byte
	since := c.at
	for ; c.at < len(c.expr); c.at++ {
		ch := c.expr[c.at]
		switch {
		case quote == 0 && (ch == ',' || ch == ')'):
			return b.String(), nil
		case (ch == '"' || ch == '\'') && quote == 0:
			quote, since = ch, c.at
		case quote != 0 && ch == quote:
			quote = 0
		case ch == '\\' && quote != '\'' && c.at+1 < len(c.expr):
			if e := strings.IndexByte(`\ '"rnt`, c.expr[c.at+1]); e >= 0 {
				ch = "\\ '\"\r\n\t"[e]
				c.at++
			}
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
		}
	}
	if quote != 0 {
		return "", c.fail(since, "unmatched quote in arguments of predicate '%s' used in conditional expression", name)
	}
	return b.String(), nil
}

type predicate struct {
	args int
	eval func(*Options, []string) bool
}

// predicates are those of manual 2.4.
var predicates = map[string]predicate{
	"defined":         {1, func(o *Options, a []string) bool { _, ok := o.lookup(a[0]); return ok }},
	"feature":         {1, func(o *Options, a []string) bool { return slices.Contains(o.Features, a[0]) }},
	"enabled":         {1, func(o *Options, a []string) bool { return slices.Contains(o.Enabled, strings.ToUpper(a[0])) }},
	"streq":           {2, func(_ *Options, a []string) bool { return a[0] == a[1] }},
	"strneq":          {2, func(_ *Options, a []string) bool { return a[0] != a[1] }},
	"strstr":          {2, func(_ *Options, a []string) bool { return strings.Contains(a[0], a[1]) }},
	"version_atleast": {1, func(o *Options, a []string) bool { return compareVersions(o.Version, a[0]) >= 0 }},
	"version_before":  {1, func(o *Options, a []string) bool { return compareVersions(o.Version, a[0]) < 0 }},
	"openssl_version_atleast": {1, func(o *Options, a []string) bool {
		return o.OpenSSLVersion != "" && compareVersions(o.OpenSSLVersion, a[0]) >= 0
	}},
	"openssl_version_before": {1, func(o *Options, a []string) bool {
		return o.OpenSSLVersion != "" && compareVersions(o.OpenSSLVersion, a[0]) < 0
	}},
	"ssllib_name_startswith": {1, func(o *Options, a []string) bool { return strings.HasPrefix(o.SSLLibrary, a[0]) }},
	"awslc_api_atleast":      {1, func(o *Options, a []string) bool { return o.AWSLCAPI > 0 && o.AWSLCAPI >= leadingInt(a[0]) }},
	"awslc_api_before":       {1, func(o *Options, a []string) bool { return o.AWSLCAPI > 0 && o.AWSLCAPI < leadingInt(a[0]) }},
}

func leadingInt(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	v, err := strconv.Atoi(s[:n])
	if err != nil && n > 0 {
		return int(^uint(0) >> 1)
	}
	return v
}

// compareVersions compares versions as "haproxy -v" shows them: 2.4, 3.4.1, 2.4-dev19, 3.0-rc2, 3.1-dev5-1a2b3c-12.
// A development version comes before a release candidate, and that before the release. Missing parts count as zero.
func compareVersions(a, b string) int { return slices.Compare(versionParts(a), versionParts(b)) }

// versionParts returns major, minor, stage (dev, rc, release), number within the stage, commits on top.
func versionParts(v string) []int {
	const dev, rc, release = 0, 1, 2
	parts := []int{0, 0, release, 0, 0}
	num := func() int {
		n := leadingInt(v)
		v = strings.TrimLeft(v, "0123456789")
		return n
	}
	skip := func(prefix string) bool {
		rest, ok := strings.CutPrefix(v, prefix)
		v = rest
		return ok
	}
	parts[0] = num()
	if skip(".") {
		parts[1] = num()
	}
	switch {
	case skip("-dev"):
		parts[2], parts[3] = dev, num()
	case skip("-rc"):
		parts[2], parts[3] = rc, num()
	case skip("."):
		parts[3] = num()
	}
	// what is left may be "-<commit>-<count>": the count follows the last dash
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		v = v[i+1:]
		if n := num(); v == "" {
			parts[4] = n
		}
	}
	return parts
}
