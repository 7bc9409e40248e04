package check

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// expect is what a response must be like.
type expect struct {
	what    what
	not     bool
	minRecv int // bytes of body to wait for at least, -1: not said
	// Statuses that the rule gives instead of the usual ones, "" for those.
	ok, bad, late string

	ranges [][2]int // status
	text   []byte   // string
	re     *regexp.Regexp
	name   matcher // hdr, fhdr
	value  matcher // unset: presence is enough
}

type what uint8

const (
	status what = iota
	rstatus
	body
	rbody
	header
	fullHeader
)

var whats = map[string]what{"status": status, "rstatus": rstatus, "string": body, "rstring": rbody, "hdr": header, "fhdr": fullHeader}

// ofBody tells whether the rule is about the body.
func (e *expect) ofBody() bool { return e.what == body || e.what == rbody }

// matcher compares a string.
type matcher struct {
	how  string // "str", "beg", "end", "sub", "reg"; "": unset
	text []byte
	re   *regexp.Regexp
}

func (m *matcher) match(b []byte, fold bool) bool {
	if fold {
		b = message.AppendLower(nil, b)
	}
	switch m.how {
	case "beg":
		return bytes.HasPrefix(b, m.text)
	case "end":
		return bytes.HasSuffix(b, m.text)
	case "sub":
		return bytes.Contains(b, m.text)
	case "reg":
		return m.re.Match(b)
	}
	return bytes.Equal(b, m.text)
}

var (
	okStatuses   = []string{"L7OK", "L7OKC", "L6OK", "L4OK"}
	badStatuses  = []string{"L7OKC", "L7RSP", "L7STS", "L6RSP", "L4CON"}
	lateStatuses = []string{"L7TOUT", "L6TOUT", "L4TOUT"}
)

func expectRule(c *conf.Ctx) error {
	st := step{kind: expects, expect: expect{minRecv: -1}}
	args := c.Args
	if len(args) == 0 {
		return conf.Causef("expects at least a matching pattern as arguments.")
	}
	i, found := 0, false
	for i < len(args) {
		a := args[i]
		value := word(args, i+1)
		i += 2
		switch a {
		case "comment":
			if value == "" {
				return conf.Causef("'comment' expects a string as argument.")
			}
			st.comment = value
			continue
		case "min-recv":
			n, err := strconv.Atoi(value)
			if err != nil || n < -1 {
				return conf.Causef("'min-recv' expects -1 or a positive integer as argument.")
			}
			st.minRecv = n
			continue
		case "ok-status":
			if !slices.Contains(okStatuses, value) {
				return conf.Causef("'ok-status' only supports 'L4OK', 'L6OK', 'L7OK' or 'L7OKC' status (got '%s').", value)
			}
			st.ok = value
			continue
		case "error-status":
			if !slices.Contains(badStatuses, value) {
				return conf.Causef("'error-status' only supports 'L4CON', 'L6RSP', 'L7RSP', 'L7OKC' or 'L7STS' status (got '%s').", value)
			}
			st.bad = value
			continue
		case "tout-status":
			if !slices.Contains(lateStatuses, value) {
				return conf.Causef("'tout-status' only supports 'L4TOUT', 'L6TOUT' or 'L7TOUT' status (got '%s').", value)
			}
			st.late = value
			continue
		case "on-success", "on-error", "status-code", "string-lf", "!string-lf":
			return conf.NotYet("option", "http-check expect "+a)
		}
		i--
		if a == "!" {
			st.not = !st.not
			continue
		}
		name := a
		if rest, ok := strings.CutPrefix(a, "!"); ok {
			name, st.not = rest, !st.not
		}
		w, known := whats[name]
		if !known || found {
			return conf.Causef("'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment but got '%s' as argument.", a)
		}
		st.what, found = w, true
		n, err := st.expect.pattern(name, args[i:])
		if err != nil {
			return err
		}
		i += n
	}
	if !found {
		return conf.Causef("expects at least a matching pattern as arguments.")
	}
	add(c, st)
	return nil
}

// pattern takes what follows the kind of match and tells how many words it was.
func (e *expect) pattern(name string, args []string) (int, error) {
	if e.what == header || e.what == fullHeader {
		return e.header(name, args)
	}
	if len(args) == 0 || args[0] == "" {
		return 0, conf.Causef("'%s' expects a <pattern> as argument.", name)
	}
	var err error
	switch e.what {
	case status:
		err = e.codes(args[0])
	case body:
		e.text = []byte(args[0])
	default:
		e.re, err = compile(args[0])
	}
	return 1, err
}

func compile(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, conf.Causef("regex '%s' is invalid: %w.", text, err)
	}
	return re, nil
}

// codes reads a list of status codes and ranges.
func (e *expect) codes(text string) error {
	for _, part := range strings.Split(text, ",") {
		if part == "" {
			continue
		}
		a, b, isRange := strings.Cut(part, "-")
		low, err := strconv.Atoi(a)
		high := low
		if err == nil && isRange {
			high, err = strconv.Atoi(b)
		}
		if bad := strings.TrimLeft(text, "0123456789-,"); bad != "" {
			return conf.Causef("invalid character '%c' in the list of status codes.", bad[0])
		}
		if err != nil || low < 0 || high < low || high > 999 {
			return conf.Causef("invalid list of status codes '%s'.", text)
		}
		e.ranges = append(e.ranges, [2]int{low, high})
	}
	if len(e.ranges) == 0 {
		return conf.Causef("invalid list of status codes '%s'.", text)
	}
	return nil
}

// header reads "name [-m <meth>] <name> [value [-m <meth>] <value>]".
func (e *expect) header(kind string, args []string) (int, error) {
	i := 0
	one := func(m *matcher) error {
		m.how = "str"
		if word(args, i) == "-m" {
			m.how = word(args, i+1)
			if !slices.Contains([]string{"str", "beg", "end", "sub", "reg"}, m.how) {
				return conf.Causef("'-m' : unsupported matching method '%s'.", m.how)
			}
			i += 2
		}
		text := word(args, i)
		if text == "" {
			return conf.Causef("'%s' expects a pattern.", kind)
		}
		i++
		m.text = []byte(text)
		var err error
		if m.how == "reg" {
			m.re, err = compile(text)
		}
		return err
	}
	if strings.HasSuffix(word(args, 0), "-lf") {
		return 0, conf.NotYet("option", "http-check expect "+kind+" "+args[0])
	}
	if word(args, 0) != "name" || len(args) < 2 {
		return 0, conf.Causef("'%s' expects at the name keyword as first argument followed by a pattern.", kind)
	}
	i = 1
	if err := one(&e.name); err != nil {
		return 0, err
	}
	if e.name.how == "reg" {
		re, err := compile("(?i)" + string(e.name.text))
		if err != nil {
			return 0, err
		}
		e.name.re = re
	}
	e.name.text = message.AppendLower(nil, e.name.text)
	switch word(args, i) {
	case "value-lf":
		return 0, conf.NotYet("option", "http-check expect "+kind+" value-lf")
	case "value":
		i++
		if err := one(&e.value); err != nil {
			return 0, err
		}
	}
	return i, nil
}

// matches tells whether the head or the body fits, without negation.
func (e *expect) matches(res *message.Response, content []byte) bool {
	switch e.what {
	case status:
		for _, r := range e.ranges {
			if res.Status >= r[0] && res.Status <= r[1] {
				return true
			}
		}
		return false
	case rstatus:
		return e.re.Match(strconv.AppendInt(nil, int64(res.Status), 10))
	case body:
		return bytes.Contains(content, e.text)
	case rbody:
		return e.re.Match(content)
	}
	for _, f := range res.Fields {
		if !e.name.match(f.Name, true) {
			continue
		}
		if e.value.how == "" || e.what == fullHeader && e.value.match(f.Value, false) {
			return true
		}
		if e.what == header && slices.ContainsFunc(elements(f.Value), func(v []byte) bool { return e.value.match(v, false) }) {
			return true
		}
	}
	return false
}

// elements splits a list at its commas, but not inside of quotes.
func elements(v []byte) [][]byte {
	var out [][]byte
	start, quoted := 0, false
	for i := 0; i <= len(v); i++ {
		if i == len(v) || v[i] == ',' && !quoted {
			out = append(out, bytes.TrimSpace(v[start:i]))
			start = i + 1
			continue
		}
		switch v[i] {
		case '"':
			quoted = !quoted
		case '\\':
			if quoted {
				i++
			}
		}
	}
	return out
}
