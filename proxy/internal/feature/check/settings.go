package check

import (
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// settings are what a backend says about its checks.
type settings struct {
	kind       kindOfCheck // the last option counts
	disable404 bool
	sendState  bool
	line       request // of "option httpchk"
	http, tcp  ruleset // "http-check" and "tcp-check"
	pos        config.Pos
}

type kindOfCheck uint8

const (
	connects kindOfCheck = iota // no option: a connection is enough
	httpCheck
	tcpCheck
	sslHelloCheck
)

// ruleset is the lines of "http-check" or "tcp-check".
type ruleset struct {
	word    string // "http-check", "tcp-check"
	steps   []step
	lines   int    // all there are, comments and operations included
	comment string // for the next rule
	// pending are operations that no rule followed yet.
	pending   []func(*stream.Scope)
	pos       config.Pos
	inherited bool // from a defaults section: the first own line replaces them
	// sequence is what a check goes through: the steps, and those that go without
	// saying.
	sequence []step
}

var rules = slot.New[*stream.Proxy, settings]()

// Clone copies what a section takes from its defaults.
func (s *settings) Clone() *settings {
	c := *s
	c.line.fields = slices.Clone(s.line.fields)
	c.http, c.tcp = s.http.clone(), s.tcp.clone()
	return &c
}

func (r ruleset) clone() ruleset {
	r.steps, r.pending = slices.Clone(r.steps), slices.Clone(r.pending)
	r.inherited, r.sequence, r.comment = true, nil, ""
	return r
}

// withoutRules are the rules of who has no option: a connection, which the server's
// line describes, is enough.
var withoutRules = ruleset{sequence: []step{{kind: connect, connection: connection{defaults: true}}}}

// active gives the rules that a check goes through. s may be nil.
func (s *settings) active() *ruleset {
	switch {
	case s == nil:
	case s.kind == httpCheck:
		return &s.http
	case s.kind == tcpCheck:
		return &s.tcp
	case s.kind == sslHelloCheck:
		return &sslHello
	}
	return &withoutRules
}

// ofHTTP tells whether the check sends requests of HTTP. s may be nil.
func (s *settings) ofHTTP() bool { return s != nil && s.kind == httpCheck }

// ofTCP tells whether the check goes through "tcp-check" rules, whose failures say
// where. s may be nil.
func (s *settings) ofTCP() bool { return s != nil && s.kind == tcpCheck }

// namesPort tells whether the rules say themselves which port to connect to.
func (r *ruleset) namesPort() bool {
	return len(r.sequence) > 0 && r.sequence[0].kind == connect && (r.sequence[0].port != 0 || r.sequence[0].portExpr != nil)
}

// step is one thing that a check does.
type step struct {
	kind    stepKind
	number  int // as messages count it, from 1; 0: nobody wrote it
	comment string
	before  []func(*stream.Scope) // operations
	// first is where expectations are evaluated again when more has come: at the
	// first of those right before this one that something must not occur.
	first int
	connection
	request
	payload
	expect
}

type stepKind uint8

const (
	connect stepKind = iota
	send
	expects
)

func init() {
	in := conf.Defaults | conf.Backend
	conf.Register(
		conf.Keyword{Name: "option httpchk", In: in, Max: 4, Parse: httpchk},
		conf.Keyword{Name: "option tcp-check", In: in, Max: 0, Parse: only(tcpCheck)},
		conf.Keyword{Name: "option ssl-hello-chk", In: in, Max: 0, Parse: only(sslHelloCheck)},
		conf.Keyword{Name: "http-check disable-on-404", In: in, Max: -1, Parse: alone(func(s *settings) { s.disable404 = true })},
		conf.Keyword{Name: "http-check send-state", In: in, Max: -1, Parse: alone(func(s *settings) { s.sendState = true })},
	)
	for _, set := range []struct {
		word string
		of   func(*settings) *ruleset
		more map[string]func(*conf.Ctx, *ruleset) error
	}{
		{"http-check", func(s *settings) *ruleset { return &s.http }, map[string]func(*conf.Ctx, *ruleset) error{
			"send": sendRequest,
		}},
		{"tcp-check", func(s *settings) *ruleset { return &s.tcp }, map[string]func(*conf.Ctx, *ruleset) error{
			"send": sendPayload, "send-lf": sendPayload, "send-binary": sendPayload, "send-binary-lf": sendPayload,
		}},
	} {
		register := func(name string, read func(*conf.Ctx, *ruleset) error) {
			conf.Register(conf.Keyword{Name: strings.TrimSpace(set.word + " " + name), In: in, Max: -1, Parse: func(c *conf.Ctx) error {
				r := set.of(rules.Make(c.Proxy))
				r.word = set.word
				r.own(c)
				return read(c, r)
			}})
		}
		register("", operationRule)
		register("comment", commentRule)
		register("connect", connectRule)
		register("expect", expectRule)
		for name, read := range set.more {
			register(name, read)
		}
	}
}

// only is an option that has no arguments.
func only(k kindOfCheck) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		s := rules.Make(c.Proxy)
		s.kind, s.pos = k, c.Pos
		return nil
	}
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

// own begins the lines of a section, which replace those of its defaults.
func (r *ruleset) own(c *conf.Ctx) {
	if r.inherited {
		r.steps, r.pending, r.lines, r.inherited = nil, nil, 0, false
		r.pos = c.Pos
	}
	if r.pos == (config.Pos{}) {
		r.pos = c.Pos
	}
}

// add appends a rule.
func (r *ruleset) add(st step) {
	r.lines++
	st.number = r.lines
	st.before, r.pending = r.pending, nil
	if st.comment == "" {
		st.comment = r.comment
	}
	r.comment = ""
	r.steps = append(r.steps, st)
}

func commentRule(c *conf.Ctx, r *ruleset) error {
	if len(c.Args) == 0 {
		return conf.Causef("expects a string as argument.")
	}
	r.lines++
	r.comment = strings.Join(c.Args, " ")
	return nil
}

// finish makes the sequences of the rules.
func (s *settings) finish() error {
	s.http.sequence, s.tcp.sequence = nil, nil
	switch s.kind {
	case tcpCheck:
		s.tcp.finish(slices.Clone(s.tcp.steps))
	case httpCheck:
		return s.finishHTTP()
	}
	return nil
}

// finish makes a sequence of a list of steps. A check begins with a connection.
func (r *ruleset) finish(list []step) {
	if len(list) == 0 || list[0].kind != connect {
		list = slices.Insert(list, 0, step{kind: connect, connection: connection{defaults: true}})
	}
	for i := range list {
		list[i].first = i
		for k := i - 1; k >= 0 && list[k].kind == expects && list[i].kind == expects; k-- {
			if list[k].not {
				list[i].first = k
			}
		}
	}
	r.sequence = list
}
