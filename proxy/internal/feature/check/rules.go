package check

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
)

// settings are what a backend says about its checks.
type settings struct {
	on         bool // option httpchk
	hello      bool // option ssl-hello-chk
	disable404 bool
	sendState  bool
	line       request // of "option httpchk"
	steps      []step  // "http-check" rules
	comment    string  // for the next rule
	// pending are operations that no rule followed yet.
	pending   []func(*stream.Scope)
	pos       config.Pos
	inherited bool // steps come from a defaults section: the first own one replaces them
	sequence  []step
}

var rules = slot.New[*stream.Proxy, settings]()

// Clone copies what a section takes from its defaults.
func (s *settings) Clone() *settings {
	c := *s
	c.steps, c.pending = slices.Clone(s.steps), slices.Clone(s.pending)
	c.line.fields = slices.Clone(s.line.fields)
	c.inherited, c.sequence, c.comment = true, nil, ""
	return &c
}

// names tells whether the rules say themselves which port to connect to. s may
// be nil.
func (s *settings) names() bool {
	return s != nil && s.on && len(s.sequence) > 0 && s.sequence[0].kind == connect && s.sequence[0].port != 0
}

// step is one thing that a check does.
type step struct {
	kind    stepKind
	comment string
	before  []func(*stream.Scope) // operations
	// connect
	addr     reactor.Addr
	port     int
	linger   bool
	proxy    bool // send-proxy
	defaults bool // as the server line says
	secure   bool
	sni      string
	alpn     []string
	host     string // of the first request, when no rule says how to connect
	request
	expect
}

type stepKind uint8

const (
	connect stepKind = iota
	send
	expects
)

// request is what is sent. Empty parts take the value of "option httpchk" or the
// default.
type request struct {
	method, uri, version string
	fields               []message.Field
	body                 []byte
}

func init() {
	in := conf.Defaults | conf.Backend
	conf.Register(
		conf.Keyword{Name: "option httpchk", In: in, Max: 4, Parse: httpchk},
		conf.Keyword{Name: "option ssl-hello-chk", In: in, Max: 0, Parse: sslHello},
		conf.Keyword{Name: "http-check", In: in, Max: -1, Parse: operationRule},
		conf.Keyword{Name: "http-check disable-on-404", In: in, Max: -1, Parse: alone(func(s *settings) { s.disable404 = true })},
		conf.Keyword{Name: "http-check send-state", In: in, Max: -1, Parse: alone(func(s *settings) { s.sendState = true })},
		conf.Keyword{Name: "http-check comment", In: in, Max: -1, Parse: commentRule},
		conf.Keyword{Name: "http-check connect", In: in, Max: -1, Parse: connectRule},
		conf.Keyword{Name: "http-check send", In: in, Max: -1, Parse: sendRule},
		conf.Keyword{Name: "http-check expect", In: in, Max: -1, Parse: expectRule},
	)
}

// alone parses a keyword without arguments.
func alone(set func(*settings)) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		if len(c.Args) > 0 {
			return say("'http-check' cannot handle unexpected argument '%s'.", c.Args[0])
		}
		set(rules.Make(c.Proxy))
		return nil
	}
}

func word(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// httpchk is "option httpchk [<method>] [<uri> [<version> [<host>]]]".
func httpchk(c *conf.Ctx) error {
	s := rules.Make(c.Proxy)
	s.on, s.hello, s.line = true, false, request{}
	if s.pos == (config.Pos{}) || s.inherited {
		s.pos = c.Pos
	}
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
		host, err := literal(a[3])
		if err != nil {
			return conf.Causef("%w", err)
		}
		s.line.fields = append(s.line.fields, message.Field{Name: []byte("host"), Value: []byte(host)})
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
		if err := r.add(name, strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	if hasBody && body != "" {
		r.body = []byte(body)
	}
	return nil
}

// add adds a field. Those of framing are ours: they are left out (manual,
// "http-check send").
func (r *request) add(name, value string) error {
	n := message.AppendLower(nil, []byte(name))
	if len(n) == 0 || bytes.ContainsAny(n, " \t\r\n\x00:()<>@,;\\\"/[]?={}") {
		return say("invalid header name '%s'", name)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return say("invalid value of header '%s'", name)
	}
	if s := string(n); s != "content-length" && s != "transfer-encoding" {
		r.fields = append(r.fields, message.Field{Name: n, Value: []byte(value)})
	}
	return nil
}

// valid refuses what would break the request line.
func (r *request) valid() error {
	for _, v := range []string{r.method, r.uri, r.version} {
		if strings.ContainsAny(v, " \t\r\n\x00") {
			return conf.Causef("invalid character in '%s'.", v)
		}
	}
	if r.version != "" && r.version != "HTTP/1.0" && r.version != "HTTP/1.1" {
		return conf.Causef("version '%s' is not supported, only HTTP/1.0 and HTTP/1.1 are.", r.version)
	}
	return nil
}

// literal is a log-format string without anything to evaluate.
func literal(text string) (string, error) {
	out := strings.ReplaceAll(text, "%%", "\x00")
	if strings.Contains(out, "%") {
		return "", conf.NotYet("log-format in health checks,", text)
	}
	return strings.ReplaceAll(out, "\x00", "%"), nil
}

// add appends a rule to those of the section.
func add(c *conf.Ctx, st step) *settings {
	s := rules.Make(c.Proxy)
	s.own(c)
	st.before, s.pending = s.pending, nil
	if st.comment == "" {
		st.comment = s.comment
	}
	s.comment = ""
	s.steps = append(s.steps, st)
	return s
}

func commentRule(c *conf.Ctx) error {
	if len(c.Args) == 0 {
		return conf.Causef("expects a string as argument.")
	}
	rules.Make(c.Proxy).comment = strings.Join(c.Args, " ")
	return nil
}

func connectRule(c *conf.Ctx) error {
	st := step{kind: connect}
	if own := rules.Of(c.Proxy); own != nil && !own.inherited && len(own.steps) > 0 {
		if own.steps[0].kind != connect {
			return conf.Causef("first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when there is a 'connect' step in the tcp-check ruleset.")
		}
		if own.steps[len(own.steps)-1].kind == send {
			return conf.Causef("unable to add http-check connect rule at step %d (missing expect rule).", len(own.steps)+1)
		}
	}
	for w := c.Words(); len(w.Rest()) > 0; {
		name := w.Next()
		if err := st.connects(c, name, &w); err != nil {
			return conf.Causef("%w", conf.About(name, err))
		}
	}
	add(c, st)
	return nil
}

// aString is what most arguments of rules have to be.
const aString = "a string as argument."

// connects reads one word of "http-check connect" and its argument.
func (st *step) connects(c *conf.Ctx, name string, w *conf.Words) (err error) {
	switch name {
	case "default":
		st.defaults = true
	case "ssl":
		st.secure = true
	case "linger":
		st.linger = true
	case "send-proxy":
		st.proxy = true
	case "sni":
		st.sni, err = w.Value(aString)
	case "comment":
		st.comment, err = w.Value(aString)
	case "alpn":
		var list string
		if list, err = w.Value(aString); err == nil {
			st.alpn, err = ssl.Protocols(list)
		}
	case "port":
		text := w.Next()
		if st.port, err = strconv.Atoi(text); err != nil || st.port < 1 || st.port > 65535 {
			err = say("expects a valid TCP port (from range 1 to 65535) or a sample expression, got %s.", text)
		}
	case "addr":
		var text string
		if text, err = w.Value("<ipv4|ipv6> as argument."); err == nil {
			if st.addr, err = address(c, []string{text}, 0); err != nil {
				err = conf.Causef("%w.", err)
			}
		}
	case "via-socks4", "proto":
		err = conf.NotYet("option", "http-check connect "+name)
	default:
		err = say("expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got '%s' as argument.", name)
	}
	return err
}

func sendRule(c *conf.Ctx) error {
	st := step{kind: send}
	for w := c.Words(); len(w.Rest()) > 0; {
		name := w.Next()
		if err := st.sends(name, &w); err != nil {
			return conf.Causef("%w", conf.About(name, err))
		}
	}
	if err := st.request.valid(); err != nil {
		return err
	}
	if own := rules.Of(c.Proxy); own != nil && !own.inherited {
		for i := len(own.steps) - 1; i >= 0 && own.steps[i].kind != connect; i-- {
			if own.steps[i].kind == send {
				return conf.Causef("unable to add http-check send rule at step %d (missing connect rule).", len(own.steps)+1)
			}
		}
	}
	add(c, st)
	return nil
}

// sends reads one word of "http-check send" and its arguments.
func (st *step) sends(name string, w *conf.Words) (err error) {
	var text string
	switch name {
	case "meth":
		st.method, err = w.Value(aString)
	case "uri":
		st.uri, err = w.Value(aString)
	case "comment":
		st.comment, err = w.Value(aString)
	case "body":
		text, err = w.Value(aString)
		st.body = []byte(text)
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
		if err == nil {
			if value, err = literal(value); err == nil {
				err = st.request.add(text, value)
			}
		}
	case "uri-lf":
		if text, err = w.Value(aString); err == nil {
			st.uri, err = literal(text)
		}
	case "body-lf":
		if text, err = w.Value(aString); err == nil {
			text, err = literal(text)
			st.body = []byte(text)
		}
	default:
		err = say("expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '%s' as argument.", name)
	}
	return err
}

// finish makes the sequence that a check goes through: what the rules leave out
// is what "option httpchk" and the manual's defaults say.
func (s *settings) finish() error {
	s.sequence = nil
	if !s.on {
		return nil
	}
	list := slices.Clone(s.steps)
	implicit := len(list) == 0 || list[0].kind != connect
	if implicit {
		list = slices.Insert(list, 0, step{kind: connect, defaults: true})
	}
	// The request of "option httpchk" is the base of the first one sent.
	if len(list) == 1 || list[1].kind != send {
		list = slices.Insert(list, 1, step{kind: send, request: s.line})
	} else {
		list[1].request = s.line.with(list[1].request)
	}
	if implicit {
		list[0].host = list[1].request.host()
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
	s.sequence = list
	return nil
}

// with gives r with what o says instead.
func (r request) with(o request) request {
	if o.method != "" {
		r.method = o.method
	}
	if o.uri != "" {
		r.uri = o.uri
	}
	if o.version != "" {
		r.version = o.version
	}
	r.fields = append(slices.Clone(r.fields), o.fields...)
	if o.body != nil {
		r.body = o.body
	}
	return r
}

// host is the name in the Host field without its port, "" if there is none.
func (r *request) host() string {
	for _, f := range r.fields {
		if string(f.Name) == "host" {
			name, _, _ := strings.Cut(string(f.Value), ":")
			return name
		}
	}
	return ""
}

// bytes gives the request as it is sent. state is the value of the state header,
// "" for none.
func (r *request) bytes(state string) []byte {
	b := make([]byte, 0, 256+len(r.body))
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, r.uri...)
	b = append(b, ' ')
	b = append(b, r.version...)
	b = append(b, "\r\n"...)
	if state != "" {
		b = append(append(append(b, "x-haproxy-server-state: "...), state...), "\r\n"...)
	}
	closes := r.version != "HTTP/1.1" // as by default
	for _, f := range r.fields {
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
		closes = closes || string(f.Name) == "connection"
	}
	if r.body != nil {
		b = append(strconv.AppendInt(append(b, "content-length: "...), int64(len(r.body)), 10), "\r\n"...)
	}
	if !closes {
		b = append(b, "connection: close\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, r.body...)
}
