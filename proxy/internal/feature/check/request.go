package check

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// request is what is sent. Empty parts take the value of "option httpchk" or the
// default.
type request struct {
	method, version string
	uri             string
	uriFormat       *logformat.Format // "uri-lf", nil: uri
	fields          []field
	body            payload // empty: none
}

// field is a field of the request.
type field struct {
	name  []byte
	value payload
}

// format compiles a format that is evaluated in the check's scope, and whose value
// goes on the wire as it is.
func format(c *conf.Ctx, text string) (*logformat.Format, error) {
	return logformat.Compile(c, text, logformat.Options{Where: sample.HealthCheck, Raw: true})
}

// formatOf is format for rules, with the message that they have.
func formatOf(c *conf.Ctx, text string) (*logformat.Format, error) {
	f, err := format(c, text)
	if err != nil && !conf.IsNotYet(err) {
		err = say("'%s' invalid log-format string (%w).", text, err)
	}
	return f, err
}

// httpchk is "option httpchk [<method>] [<uri> [<version> [<host>]]]".
func httpchk(c *conf.Ctx) error {
	s := rules.Make(c.Proxy)
	s.kind, s.line, s.pos = httpCheck, request{}, c.Pos
	a := c.Args
	switch {
	case len(a) == 1:
		s.line.uri = a[0]
	case len(a) > 1:
		s.line.method, s.line.uri = a[0], a[1]
	}
	if len(a) > 2 {
		if strings.Contains(a[2], "\r\n") {
			return conf.Causef("hiding headers or body at the end of the version string is not supported anymore. Please use 'http-check send' directive instead.")
		}
		s.line.version = a[2]
	}
	if len(a) > 3 {
		host, err := format(c, a[3])
		if err != nil {
			return conf.Causef("%w", err)
		}
		s.line.fields = append(s.line.fields, field{[]byte("host"), payload{format: host}})
	}
	return s.line.valid()
}

// hidden takes fields and body that were written behind the version, an old
// custom.
func (r *request) hidden(text string) error {
	head, body, hasBody := strings.Cut(text, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if line == "" {
			continue
		}
		if !ok {
			return say("invalid header '%s'", line)
		}
		if err := r.add(name, payload{data: []byte(strings.TrimSpace(value))}); err != nil {
			return err
		}
	}
	if hasBody && body != "" {
		r.body.data = []byte(body)
	}
	return nil
}

// add adds a field. Those of framing are ours: they are left out (manual,
// "http-check send").
func (r *request) add(name string, value payload) error {
	n := message.AppendLower(nil, []byte(name))
	if len(n) == 0 || bytes.ContainsAny(n, " \t\r\n\x00:()<>@,;\\\"/[]?={}") {
		return say("invalid header name '%s'", name)
	}
	if bytes.ContainsAny(value.data, breaks) {
		return say("invalid value of header '%s'", name)
	}
	if s := string(n); s != "content-length" && s != "transfer-encoding" {
		r.fields = append(r.fields, field{n, value})
	}
	return nil
}

// What ends a line, and what ends a word of the first one.
const (
	breaks = "\r\n\x00"
	blanks = " \t" + breaks
)

// valid refuses what would break the request line.
func (r *request) valid() error {
	for _, v := range []string{r.method, r.uri, r.version} {
		if strings.ContainsAny(v, blanks) {
			return conf.Causef("invalid character in '%s'.", v)
		}
	}
	if r.version != "" && r.version != "HTTP/1.0" && r.version != "HTTP/1.1" {
		return conf.Causef("version '%s' is not supported, only HTTP/1.0 and HTTP/1.1 are.", r.version)
	}
	return nil
}

// sendRequest is "http-check send".
func sendRequest(c *conf.Ctx, r *ruleset) error {
	st := step{kind: send}
	for w := c.Words(); len(w.Rest()) > 0; {
		name := w.Next()
		if err := st.sends(c, name, &w); err != nil {
			return conf.Causef("%w", conf.About(name, err))
		}
	}
	if err := st.request.valid(); err != nil {
		return err
	}
	for i := len(r.steps) - 1; i >= 0 && r.steps[i].kind != connect; i-- {
		if r.steps[i].kind == send {
			return conf.Causef("unable to add http-check send rule at step %d (missing connect rule).", len(r.steps)+1)
		}
	}
	r.add(st)
	return nil
}

// sends reads one word of "http-check send" and its arguments.
func (st *step) sends(c *conf.Ctx, name string, w *conf.Words) (err error) {
	var text string
	switch name {
	case "meth":
		st.method, err = w.Value(aString)
	case "uri":
		st.uri, err = w.Value(aString)
		st.uriFormat = nil
	case "comment":
		st.comment, err = w.Value(aString)
	case "body":
		if text, err = w.Value(aString); err == nil {
			st.body = payload{data: []byte(text)}
		}
	case "ver":
		if text, err = w.Value(aString); err == nil {
			version, hidden, _ := strings.Cut(text, "\r\n")
			st.version = version
			if err = st.request.hidden(hidden); err != nil {
				err = conf.Causef("%w", err)
			}
		}
	case "hdr":
		const both = "<name> and <value> as arguments."
		var value string
		if text, err = w.Take(both); err == nil {
			value, err = w.Take(both)
		}
		var of payload
		if err == nil {
			of.format, err = format(c, value)
		}
		if err == nil {
			if of.format.IsConstant() {
				of = payload{data: of.format.Append(nil, new(stream.Scope))}
			}
			err = st.request.add(text, of)
		}
	case "uri-lf":
		if text, err = w.Value(aString); err == nil {
			st.uriFormat, err = formatOf(c, text)
			st.uri = ""
		}
	case "body-lf":
		if text, err = w.Value(aString); err == nil {
			st.body.format, err = formatOf(c, text)
		}
	default:
		err = say("expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '%s' as argument.", name)
	}
	return err
}

// finishHTTP makes the sequence of "http-check" rules: what they leave out is what
// "option httpchk" and the manual's defaults say.
func (s *settings) finishHTTP() error {
	list := slices.Clone(s.http.steps)
	implicit := len(list) == 0 || list[0].kind != connect
	if implicit {
		list = slices.Insert(list, 0, step{kind: connect, connection: connection{defaults: true}})
	}
	// The request of "option httpchk" is the base of the first one sent.
	if len(list) == 1 || list[1].kind != send {
		list = slices.Insert(list, 1, step{kind: send, request: s.line})
	} else {
		list[1].request = s.line.with(list[1].request)
	}
	if implicit {
		list[0].asksFor = list[1].request.host()
	}
	for i := range list {
		st := &list[i]
		if st.kind == send {
			st.request = request{method: "OPTIONS", uri: "/", version: "HTTP/1.0"}.with(st.request)
		}
	}
	if list[len(list)-1].kind == connect {
		return say("'http-check connect' : a 'send' rule has to follow.")
	}
	if list[len(list)-1].kind == send {
		list = append(list, step{kind: expects, expect: expect{what: status, ranges: [][2]int{{200, 399}}, minRecv: -1}})
	}
	s.http.finish(list)
	return nil
}

// with gives r with what o says instead.
func (r request) with(o request) request {
	if o.method != "" {
		r.method = o.method
	}
	if o.uri != "" || o.uriFormat != nil {
		r.uri, r.uriFormat = cmp.Or(o.uri, r.uri), o.uriFormat
	}
	if o.version != "" {
		r.version = o.version
	}
	r.fields = append(slices.Clone(r.fields), o.fields...)
	if !o.body.none() {
		r.body = o.body
	}
	return r
}

// host is the Host field, nil if there is none.
func (r *request) host() *payload {
	for i := range r.fields {
		if string(r.fields[i].name) == "host" {
			return &r.fields[i].value
		}
	}
	return nil
}

// hostName is the name in a Host field, without its port.
func hostName(f *payload, sc *stream.Scope) string {
	b, _ := f.bytes(sc)
	name, _, _ := strings.Cut(string(b), ":")
	return name
}

// errRequest is for values that would be more than what they stand for.
var errRequest = errors.New("a value of the request has characters that do not belong there")

// fill makes the head of the request in q, and gives its body. state is the value of the
// state header, "" for none.
func (r *request) fill(q *message.Request, sc *stream.Scope, state string) (body []byte, err error) {
	q.MethodName = []byte(r.method)
	q.Method = message.MethodOf(q.MethodName)
	if r.uriFormat != nil {
		q.Target = r.uriFormat.Append(nil, sc)
	}
	if len(q.Target) == 0 {
		q.Target = []byte(r.uri)
	}
	if bytes.ContainsAny(q.Target, blanks) {
		return nil, errRequest
	}
	q.Version = message.HTTP10
	if r.version == "HTTP/1.1" {
		q.Version = message.HTTP11
	}
	if state != "" {
		q.AddString("x-haproxy-server-state", state)
	}
	for _, f := range r.fields {
		value, err := f.value.bytes(sc)
		switch {
		case len(value) == 0:
			continue // nothing to say
		case err != nil || bytes.ContainsAny(value, breaks):
			return nil, errRequest
		}
		q.Add([]byte(f.name), value)
		if string(f.name) == "connection" {
			q.KeepAlive = http1.HasElement(value, "keep-alive") || q.Version == message.HTTP11 && !http1.HasElement(value, "close")
		}
	}
	return r.body.bytes(sc)
}
