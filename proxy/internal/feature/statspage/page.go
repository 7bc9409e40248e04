package statspage

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/stats"
)

// rule is the [stream.Rule] of a proxy with a page: the same for all, the settings
// hang on the proxy.
type rule struct{}

// asked gives the settings of the proxy at which the exchange is, if the request is
// for its page.
func asked(st *stream.Stream) *settings {
	s := pages.Of(st.BE) // the frontend itself until a backend is chosen
	q := &st.Req
	if s == nil || q.Method != message.Get && q.Method != message.Head && q.Method != message.Post {
		return nil
	}
	// HTTP/2 has all targets in absolute form; a client of HTTP/1 may.
	if t := q.PathQuery(); len(t) < len(s.uri) || string(t[:len(s.uri)]) != s.uri {
		return nil
	}
	return s
}

// needsBody tells that the form is about to be read: not of who may not send it.
func needsBody(st *stream.Stream) bool {
	s := asked(st)
	return s != nil && st.Req.Method == message.Post && len(s.admin) > 0
}

// Exec is of [stream.Rule].
func (rule) Exec(sc *stream.Scope) stream.Verdict {
	st := sc.Stream
	s := asked(st)
	if s == nil {
		return stream.Continue
	}
	a, realm := s.access(sc)
	if st.Term.Cause == 0 {
		st.Term = stream.Termination{Cause: 'L', State: 'R'}
		if a == "deny" {
			st.Term.Cause = 'P'
		}
	}
	st.Service = service{s} // which has the name in logs, whoever answers
	switch a {
	case "deny":
		st.Denied(false, st.FE == st.BE)
		st.Reply = st.ErrorReply(403)
	case "auth":
		st.Reply = challenge(st, realm)
	}
	return stream.Answer
}

// access tells what the rules say, and for whom to ask.
func (s *settings) access(sc *stream.Scope) (word, realm string) {
	for i := range s.rules {
		if a := &s.rules[i]; a.cond == nil || a.cond.Match(sc) {
			return a.word, a.realm
		}
	}
	if len(s.auth) > 0 && len(s.rules) == 0 && !s.knows(sc.Stream.Req.Get("authorization")) {
		return "auth", s.realm
	}
	return "allow", ""
}

// knows tells whether the value of an authorization field is that of an account. All
// are compared, each in the time that any would take.
func (s *settings) knows(value []byte) bool {
	scheme, code, _ := bytes.Cut(value, []byte(" "))
	if !bytes.EqualFold(scheme, []byte("basic")) {
		return false
	}
	got, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(code))
	if err != nil || !bytes.Contains(got, []byte(":")) {
		return false
	}
	known := 0
	for _, account := range s.auth {
		if !strings.Contains(account, ":") {
			account += ":"
		}
		known |= subtle.ConstantTimeCompare(got, []byte(account))
	}
	return known == 1
}

// challenge is the answer to who has to say who they are.
func challenge(st *stream.Stream, realm string) *stream.Reply {
	if realm == "" {
		realm = "HAProxy Statistics"
	}
	page := st.ErrorReply(401)
	rep := &st.OwnReply
	*rep = *page
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ").Replace(realm)
	rep.Fields = append(append([]message.Field(nil), page.Fields...), message.Field{Name: []byte("www-authenticate"), Value: []byte(`Basic realm="` + quoted + `"`)})
	return rep
}

// request is what the target asks for behind the prefix.
type request struct {
	form                   string // "html", "csv", "typed", "json", "json-schema", "live"
	up, noMaint, norefresh bool
	status                 string // of the form that was sent: "DONE"
	scope                  string // part of the names that are shown
}

// maxScope is how much of a scope counts, in bytes.
const maxScope = 20

// read reads what follows the prefix. The words may stand anywhere in it.
func read(rest string, s *settings) request {
	q := request{form: "html", norefresh: s.refresh > 0 && strings.Contains(rest, ";norefresh")}
	q.up = strings.Contains(rest, ";up")
	q.noMaint = strings.Contains(rest, ";no-maint")
	for _, form := range []string{"csv", "typed", "json-schema", "json", "live"} {
		if strings.Contains(rest, ";"+form) {
			q.form = form
			break
		}
	}
	if _, code, ok := strings.Cut(rest, ";st="); ok && len(code) >= 4 {
		q.status = code[:4]
	}
	if _, text, ok := strings.Cut(rest, "scope="); ok {
		if i := strings.IndexAny(text, ";& "); i >= 0 {
			text = text[:i]
		}
		q.scope = text[:min(len(text), maxScope)]
	}
	return q
}

// flags are the words of q for a link of the page.
func (q *request) flags() string {
	t := ""
	if q.up {
		t += ";up"
	}
	if q.noMaint {
		t += ";no-maint"
	}
	if q.norefresh {
		t += ";norefresh"
	}
	if q.scope != "" {
		t += "?scope=" + q.scope
	}
	return t
}

// shows tells whether a proxy is in the scope of the settings and of the request.
func (s *settings) shows(q *request, own string) func(*stream.Proxy) bool {
	part := strings.ToLower(q.scope)
	return func(p *stream.Proxy) bool {
		in := len(s.scope) == 0
		for _, name := range s.scope {
			if name == "." {
				name = own
			}
			in = in || name == p.Name
		}
		return in && (part == "" || strings.Contains(strings.ToLower(p.Name), part))
	}
}

// service is the [stream.Service] of a page.
type service struct{ s *settings }

// Name is of [stream.Service].
func (service) Name() string { return "<STATS>" }

// Serve is of [stream.Service].
func (v service) Serve(st *stream.Stream) stream.Source {
	s, res := v.s, &st.Res
	q := read(string(st.Req.PathQuery()[len(s.uri):]), s)
	admin := s.isAdmin(&st.Scope)
	res.AddString("cache-control", "no-cache")
	if st.Req.Method == message.Post {
		res.Status, res.Reason = 303, res.CopyString("See Other")
		res.AddString("content-type", "text/plain")
		res.AddString("content-length", "0")
		res.AddString("location", s.uri+";st="+s.act(st, admin)+q.flags())
		res.Framing, res.ContentLength = message.Length, 0
		return nil
	}
	kind := map[string]string{"csv": "text/plain", "typed": "text/plain", "html": "text/html; charset=utf-8"}[q.form]
	if kind == "" {
		kind = "application/json"
	}
	res.AddString("content-type", kind)
	if s.refresh > 0 && !q.norefresh && (q.form == "csv" || q.form == "typed" || q.form == "json") {
		res.AddString("refresh", strconv.Itoa(int(s.refresh.Seconds())))
	}
	if q.form == "html" || q.form == "live" {
		res.AddString("x-content-type-options", "nosniff")
		res.AddString("referrer-policy", "same-origin")
		res.AddString("content-security-policy", policy)
	}
	rows := stats.Walk(st.W, st.Snap, stats.Filter{Kinds: -1, Server: -1, Up: q.up, NoMaint: q.noMaint || q.up, Details: s.legends}, s.shows(&q, st.BE.Name))
	found()
	body := &body{r: st.R, rows: rows}
	switch q.form {
	case "json-schema":
		body.make = func(b []byte) ([]byte, bool) { return append(b, stats.Schema...), true }
	case "html":
		h := &html{s: s, q: &q, st: st, rows: rows, admin: admin}
		body.make = h.next
	case "live":
		l := &live{st: st, rows: rows}
		body.make = l.next
	default:
		w := stats.Writer{How: map[string]stats.Format{"csv": stats.CSV, "typed": stats.Typed, "json": stats.JSON}[q.form]}
		begun := false
		body.make = func(b []byte) ([]byte, bool) {
			if !begun {
				b, begun = w.Begin(b), true
			}
			if !rows.Next() {
				return w.End(b), true
			}
			return w.Row(b, rows.Row()), false
		}
	}
	return body
}

// isAdmin tells whether the client may change servers.
func (s *settings) isAdmin(sc *stream.Scope) bool {
	for _, cond := range s.admin {
		if cond.Match(sc) {
			return true
		}
	}
	return false
}
