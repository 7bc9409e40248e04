package logs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

// origin is when and where a line was made.
type origin uint8

const (
	unspecified origin = iota
	sessError
	txnAccept
	txnRequest
	txnConnect
	txnResponse
	txnClose
	httpReq
	httpRes
	httpAfterRes
	tcpReqConn
	tcpReqSess
	tcpReqCont
	tcpResCont
)

// originNames is what %OG says.
var originNames = [...]string{
	"unspec", "sess_error", "txn_accept", "txn_request", "txn_connect", "txn_response", "txn_close",
	"http-req", "http-res", "http-after-res", "tcp-req-conn", "tcp-req-sess", "tcp-req-cont", "tcp-res-cont",
}

// stepNames are the moments of an exchange that "log-steps" chooses from.
var stepNames = []string{"accept", "request", "connect", "response", "close"}

// doLogNames are the places of "do-log", as profiles call them.
var doLogNames = []string{"quic-init", "http-req", "http-res", "http-after-res", "tcp-req-conn", "tcp-req-sess", "tcp-req-cont", "tcp-res-cont"}

// origins is what a reactor logs just now.
var origins = slot.New[*reactor.Reactor, origin]()

func init() {
	stream.RegisterAlias(stream.Alias{Name: "OG", Form: stream.Plain, Append: func(dst []byte, sc *stream.Scope) []byte {
		o := unspecified
		if sc.R != nil {
			o = origins.Value(sc.R)
		}
		return append(dst, originNames[o]...)
	}})
	conf.RegisterSection(conf.Section[Profile]{
		Kind:  "log-profile",
		Begin: beginProfile,
		Keywords: []conf.SectionKeyword[Profile]{
			{Name: "log-tag", Max: 1, Parse: func(c *conf.Ctx, p *Profile) error {
				if len(c.Args) == 0 {
					return conf.Predicatef("expects a tag for use in syslog.")
				}
				p.tags = tagged(c.Args[0])
				return nil
			}},
			{Name: "on", Max: -1, Parse: onStep},
		},
	})
}

// steps is a set of origins.
type steps uint32

func (s steps) has(o origin) bool { return s&(1<<o) != 0 }

// logSteps reads "log-steps <step>[,<step>]*".
func logSteps(c *conf.Ctx) error {
	var set steps
	for name := range strings.SplitSeq(c.Arg(0), ",") {
		switch i := slices.Index(stepNames, name); {
		case name == "" && c.Arg(0) == "":
		case name == "all":
			for i := range stepNames {
				set |= 1 << (txnAccept + origin(i))
			}
		case i >= 0:
			set |= 1 << (txnAccept + origin(i))
		case slices.Contains(doLogNames, name):
			c.Warn("log step '%s' changes nothing here: 'do-log' logs whenever it is met.", name)
		default:
			return fmt.Errorf("invalid log step name (%s). Expected values are: %s", name, strings.Join(append(slices.Clone(stepNames), doLogNames...), ", "))
		}
	}
	sections.Make(c.Proxy).steps = set
	return nil
}

// Profile is a "log-profile" section.
type Profile struct {
	tags tags
	on   map[string]*profileStep // by name
	// of are the steps by origin, failed that of what went wrong.
	of     [len(originNames)]*profileStep
	failed *profileStep
}

// profileStep is what a profile says of one step.
type profileStep struct {
	format, sd *logformat.Format // nil: as without the profile
	drop       bool
}

// profiles are those of a configuration, by name.
var profiles = slot.New[*stream.Global, map[string]*Profile]()

func beginProfile(c *conf.Ctx, name string) (*Profile, error) {
	if name == "" {
		return nil, nil // the language has said it
	}
	all := profiles.Make(c.Snap.Global)
	if *all == nil {
		*all = make(map[string]*Profile)
	}
	if (*all)[name] != nil {
		return nil, fmt.Errorf("log-profile '%s' is already defined.", name)
	}
	c.KeepLines() // for frontends that have no format of their own
	p := &Profile{on: make(map[string]*profileStep)}
	(*all)[name] = p
	return p, nil
}

// onStep reads "on <step> [drop] [format <fmt>] [sd <sd_fmt>]".
func onStep(c *conf.Ctx, p *Profile) error {
	w := c.Words()
	name := w.Next()
	names := append(slices.Clone(stepNames), "error", "any")
	if !slices.Contains(names, name) && !slices.Contains(doLogNames, name) {
		return conf.Predicatef("expects a log step.\nexpected values are: '%s' or 'any'.\nOr one of the additional log steps: '%s'.",
			strings.Join(names[:len(names)-1], "', '"), strings.Join(doLogNames, "', '"))
	}
	s := new(profileStep)
	for word := w.Next(); word != ""; word = w.Next() {
		if word == "drop" {
			s.drop = true
			continue
		}
		into := &s.format
		switch word {
		case "format":
		case "sd":
			into = &s.sd
		default:
			return conf.Predicatef("expects 'drop', 'format' or 'sd' after a log step, found '%s'.", word)
		}
		text, err := w.Take("a format behind '" + word + "'.")
		if err != nil {
			return err
		}
		if *into, err = logformat.Compile(c, text, logformat.Options{}); err != nil {
			return fmt.Errorf("failed to parse logformat: %w.", err)
		}
	}
	if *s == (profileStep{}) {
		return conf.Predicatef("expects 'drop', 'format' or 'sd' after a log step.")
	}
	p.on[name] = s
	p.arrange()
	return nil
}

// arrange finds the step of each origin.
func (p *Profile) arrange() {
	find := func(name string) *profileStep {
		if s := p.on[name]; s != nil {
			return s
		}
		return p.on["any"]
	}
	p.failed = find("error")
	p.of[unspecified], p.of[sessError] = p.on["any"], p.failed
	for i, name := range stepNames {
		p.of[txnAccept+origin(i)] = find(name)
	}
	for o := httpReq; int(o) < len(p.of); o++ {
		p.of[o] = find(originNames[o])
	}
}

// step is what the profile says of a line, nil: nothing.
func (p *Profile) step(o origin, failed bool) *profileStep {
	if failed && o < httpReq {
		return p.failed
	}
	return p.of[o]
}

// resolve finds the profiles of targets.
func resolve(c *conf.Ctx, list []*target) {
	for _, t := range list {
		if t.wants == "" {
			continue
		}
		p, err := findProfile(c.Snap, t.wants)
		if err != nil {
			c.Alert(t.pos, "log : %v.", err)
		}
		t.profile = p
	}
}

func findProfile(snap *stream.Snapshot, name string) (*Profile, error) {
	if p := profiles.Value(snap.Global)[name]; p != nil {
		return p, nil
	}
	return nil, errors.New("unknown log-profile '" + name + "'")
}
