package check

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// expect is what a response must be like.
type expect struct {
	what    what
	not     bool
	minRecv int // bytes to wait for at least (of the body, in HTTP), -1: not said
	// Statuses that the rule gives instead of the usual ones, "" for those.
	ok, bad, late string
	// What is said instead of the usual words, nil for those, and the code.
	onSuccess, onError *logformat.Format
	code               *sample.Expr

	ranges [][2]int // status
	text   payload  // string, string-lf, binary, binary-lf
	re     *regexp.Regexp
	name   matcher // hdr, fhdr
	value  matcher // unset: presence is enough

	// How messages call what is looked for, "": the text itself.
	failedOn, awaited string
}

type what uint8

const (
	status what = iota
	rstatus
	content
	rcontent
	rbinary
	header
	fullHeader
)

// kindOfMatch is a word for what is looked at and how.
type kindOfMatch struct {
	what what
	// What says where it failed: "did not match content (regex)", "expect regex". With
	// neither, the text is named.
	failed, awaited string
}

// whats are the kinds of matches of each set of rules.
var whats = map[string]map[string]kindOfMatch{
	"http-check": {
		"status": {what: status}, "rstatus": {what: rstatus}, "string": {what: content}, "rstring": {what: rcontent}, "string-lf": {what: content},
		"hdr": {what: header}, "fhdr": {what: fullHeader},
	},
	"tcp-check": {
		"string": {what: content}, "string-lf": {content, "log-format string", "log-format string"},
		"rstring": {rcontent, "regex", "regex"}, "binary": {content, "binary", ""}, "binary-lf": {content, "log-format binary", "log-format binary"},
		"rbinary": {rbinary, "binary regex", "binary regex"},
	},
}

// onlySupports is what each set says to another word.
var onlySupports = map[string]string{
	"http-check": "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment but got '%s' as argument.",
	"tcp-check":  "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment but got '%s' as argument.",
}

// matcher compares a string.
type matcher struct {
	how  string // "str", "beg", "end", "sub", "reg"; "": unset
	text payload
	re   *regexp.Regexp
}

// match tells whether b is what is looked for: text, but for regular expressions.
func (m *matcher) match(b, text []byte) bool {
	switch m.how {
	case "beg":
		return bytes.HasPrefix(b, text)
	case "end":
		return bytes.HasSuffix(b, text)
	case "sub":
		return bytes.Contains(b, text)
	case "reg":
		return m.re.Match(b)
	}
	return bytes.Equal(b, text)
}

// expectRule is "http-check expect" and "tcp-check expect".
func expectRule(c *conf.Ctx, r *ruleset) error {
	st := step{kind: expects, expect: expect{minRecv: -1}}
	w := c.Words()
	if len(w.Rest()) == 0 {
		return conf.Causef("expects at least a matching pattern as arguments.")
	}
	found := false
	for len(w.Rest()) > 0 {
		name := w.Next()
		if name == "!" {
			name += w.Next()
		}
		bare, not := strings.CutPrefix(name, "!")
		kind, known := whats[r.word][bare]
		switch {
		case known && found:
			return conf.Causef("only on pattern expected.")
		case known:
			st.not, st.what, st.failedOn, st.awaited, found = not, kind.what, kind.failed, kind.awaited, true
			if err := st.expect.pattern(c, bare, &w); err != nil {
				return err
			}
			continue
		}
		read := expectOptions[bare]
		switch {
		case read == nil:
			return conf.Causef(onlySupports[r.word], name)
		case not:
			return conf.Causef("[!] not supported with '%s'.", bare)
		}
		if err := read(&st, c, &w); err != nil {
			return conf.Causef("%w", conf.About(bare, err))
		}
	}
	if !found {
		return conf.Causef("expects at least a matching pattern as arguments.")
	}
	r.add(st)
	return nil
}

// expectOptions are what may stand around the pattern.
var expectOptions = map[string]func(*step, *conf.Ctx, *conf.Words) error{
	"comment": func(st *step, _ *conf.Ctx, w *conf.Words) (err error) {
		st.comment, err = w.Value(aString)
		return err
	},
	"min-recv": func(st *step, _ *conf.Ctx, w *conf.Words) error {
		text, err := w.Value("a integer as argument.")
		if err != nil {
			return err
		}
		if st.minRecv, err = strconv.Atoi(text); err != nil || st.minRecv < -1 {
			return conf.Predicatef("expects -1 or an integer from 0 to INT_MAX.")
		}
		return nil
	},
	"ok-status":    statusOption(func(st *step) *string { return &st.ok }, "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'"),
	"error-status": statusOption(func(st *step) *string { return &st.bad }, "'L4CON', 'L6RSP', 'L7RSP', 'L7OKC' or 'L7STS'"),
	"tout-status":  statusOption(func(st *step) *string { return &st.late }, "'L4TOUT', 'L6TOUT' or 'L7TOUT'"),
	"on-success":   formatOption(func(st *step) **logformat.Format { return &st.onSuccess }),
	"on-error":     formatOption(func(st *step) **logformat.Format { return &st.onError }),
	"status-code": func(st *step, c *conf.Ctx, w *conf.Words) error {
		text, err := w.Value("an expression as argument.")
		if err != nil {
			return err
		}
		if st.code, err = expression(c, text); err != nil {
			return say("error detected while parsing status-code expression : %w.", err)
		}
		return nil
	},
}

func statusOption(of func(*step) *string, list string) func(*step, *conf.Ctx, *conf.Words) error {
	return func(st *step, _ *conf.Ctx, w *conf.Words) error {
		text, err := w.Value(aString)
		switch {
		case err != nil:
			return err
		case !strings.Contains(list, "'"+text+"'"):
			return conf.Predicatef("only supports %s status (got '%s').", list, text)
		}
		*of(st) = text
		return nil
	}
}

func formatOption(of func(*step) **logformat.Format) func(*step, *conf.Ctx, *conf.Words) error {
	return func(st *step, c *conf.Ctx, w *conf.Words) error {
		text, err := w.Value(aString)
		if err == nil {
			*of(st), err = formatOf(c, text)
		}
		return err
	}
}

// pattern takes what follows the kind of match.
func (e *expect) pattern(c *conf.Ctx, name string, w *conf.Words) error {
	if e.what == header || e.what == fullHeader {
		return e.header(c, name, w)
	}
	text := w.Next()
	if text == "" {
		return conf.Causef("'%s' expects a <pattern> as argument.", name)
	}
	var err error
	switch {
	case e.what == status:
		err = e.codes(text)
	case strings.HasSuffix(name, "-lf"):
		e.text.hexa = name == "binary-lf"
		e.text.format, err = formatOf(c, text)
	case name == "binary":
		if e.text.data, err = unhex(text); err != nil {
			err = say("invalid binary string (%w).", err)
		}
	case e.what == content:
		e.text.data = []byte(text)
	default:
		e.re, err = compile(text)
	}
	if err != nil {
		err = conf.Causef("%w", err)
	}
	return err
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

// header reads "name [-m <meth>] <name> [value [-m <meth>] <value>]", where both may
// be formats.
func (e *expect) header(c *conf.Ctx, kind string, w *conf.Words) error {
	const missing = "'%s' expects at the name keyword as first argument followed by a pattern."
	word := w.Next()
	if word != "name" && word != "name-lf" || len(w.Rest()) == 0 {
		return conf.Causef(missing, kind)
	}
	if err := e.name.pattern(c, kind, word == "name-lf", w); err != nil {
		return err
	}
	if e.name.how == "reg" {
		re, err := compile("(?i)" + string(e.name.text.data))
		if err != nil {
			return err
		}
		e.name.re = re
	}
	if word = w.Peek(); word != "value" && word != "value-lf" {
		return nil
	}
	w.Next()
	if len(w.Rest()) == 0 {
		return conf.Causef("'%s' expect a pattern with the value keyword.", kind)
	}
	return e.value.pattern(c, kind, word == "value-lf", w)
}

// pattern reads "[-m <meth>] <pattern>".
func (m *matcher) pattern(c *conf.Ctx, kind string, lf bool, w *conf.Words) (err error) {
	m.how = "str"
	if w.Is("-m") {
		m.how = w.Next()
		if !slices.Contains([]string{"str", "beg", "end", "sub", "reg"}, m.how) {
			return conf.Causef("'%s' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '%s').", kind, m.how)
		}
	}
	text := w.Next()
	switch {
	case text == "":
		return conf.Causef("'%s' expects a pattern.", kind)
	case lf && m.how == "reg":
		return conf.Causef("'%s': log-format string is not supported with a regex matching method.", kind)
	case lf:
		m.text.format, err = formatOf(c, text)
	case m.how == "reg":
		m.text.data = []byte(text)
		m.re, err = compile(text)
	default:
		m.text.data = []byte(text)
	}
	return err
}

// errEmpty is for formats that have no value: nothing is found everywhere.
var errEmpty = errors.New("log-format string evaluated to an empty string")

// wanted gives what to look for.
func (e *expect) wanted(sc *stream.Scope) ([]byte, error) {
	b, err := e.text.bytes(sc)
	switch {
	case err != nil:
		return nil, errors.New("Failed to parse hexastring resulting of eval of a log-format string")
	case len(b) == 0 && e.text.format != nil:
		return nil, errEmpty
	}
	return b, nil
}

// matchesText tells whether the text fits, without negation.
func (e *expect) matchesText(sc *stream.Scope, b []byte) (bool, error) {
	switch e.what {
	case rcontent:
		return e.re.Match(b), nil
	case rbinary:
		return e.re.Match(sample.AppendHex(nil, b)), nil
	}
	text, err := e.wanted(sc)
	return err == nil && bytes.Contains(b, text), err
}

// matchesHead tells whether the head fits, without negation.
func (e *expect) matchesHead(sc *stream.Scope, res *message.Response) (bool, error) {
	switch e.what {
	case status:
		for _, r := range e.ranges {
			if res.Status >= r[0] && res.Status <= r[1] {
				return true, nil
			}
		}
		return false, nil
	case rstatus:
		return e.re.Match(strconv.AppendInt(nil, int64(res.Status), 10)), nil
	}
	var patterns [2][]byte
	for i, m := range []*matcher{&e.name, &e.value} {
		patterns[i], _ = m.text.bytes(sc)
		if m.text.format != nil && len(patterns[i]) == 0 {
			return false, errEmpty
		}
	}
	name, value := message.AppendLower(nil, patterns[0]), patterns[1]
	for _, f := range res.Fields {
		if !e.name.match(message.AppendLower(nil, f.Name), name) {
			continue
		}
		if e.value.how == "" || e.what == fullHeader && e.value.match(f.Value, value) {
			return true, nil
		}
		if e.what == header && slices.ContainsFunc(elements(f.Value), func(v []byte) bool { return e.value.match(v, value) }) {
			return true, nil
		}
	}
	return false, nil
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
