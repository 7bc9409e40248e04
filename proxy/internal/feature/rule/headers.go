package rule

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	all := Request | Response | AfterResponse
	RegisterAction(
		Action{Name: "set-header", In: all, Parse: setHeader},
		Action{Name: "add-header", In: all, Parse: addHeader},
		Action{Name: "del-header", In: all, Parse: delHeader},
		Action{Name: "replace-header", In: all, Parse: replaceHeader},
		Action{Name: "replace-value", In: all, Parse: replaceValue},
		Action{Name: "replace-path", In: Request, Parse: replaceTarget(func(st *stream.Stream) []byte { return st.Req.Path() }, func(st *stream.Stream, v []byte) []byte {
			return keepOrigin(st, join(st, v, query(st.Req.PathQuery())))
		})},
		Action{Name: "replace-pathq", In: Request, Parse: replaceTarget(func(st *stream.Stream) []byte { return st.Req.PathQuery() }, keepOrigin)},
		Action{Name: "replace-uri", In: Request, Parse: replaceTarget(func(st *stream.Stream) []byte { return st.Req.Target }, func(_ *stream.Stream, v []byte) []byte { return v })},
		Action{Name: "set-method", In: Request, Parse: setMethod},
		Action{Name: "set-path", In: Request, Parse: setTarget(func(st *stream.Stream, v []byte) []byte { return join(st, v, query(st.Req.PathQuery())) })},
		Action{Name: "set-pathq", In: Request, Parse: setTarget(func(_ *stream.Stream, v []byte) []byte { return v })},
		Action{Name: "set-query", In: Request, Parse: setTarget(func(st *stream.Stream, v []byte) []byte {
			if len(v) == 0 && st.Req.Query() == nil {
				return st.Req.Path()
			}
			return join(st, join(st, st.Req.Path(), questionMark), v)
		})},
		Action{Name: "set-uri", In: Request, Parse: setURI},
		Action{Name: "set-status", In: Response | AfterResponse, Parse: setStatus},
		Action{Name: "allow", In: all, Final: true, Parse: func(*Line) (Exec, error) {
			return func(*stream.Scope) stream.Verdict { return stream.Stop }, nil
		}},
	)
}

// nameAndFormat reads "<name> <fmt>".
func nameAndFormat(l *Line) (name []byte, f *logformat.Format, err error) {
	n, err := l.Take("exactly 2 arguments")
	if err != nil {
		return nil, nil, err
	}
	v, err := l.Take("exactly 2 arguments")
	if err != nil {
		return nil, nil, err
	}
	if err := validName(n); err != nil {
		return nil, nil, err
	}
	if strings.HasSuffix(n, ":") {
		l.Diags.Diag(l.Pos, "the colon at the end of the header name '%s' is sent, in front of the one that ends the name.", n)
	}
	f, err = l.Format(v)
	return []byte(strings.ToLower(n)), f, err
}

// validName refuses names that could not be sent. A colon at the end can: who
// receives "name:: value" takes the second one for the beginning of the value.
// Configurations have it, and HAProxy sends it.
func validName(n string) error {
	n = strings.TrimRight(n, ":")
	if n == "" {
		return fmt.Errorf("empty header name")
	}
	for _, c := range []byte(n) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return fmt.Errorf("character '%c' is not permitted in header name '%s'", c, n)
		}
	}
	return nil
}

func setHeader(l *Line) (Exec, error) {
	name, f, err := nameAndFormat(l)
	phase := l.Phase
	key := string(name)
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		v := compute(st, f) // before the old ones go: it may be made from them
		h := header(st, phase)
		h.Del(key)
		h.Add(name, v)
		follow(st, phase, key, v)
		return stream.Continue
	}, err
}

func addHeader(l *Line) (Exec, error) {
	name, f, err := nameAndFormat(l)
	phase := l.Phase
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		header(st, phase).Add(name, compute(st, f))
		return stream.Continue
	}, err
}

// follow keeps what was derived from a field in step with it: an absolute target
// names the host as well.
func follow(st *stream.Stream, p Phase, name string, v []byte) {
	if p != Request || name != "host" {
		return
	}
	st.Req.Host = v
	if start, end := authority(st.Req.Target); end > 0 && len(v) > 0 && validToken(v) {
		st.Req.Target = join(st, join(st, st.Req.Target[:start], v), st.Req.Target[end:])
	}
}

// authority finds the authority of a target in absolute form; end is 0 for the
// other forms.
func authority(target []byte) (start, end int) {
	i := bytes.Index(target, schemeEnd)
	if i <= 0 || target[0] == '/' {
		return 0, 0
	}
	start = i + len(schemeEnd)
	for end = start; end < len(target) && target[end] != '/' && target[end] != '?'; {
		end++
	}
	return start, end
}

func delHeader(l *Line) (Exec, error) {
	n, err := l.Take("at least 1 argument")
	if err != nil {
		return nil, err
	}
	phase := l.Phase
	method := pattern.Str
	if l.Peek() == "-m" {
		l.Next()
		method = pattern.Method(l.Next())
		switch method {
		case pattern.Str, pattern.Beg, pattern.End, pattern.Sub, pattern.Reg:
		default:
			return nil, fmt.Errorf("-m with unsupported matching method '%s'", method)
		}
	}
	key := strings.ToLower(n)
	if method == pattern.Str {
		return func(sc *stream.Scope) stream.Verdict {
			st := sc.Stream
			header(st, phase).Del(key)
			return stream.Continue
		}, nil
	}
	list := pattern.New(method, true)
	if err := list.Add(n); err != nil {
		return nil, err
	}
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		h := header(st, phase)
		for i := range h.Fields {
			v := sample.Value{Type: sample.Str, Bytes: h.Fields[i].Name}
			if v.Bytes != nil && list.Match(&v) {
				h.Fields[i] = message.Field{}
			}
		}
		return stream.Continue
	}, nil
}

// substitution is a regular expression and what its match is replaced by.
type substitution struct {
	re *pattern.Regexp
	to *logformat.Format
}

// replacement reads the name of a field and what is replaced in it.
func (l *Line) replacement() (key string, s substitution, err error) {
	const expects = "exactly 3 arguments"
	name, err := l.Take(expects)
	if err != nil {
		return "", s, err
	}
	s, err = l.substitution(expects)
	return strings.ToLower(name), s, err
}

func (l *Line) substitution(expects string) (s substitution, err error) {
	rx, err := l.Take(expects)
	if err != nil {
		return s, err
	}
	to, err := l.Take(expects)
	if err != nil {
		return s, err
	}
	if s.re, err = pattern.CompileRegexp(rx); err != nil {
		return s, fmt.Errorf("regex '%s' is invalid: %v", rx, err)
	}
	s.to, err = l.Format(to)
	return s, err
}

// apply replaces the first match in v, \0 to \9 standing for its groups.
func (s *substitution) apply(st *stream.Stream, v []byte) ([]byte, bool) {
	var g pattern.Groups
	if !s.re.Submatch(v, &g) {
		return v, false
	}
	t := compute(st, s.to)
	out := append(st.Scratch(), v[:g[0]]...)
	out = pattern.Expand(out, t, v, g[:])
	return st.Keep(append(out, v[g[1]:]...)), true
}

// replaceHeader rewrites whole values.
func replaceHeader(l *Line) (Exec, error) { return l.replace((*substitution).apply) }

// replaceValue rewrites each element of comma-separated lists.
func replaceValue(l *Line) (Exec, error) { return l.replace((*substitution).applyToEach) }

// replace makes what rewrites the values of a header.
func (l *Line) replace(apply func(s *substitution, st *stream.Stream, v []byte) ([]byte, bool)) (Exec, error) {
	key, s, err := l.replacement()
	if err != nil {
		return nil, err
	}
	phase := l.Phase
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		h := header(st, phase)
		for i := h.Next(key, 0); i >= 0; i = h.Next(key, i+1) {
			if v, ok := apply(&s, st, h.Fields[i].Value); ok {
				h.Fields[i].Value = v
				follow(st, phase, key, v)
			}
		}
		return stream.Continue
	}, nil
}

// applyToEach is apply for each element of a list.
func (s *substitution) applyToEach(st *stream.Stream, list []byte) ([]byte, bool) {
	out := st.Scratch()
	changed, done := false, 0
	for from := 0; from < len(list); {
		start, end, next := sample.Element(list, from)
		if v, ok := s.apply(st, list[start:end]); ok {
			out = append(append(out, list[done:start]...), v...)
			changed, done = true, end
		}
		from = next
	}
	if !changed {
		st.Drop(out)
		return list, false
	}
	return st.Keep(append(out, list[done:]...)), true
}

// replaceTarget rewrites a part of the target: get gives it, put makes the new
// target's path and query of what it became.
func replaceTarget(get func(*stream.Stream) []byte, put func(st *stream.Stream, v []byte) []byte) func(*Line) (Exec, error) {
	return func(l *Line) (Exec, error) {
		s, err := l.substitution("exactly 2 arguments")
		return func(sc *stream.Scope) stream.Verdict {
			st := sc.Stream
			v, ok := s.apply(st, get(st))
			if ok {
				if v = put(st, v); len(v) == 0 || !validToken(v) {
					failedRewrite(st)
				} else {
					putURI(st, v)
				}
			}
			return stream.Continue
		}, err
	}
}

// keepOrigin gives an absolute target its beginning back.
func keepOrigin(st *stream.Stream, v []byte) []byte {
	old := st.Req.PathQuery()
	if n := len(st.Req.Target) - len(old); n > 0 && len(old) > 0 {
		return join(st, st.Req.Target[:n], v)
	}
	return v
}

func one(l *Line) (*logformat.Format, error) {
	v, err := l.Take("exactly 1 argument <format>")
	if err != nil {
		return nil, err
	}
	return l.Format(v)
}

func setMethod(l *Line) (Exec, error) {
	f, err := one(l)
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		if v := compute(st, f); len(v) > 0 && validToken(v) {
			st.Req.MethodName, st.Req.Method = v, message.MethodOf(v)
		} else {
			failedRewrite(st)
		}
		return stream.Continue
	}, err
}

func validToken(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// failedRewrite counts an edit that could not be made.
func failedRewrite(st *stream.Stream) {
	st.FE.FE.Counters[st.R.Index].FailedRewrites.Add(1)
	if l := st.Listening(); l != nil {
		l.FailedRewrites.Add(1)
	}
}

var questionMark = []byte("?")

func join(st *stream.Stream, a, b []byte) []byte { return st.Join(a, b) }

func query(pathQuery []byte) []byte {
	for i, c := range pathQuery {
		if c == '?' {
			return pathQuery[i:]
		}
	}
	return nil
}

// setTarget replaces the path and query of the target; an absolute form keeps
// its beginning.
func setTarget(make func(st *stream.Stream, v []byte) []byte) func(*Line) (Exec, error) {
	return func(l *Line) (Exec, error) {
		f, err := one(l)
		return func(sc *stream.Scope) stream.Verdict {
			st := sc.Stream
			v := make(st, compute(st, f))
			if !validToken(v) || len(v) == 0 {
				failedRewrite(st)
				return stream.Continue
			}
			st.Req.Target = keepOrigin(st, v)
			return stream.Continue
		}, err
	}
}

func setURI(l *Line) (Exec, error) {
	f, err := one(l)
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		if v := compute(st, f); len(v) > 0 && validToken(v) {
			putURI(st, v)
		} else {
			failedRewrite(st)
		}
		return stream.Continue
	}, err
}

// putURI replaces the whole target. The host field follows one in absolute form.
func putURI(st *stream.Stream, v []byte) {
	st.Req.Target = v
	start, end := authority(v)
	if end <= start {
		return
	}
	host := v[start:end:end]
	st.Req.Host = host
	if i := st.Req.Next("host", 0); i >= 0 {
		st.Req.Fields[i].Value = host
	}
}

func setStatus(l *Line) (Exec, error) {
	w, err := l.Take("1 argument: <status>; or 3 arguments: <status> reason <fmt>")
	if err != nil {
		return nil, err
	}
	status, err := strconv.Atoi(w)
	if err != nil || status < 100 || status > 999 {
		return nil, fmt.Errorf("expects an integer status code between 100 and 999")
	}
	reason := []byte(message.Reason(status))
	if l.Peek() == "reason" && len(l.Rest()) > 1 {
		l.Next()
		r, err := l.Take("a text after \"reason\"")
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(r, "\r\n\x00") {
			return nil, fmt.Errorf("the reason holds a line end")
		}
		reason = []byte(r)
	}
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		st.Res.Status, st.Res.Reason = status, reason
		return stream.Continue
	}, nil
}
