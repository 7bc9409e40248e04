package logs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature/capture" // the standard formats have it
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

// global is the process's part of the settings.
type global struct {
	targets  []*target
	tag      string
	sendHost bool
	host     string

	own *settings // for messages that belong to no proxy
}

// written is a format as the configuration has it, and where.
type written struct {
	text string
	pos  config.Pos
}

// compile makes the format of keyword, nil when there is none or it is wrong,
// which is said where it stands.
func (f written) compile(c *conf.Ctx, p *stream.Proxy, keyword string) *logformat.Format {
	if f.text == "" {
		return nil
	}
	at := *c
	at.Pos, at.Proxy = f.pos, p
	made, err := logformat.Compile(&at, f.text, logformat.Options{})
	if err != nil {
		at.Report(fmt.Errorf("failed to parse %s : %w.", keyword, err))
		return nil
	}
	return made
}

// settings is a proxy's part.
type settings struct {
	targets []*target
	global  bool // "log global"
	tag     string
	text    written // log-format
	httplog bool
	https   bool       // option httpslog
	chosen  config.Pos // of the line that chose the format
	tcplog  bool
	clf     bool
	sd      written // log-format-sd
	errText written // error-log-format
	steps   steps   // log-steps

	// what follows from it
	all    []*target
	turns  []*sampling // of targets that get some lines only, nil for others
	format *logformat.Format
	errFmt *logformat.Format // of abnormal exchanges; nil: format
	sdFmt  *logformat.Format
	tags   tags
	host   string
}

// Clone gives a section made from defaults its own lists.
func (s *settings) Clone() *settings {
	c := *s
	c.targets = slices.Clone(s.targets)
	return &c
}

var (
	globals  = slot.New[*stream.Global, global]()
	sections = slot.New[*stream.Proxy, settings]()
)

// The standard formats (chapters 8.2.2 to 8.2.4).
const (
	httpFormat  = `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`
	httpsFormat = httpFormat + ` %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc`
	tcpFormat   = `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`
	clfFormat   = `%{+Q}o %{-Q}ci - - [%{-Q}trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`
)

func init() {
	stream.RegisterAlias(stream.Alias{Name: "lc", Hex: true, Int: func(sc *stream.Scope) int64 {
		if sc.FE == nil || sc.FE.FE == nil {
			return 0
		}
		return sc.FE.FE.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.LogLines })
	}})
	conf.Register(
		conf.Keyword{Name: "log", In: conf.Global | conf.Proxies, InPlace: true, No: true, Max: -1, Parse: logLine},
		conf.Keyword{Name: "log-tag", In: conf.Global | conf.Proxies, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
			if len(c.Args) == 0 {
				return conf.Predicatef("expects a tag for use in syslog.")
			}
			if c.Proxy == nil {
				globals.Make(c.Snap.Global).tag = c.Args[0]
			} else {
				sections.Make(c.Proxy).tag = c.Args[0]
			}
			return nil
		}},
		conf.Keyword{Name: "log-send-hostname", In: conf.Global, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
			g := globals.Make(c.Snap.Global)
			g.sendHost = true
			g.host, _ = os.Hostname()
			if len(c.Args) > 0 {
				g.host = c.Args[0]
			}
			return nil
		}},
		formatLine("log-format", func(s *settings, w written) {
			s.choose(w.pos)
			s.text = w
		}),
		formatLine("error-log-format", func(s *settings, w written) { s.errText = w }),
		conf.Keyword{Name: "log-steps", In: conf.Defaults | conf.Frontend, Max: 1, Parse: logSteps},
		formatLine("log-format-sd", func(s *settings, w written) { s.sd = w }),
		conf.Keyword{Name: "option httplog", In: conf.Proxies, Max: -1, Parse: httplog},
		conf.Keyword{Name: "option tcplog", In: conf.Proxies, Max: 1, Parse: tcplog},
		conf.Keyword{Name: "option httpslog", In: conf.Proxies, Max: 0, Parse: func(c *conf.Ctx) error {
			if inBackend(c) {
				return nil
			}
			s := sections.Make(c.Proxy)
			s.choose(c.Pos)
			s.httplog, s.https = true, true
			return nil
		}},
	)
	conf.RegisterOption("log-separate-errors", conf.Defaults|conf.Frontend, stream.LogSeparateErrors)
	conf.RegisterFinish(finish)
	snapshot.RegisterCarrier(snapshot.Carrier{Name: "logs", Obstacles: unreachable, Prepare: prepare})
}

// httplog is "option httplog".
func httplog(c *conf.Ctx) error {
	if len(c.Args) > 0 && c.Args[0] != "clf" {
		return fmt.Errorf("keyword 'httplog' only supports option 'clf'.")
	}
	if len(c.Args) > 1 {
		return conf.Predicatef("cannot handle unexpected argument '%s'.", c.Args[1])
	}
	if inBackend(c) {
		return nil
	}
	s := sections.Make(c.Proxy)
	s.choose(c.Pos)
	s.httplog, s.clf = true, len(c.Args) > 0
	return nil
}

// tcplog is "option tcplog".
func tcplog(c *conf.Ctx) error {
	if len(c.Args) > 0 && c.Args[0] != "clf" {
		return fmt.Errorf("keyword 'tcplog' only supports option 'clf'.")
	}
	if len(c.Args) > 0 {
		return conf.NotYet("argument", "option tcplog "+c.Args[0])
	}
	if inBackend(c) {
		return nil
	}
	s := sections.Make(c.Proxy)
	s.choose(c.Pos)
	s.tcplog = true
	return nil
}

// inBackend tells of a line about formats in a section that logs nothing.
func inBackend(c *conf.Ctx) bool {
	if c.InDefaults || c.Proxy.Frontend {
		return false
	}
	c.Warn("backend '%s' : '%s' directive is ignored in backends.", c.Proxy.Name, c.Keyword)
	return true
}

// formatLine is a keyword whose argument is a format.
func formatLine(name string, set func(*settings, written)) conf.Keyword {
	return conf.Keyword{Name: name, In: conf.Proxies, Max: -1, Parse: func(c *conf.Ctx) error {
		switch {
		case len(c.Args) == 0:
			return fmt.Errorf("%s expects an argument.", name)
		case len(c.Args) > 1:
			return fmt.Errorf("%s expects only one argument, don't forget to escape spaces!", name)
		case !inBackend(c):
			set(sections.Make(c.Proxy), written{c.Args[0], c.Pos})
		}
		return nil
	}}
}

// choose takes the place of what was said of the format before.
func (s *settings) choose(pos config.Pos) {
	s.chosen = pos
	s.text, s.httplog, s.https, s.tcplog, s.clf = written{}, false, false, false, false
}

func logLine(c *conf.Ctx) error {
	if c.No {
		if len(c.Args) > 0 {
			return errors.New("log : 'no log' does not expect arguments")
		}
		if c.Proxy == nil {
			globals.Make(c.Snap.Global).targets = nil
			return nil
		}
		s := sections.Make(c.Proxy)
		s.targets, s.global = nil, false
		return nil
	}
	if len(c.Args) == 0 {
		return fmt.Errorf("log : %w", usage(c))
	}
	if c.Args[0] == "global" {
		if c.Proxy == nil {
			return errors.New("log : 'global' is not supported for a global syslog server")
		}
		if len(c.Args) > 1 {
			return fmt.Errorf("log : unknown log facility '%s'", c.Args[1])
		}
		sections.Make(c.Proxy).global = true
		return nil
	}
	t, err := parseTarget(c)
	if err != nil {
		return fmt.Errorf("log : %w", err)
	}
	if c.Proxy == nil {
		g := globals.Make(c.Snap.Global)
		g.targets = append(g.targets, t)
	} else {
		s := sections.Make(c.Proxy)
		s.targets = append(s.targets, t)
	}
	return nil
}

// finish compiles the formats and decides who logs what.
func finish(c *conf.Ctx) {
	g := globals.Make(c.Snap.Global)
	g.finish()
	resolve(c, g.targets)
	for p := range c.Fresh() {
		s := sections.Make(p)
		resolve(c, s.targets)
		s.inherit(g)
		text := s.chooseFormat(c, p)
		if p.Frontend {
			s.attach(c, p, text)
		}
	}
}

// inherit takes over what the global section says of logs.
func (s *settings) inherit(g *global) {
	if s.global {
		s.all = append(s.all, g.targets...)
	}
	s.all = append(s.all, s.targets...)
	s.turns = samplings(s.all)
	tag := cmp.Or(s.tag, g.tag, "forebay")
	s.tags = tagged(tag)
	if g.sendHost {
		s.host = g.host
	}
}

// chooseFormat gives the format of lines of traffic: that of an option, or what was
// written.
func (s *settings) chooseFormat(c *conf.Ctx, p *stream.Proxy) written {
	switch {
	case s.clf:
		return written{clfFormat, p.Pos}
	case s.https && p.Mode == stream.HTTP:
		return written{httpsFormat, p.Pos}
	case s.httplog && p.Mode == stream.HTTP:
		return written{httpFormat, p.Pos}
	case s.httplog:
		if p.Frontend {
			option := "httplog"
			if s.https {
				option = "httpslog"
			}
			c.Diags.Warn(s.chosen, "'option %s' not usable with %s '%s' (needs 'mode http'). Falling back to 'option tcplog'.", option, conf.KindOf(p), p.Name)
		}
		return written{tcpFormat, p.Pos}
	case s.tcplog:
		return written{tcpFormat, p.Pos}
	}
	return s.text
}

// attach makes a frontend log. Formats are compiled for their errors, even if
// nothing is logged.
func (s *settings) attach(c *conf.Ctx, p *stream.Proxy, text written) {
	s.sdFmt = s.sd.compile(c, p, "log-format-sd")
	s.errFmt = s.errText.compile(c, p, "error-log-format")
	s.format = text.compile(c, p, "log-format")
	if len(s.all) == 0 {
		if s.format != nil && !s.format.IsEmpty() || s.sdFmt != nil {
			c.Diags.Warn(p.Pos, "log format ignored for %s '%s' since it has no log address.", conf.KindOf(p), p.Name)
		}
		return
	}
	switch {
	case s.steps != 0:
		p.Options &^= stream.LogASAP // when is said
		p.LogStep = func(st *stream.Stream, step stream.LogStep) {
			if o := txnAccept + origin(step); s.steps.has(o) && (!p.Has(stream.DontLogNormal) || st.Abnormal()) {
				s.traffic(st, o)
			}
		}
		p.Log = func(st *stream.Stream) {
			if s.steps.has(txnClose) {
				s.traffic(st, txnClose)
			}
		}
	case s.format == nil:
		p.LogBegin = s.connected(p)
	default:
		p.Log = func(st *stream.Stream) {
			o := txnClose
			if p.Has(stream.LogASAP) && st.Term.Cause == 0 {
				o = txnResponse
				if p.Mode == stream.TCP {
					o = txnConnect
				}
			}
			s.traffic(st, o)
		}
	}
	if s.format != nil || s.errFmt != nil {
		p.LogFail = s.failures(p)
	}
}

// traffic logs a stream at one of its moments, unless a rule has silenced it.
func (s *settings) traffic(st *stream.Stream, o origin) {
	ev := event{level: Info, format: s.format, sd: s.sdFmt, origin: o, failed: st.Abnormal()}
	if ev.failed {
		if st.FE.Has(stream.LogSeparateErrors) {
			ev.level = Err
		}
		if s.errFmt != nil {
			ev.format = s.errFmt
		}
	}
	if wish := wishes.Of(st); wish != nil && wish.said {
		if wish.silent {
			return
		}
		ev.level = wish.level
	}
	s.line(&st.Scope, &ev)
}

// event is what one line of the frontend is made of.
type event struct {
	level   Level
	format  *logformat.Format // nil: profiles may have one
	sd      *logformat.Format
	origin  origin
	failed  bool
	profile *Profile // instead of those of the targets
}

// line sends one line of the frontend to each of its targets, as these want it.
func (s *settings) line(sc *stream.Scope, ev *event) {
	was := origins.Make(sc.R)
	before := *was
	*was = ev.origin
	defer func() { *was = before }()
	msg, data, room := sc.Scratch(), sc.Scratch(), sc.Scratch()
	if ev.format != nil {
		msg = ev.format.Append(msg, sc)
	}
	if ev.sd != nil {
		data = ev.sd.Append(data, sc)
	}
	sc.FE.FE.Counters[sc.R.Index].LogLines.Add(1)
	for i, t := range s.all {
		if ev.level > t.level || !s.turns[i].mine() {
			continue
		}
		p := t.profile
		if ev.profile != nil {
			p = ev.profile
		}
		if p == nil {
			if ev.format != nil {
				room = s.sendTo(t, sc.R, sc.W, ev.level, &s.tags, msg, data, room)
			}
			continue
		}
		room = s.profiled(sc, ev, t, p, msg, data, room)
	}
	sc.Drop(room)
	sc.Drop(data)
	sc.Drop(msg)
}

// profiled sends a line to a target as a profile has it.
func (s *settings) profiled(sc *stream.Scope, ev *event, t *target, p *Profile, msg, data, room []byte) []byte {
	step := p.step(ev.origin, ev.failed)
	if step != nil && step.drop || ev.format == nil && (step == nil || step.format == nil) {
		return room
	}
	ours, own := sc.Scratch(), sc.Scratch()
	if step != nil && step.format != nil {
		ours = step.format.Append(ours, sc)
		msg = ours
	}
	if step != nil && step.sd != nil {
		own = step.sd.Append(own, sc)
		data = own
	}
	tags := &s.tags
	if p.tags.tag != nil {
		tags = &p.tags
	}
	room = s.sendTo(t, sc.R, sc.W, ev.level, tags, msg, data, room)
	sc.Drop(own)
	sc.Drop(ours)
	return room
}

// connected makes the function that logs where requests come from, for frontends
// without a format (8.2.1).
func (s *settings) connected(p *stream.Proxy) func(*stream.Session) {
	mode := "TCP"
	if p.Mode == stream.HTTP {
		mode = "HTTP"
	}
	return func(ses *stream.Session) {
		r := ses.Reactor()
		dst := ses.Dst()
		msg := append(r.Scratch[:0], "Connect from "...)
		if ses.Src.IP.IsValid() {
			msg = ses.Src.IP.AppendTo(msg)
			msg = append(msg, ':')
			msg = strconv.AppendInt(msg, int64(ses.Src.Port), 10)
			msg = append(msg, " to "...)
			msg = dst.IP.AppendTo(msg)
			msg = append(msg, ':')
			msg = strconv.AppendInt(msg, int64(dst.Port), 10)
		} else {
			msg = append(msg, "unix:1 to "...)
			msg = append(msg, dst.Path...)
		}
		msg = append(append(append(append(append(msg, " ("...), p.Name...), '/'), mode...), ')')
		half := len(r.Scratch) / 2
		s.send(r, ses.Listener.Worker(), Info, msg, nil, r.Scratch[half:half])
	}
}

// send sends a message to the targets that want its level. It gives back the room
// that it made the lines in, which may have grown.
func (s *settings) send(r *reactor.Reactor, w *stream.Worker, level Level, msg, sd, room []byte) []byte {
	for i, t := range s.all {
		if level > t.level || !s.turns[i].mine() {
			continue
		}
		tags := &s.tags
		if t.profile != nil && t.profile.tags.tag != nil {
			tags = &t.profile.tags
		}
		room = s.sendTo(t, r, w, level, tags, msg, sd, room)
	}
	return room
}

// sendTo sends a message to a target.
func (s *settings) sendTo(t *target, r *reactor.Reactor, w *stream.Worker, level Level, tags *tags, msg, sd, room []byte) []byte {
	as := max(level, t.min)
	line := s.header(room[:0], r, t, as, tags, sd)
	if len(line) > t.max { // structured data cannot be cut
		line = s.header(room[:0], r, t, as, tags, nil)
	}
	keep := max(t.max-len(line), 0) // and the line feed, as HAProxy counts
	line = append(append(line, msg[:min(len(msg), keep)]...), '\n')
	if out := t.out.Load(); out == nil || !out.send(r, line) {
		w.Counters[r.Index].DroppedLogs.Add(1)
	}
	return line
}

// tags are what lines call the program.
type tags struct{ tag, name []byte } // name: tag[pid]:

func tagged(tag string) tags {
	return tags{[]byte(tag), []byte(tag + "[" + strconv.Itoa(os.Getpid()) + "]: ")}
}

// stamp caches what a date looks like for one second, for each reactor.
type stamp struct {
	unix    int64
	rfc3164 []byte // "Nov 22 23:57:33"
	iso     []byte // "2026-11-22T23:57:33"
	zone    []byte // "+00:00"
}

var stamps = slot.New[*reactor.Reactor, stamp]()

func now(r *reactor.Reactor) (*stamp, time.Time) {
	t := r.Wall()
	c := stamps.Make(r)
	if u := t.Unix(); c.unix != u || c.iso == nil {
		c.unix = u
		l := t.Local()
		c.rfc3164 = l.AppendFormat(c.rfc3164[:0], "Jan _2 15:04:05")
		c.iso = l.AppendFormat(c.iso[:0], "2006-01-02T15:04:05")
		c.zone = l.AppendFormat(c.zone[:0], "-07:00")
	}
	return c, t
}

// header appends what goes before the message.
func (s *settings) header(b []byte, r *reactor.Reactor, t *target, level Level, tags *tags, sd []byte) []byte {
	c, at := now(r)
	pri := int64(t.facility<<3 | int(level))
	isoDate := func(b []byte) []byte {
		b = append(append(b, c.iso...), '.')
		us := at.Nanosecond() / 1000
		for d := 100000; d > 0; d /= 10 {
			b = append(b, byte('0'+us/d%10))
		}
		return append(b, c.zone...)
	}
	switch t.format {
	case rfc3164, local3164:
		b = append(strconv.AppendInt(append(b, '<'), pri, 10), '>')
		b = append(append(b, c.rfc3164...), ' ')
		if s.host != "" && t.format == rfc3164 {
			b = append(append(b, s.host...), ' ')
		}
		return append(b, tags.name...)
	case rfc5424:
		b = append(strconv.AppendInt(append(b, '<'), pri, 10), ">1 "...)
		b = append(isoDate(b), ' ')
		if s.host != "" {
			b = append(b, s.host...)
		} else {
			b = append(b, '-')
		}
		b = append(append(append(b, ' '), tags.tag...), ' ')
		b = strconv.AppendInt(b, int64(os.Getpid()), 10)
		b = append(b, " - "...)
		if len(sd) > 0 {
			return append(append(b, sd...), ' ')
		}
		return append(b, "- "...)
	case priority:
		return append(strconv.AppendInt(append(b, '<'), pri, 10), '>')
	case short:
		return append(strconv.AppendInt(append(b, '<'), int64(level), 10), '>')
	case timed:
		b = append(strconv.AppendInt(append(b, '<'), int64(level), 10), '>')
		return append(isoDate(b), ' ')
	case iso:
		return append(isoDate(b), ' ')
	}
	return b
}

// prepare gives the targets of a new configuration their sockets, so that no line
// is lost when it comes into force: those that there are, or new ones. A target
// that cannot be opened loses its lines, as with a server that is not there.
func prepare(t *snapshot.Transition) (snapshot.Steps, error) {
	var all []*settings
	if g := globals.Of(t.New.Global); g != nil && g.own != nil {
		all = append(all, g.own)
	}
	for _, p := range t.New.Proxies {
		if s := sections.Of(p); s != nil {
			all = append(all, s)
		}
	}
	var undo []func()
	for _, s := range all {
		for _, x := range s.all {
			if x.out.Load() != nil {
				continue
			}
			o, err := open(t.Worker, x, func(o, old *output) {
				undo = append(undo, func() {
					putBack(x.key, old)
					o.close(t.Worker)
				})
			})
			if err != nil {
				fmt.Fprintf(os.Stderr, "[WARNING]  (%d) : %v\n", os.Getpid(), err)
				continue
			}
			x.out.Store(o)
			undo = append(undo, func() { x.out.Store(nil) })
		}
	}
	return snapshot.Steps{Undo: func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}}, nil
}

// unreachable names the UNIX sockets of a new configuration that a worker which
// has given up the filesystem can no longer find.
func unreachable(t *snapshot.Transition) (out []string) {
	if !t.Worker.Confined.Load() {
		return nil
	}
	outputs.Lock()
	defer outputs.Unlock()
	for _, p := range t.New.Proxies {
		for _, x := range sections.Make(p).all {
			text := "log " + x.key + ": the worker cannot reach the socket's path any more"
			if x.addr.IsUnix() && x.addr.Path[0] != 0 && outputs.m[x.key] == nil && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// Send sends a message about a proxy to its log servers. It may be called from
// any thread.
func Send(w *stream.Worker, p *stream.Proxy, level Level, text string) {
	s := sections.Of(p)
	if s == nil || len(s.all) == 0 {
		return
	}
	text = strings.ReplaceAll(text, "\n", " ")
	r := w.Reactors[0]
	r.Post(func() { s.send(r, w, level, []byte(text), nil, make([]byte, 0, 2048)) })
}
