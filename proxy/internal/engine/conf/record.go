package conf

import (
	"bytes"
	"crypto/sha256"
	"hash/maphash"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Loaded is a section of a configuration as it was loaded. It never changes: the
// next configuration takes it over as it is when everything that it depends on is
// what it was.
type Loaded struct {
	Kind, Name, From string
	Pos              config.Pos
	Text             []byte // as it stands in the file; nil: it depends on more than that
	Env              uint64 // the sum of its environment

	sum        config.Sum // of Text
	args       []string
	statements []config.Statement // where Text does not say them by itself
	made       uint64             // the same after the section has moved
	proxy      *stream.Proxy      // nil for other sections, and when the section must be read anew each time
	parent     uint64             // what its defaults section was made as, 0: none
	files      []string           // that it names
	refers     []reference
	hosts      []resolved
	again      []again // what else it does
	said       []said  // what was reported of it
	reserved   int     // see Reserved
	lines      bool    // see stream.Snapshot.KeepLines
}

// reference is the name of a proxy that must be there.
type reference struct {
	side Sections
	name string
}

// said is something that was reported of a section. Its line counts from the
// section's first.
type said struct {
	config.Diagnostic
	when stage
}

// owned are diagnostics about a section, whatever their place: that can be a line
// of its defaults.
type owned struct {
	from, to int
	by       *reading
}

// stage is when something is reported.
type stage uint8

const (
	evaluated stage = iota // while lines are read
	parsed                 // while sections are
	referred               // when what they refer to is looked for
	finished               // behind that
)

// again is something that a section does each time that it is taken over, see
// [Loading.OnTakeover].
type again struct {
	do func(l *Loading, lines int) bool
	at int // the line at which the section began when it was parsed
}

// record is what is known of a loaded configuration, for the next one.
type record struct {
	serial, base uint64 // base: of the configuration that it was made from, 0: of none
	sections     []*Loaded
	bySum        map[config.Sum]*Loaded // those that have a text
	others       uint64                 // sum of what the sections say that are no proxies
	env          uint64                 // sum of the environment behind the last line
	in           Input                  // without files
	threads      int
	whole        bool // nothing of it can be taken over
	files        map[string][sha256.Size]byte
}

var records = slot.New[*stream.Global, record]()

var (
	textSeed = maphash.MakeSeed()
	made     atomic.Uint64 // numbers given to sections
	serials  atomic.Uint64
)

// Contents gives the sections of a loaded configuration, in their order, and the
// sums of the files that it names. ok is false if it was not loaded.
func Contents(s *stream.Snapshot) (list []*Loaded, files map[string][sha256.Size]byte, ok bool) {
	r := records.Of(s.Global)
	if r == nil {
		return nil, nil, false
	}
	return r.sections, r.files, true
}

// TextOf gives the text of a section of a loaded configuration by its sum, nil if
// there is none whose text says what it means.
func TextOf(s *stream.Snapshot, sum config.Sum) []byte {
	if r := records.Of(s.Global); r != nil {
		if l := r.bySum[sum]; l != nil {
			return l.Text
		}
	}
	return nil
}

// InputOf gives what a configuration was loaded from, without the files; ok is
// false if it was not loaded.
func InputOf(s *stream.Snapshot) (in Input, ok bool) {
	r := records.Of(s.Global)
	if r == nil {
		return Input{}, false
	}
	return r.in, true
}

// Follows tells whether new can come into force after old: it was made from no
// other.
func Follows(old, new *stream.Snapshot) bool {
	a, b := records.Of(old.Global), records.Of(new.Global)
	return b == nil || b.base == 0 || a != nil && b.base == a.serial
}

// MadeFrom tells whether new was made from old.
func MadeFrom(old, new *stream.Snapshot) bool {
	if old == nil {
		return false
	}
	a, b := records.Of(old.Global), records.Of(new.Global)
	return a != nil && b != nil && b.base == a.serial
}

// Statements gives the lines of the section.
func (s *Loaded) Statements() []config.Statement {
	if s.statements != nil || s.Text == nil {
		return s.statements
	}
	// no variables, no conditions: the text is enough
	for _, b := range config.Evaluate([]*config.File{config.Text(s.Pos.File, s.Text)}, config.Options{}, new(config.Diagnostics)) {
		return b.Statements
	}
	return nil
}

// Same tells whether two sections say the same because their texts do.
func (s *Loaded) Same(o *Loaded) bool {
	return s == o || s.Text != nil && o.Text != nil && s.Env == o.Env && s.Pos.File == o.Pos.File && bytes.Equal(s.Text, o.Text)
}

// takeover is how sections of the base are found again while a configuration is
// read.
type takeover struct {
	base  *record
	l     *Loading
	found []*found // in the order of the configuration
	room  []found
	sums  map[string]bool // files that were compared, and whether they are the same

	// moved are defaults sections that stand elsewhere now. They are read again, as
	// sections that are new take the places of their lines from them, but mean what
	// they meant to those that are taken over.
	moved map[config.Pos]*Loaded

	defs map[string]*Loaded // by name; nil: made anew
	last *Loaded            // the latest defaults section
	any  bool               // there is one
}

// usable tells whether sections of a configuration can be taken over by what is
// loaded from in.
func (r *record) usable(b *Input) bool {
	a := &r.in
	return !r.whole && r.threads == b.Threads && a.MaxConn == b.MaxConn && a.ProxyMaxConn == b.ProxyMaxConn && a.Memory == b.Memory &&
		slices.Equal(a.Switches, b.Switches) && a.Options.LocalPeer == b.Options.LocalPeer && a.Options.PeerNamed == b.Options.PeerNamed
}

// find is a [config.Known].
func (t *takeover) find(p *config.Part, env uint64, pos config.Pos) *config.Block {
	t.l.breathe()
	s := t.base.bySum[p.Sum()]
	if s == nil || s.proxy == nil || s.Env != env || s.Pos.File != pos.File || !bytes.Equal(s.Text, p.Text) || !t.inherits(s) || !t.sameFiles(s) || !t.sameHosts(s) {
		t.note(p.Text, nil)
		return nil
	}
	t.note(p.Text, s)
	if s.Kind == "defaults" && pos != s.proxy.Pos {
		t.moved[pos] = s
		return nil
	}
	if len(t.room) == 0 {
		t.room = make([]found, 256)
	}
	t.l.sayAgain(s.said, evaluated, pos)
	f := &t.room[0]
	t.room = t.room[1:]
	*f = found{Block: config.Block{Kind: s.Kind, Name: s.Name, From: s.From, Args: s.args, Pos: pos}, of: s}
	t.found = append(t.found, f)
	return &f.Block
}

// found is a section as it goes through the evaluation, and what it is taken over
// from.
type found struct {
	config.Block
	of *Loaded
}

// taken gives what the next section of the configuration is taken over from, nil
// if it is read anew.
func (t *takeover) taken(b *config.Block) *Loaded {
	if t == nil || len(t.found) == 0 || b != &t.found[0].Block {
		return nil
	}
	s := t.found[0].of
	t.found = t.found[1:]
	return s
}

// note keeps which defaults sections there are. A section that is read anew tells
// its kind by its first word only; its name is none that is taken over.
func (t *takeover) note(text []byte, s *Loaded) {
	if s != nil {
		if s.Kind == "defaults" {
			t.defs[s.Name], t.last, t.any = s, s, true
		}
		return
	}
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\v\f"), []byte("defaults")) {
		t.last, t.any = nil, true
	}
}

// known gives a defaults section that has only moved.
func (t *takeover) known(b *config.Block) *Loaded {
	if t == nil {
		return nil
	}
	return t.moved[b.Pos]
}

// inherits tells whether the defaults of s are those that it was made from, as far
// as is known: [Loading.adopt] makes sure.
func (t *takeover) inherits(s *Loaded) bool {
	switch {
	case s.Kind == "defaults" && s.From == "" || s.parent == 0:
		return s.From == "" && (s.Kind == "defaults" || !t.any)
	case s.From != "":
		d := t.defs[s.From]
		return d != nil && d.made == s.parent
	}
	return t.last != nil && t.last.made == s.parent
}

// sameFiles tells whether the files that s names are what they were.
func (t *takeover) sameFiles(s *Loaded) bool {
	for _, name := range s.files {
		same, known := t.sums[name]
		if !known {
			was, there := t.base.files[name]
			now, ok := t.l.sums.of(name)
			same = there == ok && was == now
			t.sums[name] = same
		}
		if !same {
			return false
		}
	}
	return true
}

// sameHosts tells whether the names in s have the addresses that they had.
func (t *takeover) sameHosts(s *Loaded) bool {
	return !slices.ContainsFunc(s.hosts, func(h resolved) bool {
		ip, err := t.l.hostOf(h.name, h.want)
		return err != nil || ip != h.ip
	})
}

// breathe gives others their turn: loading must not keep a processor from the
// reactors for long.
func (l *Loading) breathe() {
	if l.turns++; l.turns%32 == 0 {
		runtime.Gosched()
	}
}

// TakeNothing gives up taking anything over: everything is loaded anew. It is for steps
// that find out late that what is taken over does not fit.
func (l *Loading) TakeNothing() { l.failed = l.failed || l.takeover != nil }

// Whole tells that what is parsed changes how other sections are loaded, in a way
// that they do not know of: the next configuration takes over nothing.
func (l *Loading) Whole() {
	if l != nil {
		l.whole = true
	}
}

// Anew tells that the section that is parsed does more than making its own proxy,
// or depends on more than its lines, its defaults, the global section and the
// files that it reads: it is read anew for each configuration.
func (l *Loading) Anew() {
	if l != nil && l.cur != nil {
		l.cur.anew = true
	}
}

// OnTakeover tells that the section that is parsed does more than making its own proxy:
// f does that for a configuration that takes the section over, when it comes to
// where the section stands. lines is by how many it has moved since it was parsed.
// What the configuration in force uses must not be changed. If f returns false,
// everything is loaded anew.
func (l *Loading) OnTakeover(f func(l *Loading, lines int) bool) {
	if l != nil && l.cur != nil {
		l.cur.again = append(l.cur.again, again{f, l.cur.block.Pos.Line})
	}
}

// Refer runs f when all sections were parsed, with whether there is a proxy of a
// name. The section is taken over as long as there is.
func (l *Loading) Refer(side Sections, name string, f func()) {
	l.todo = append(l.todo, f)
	if l.cur != nil && name != "" {
		l.cur.refers = append(l.cur.refers, reference{side, name})
	}
}

// reading is a section that is being loaded.
type reading struct {
	block  *config.Block
	taken  *Loaded
	proxy  *stream.Proxy
	shared bool // proxy is one of the configuration in force
	made   uint64
	parent uint64
	anew   bool
	files  []string
	refers []reference
	hosts  []resolved
	again  []again
	said   []said
	lines  bool

	reserved int // see Reserved
}

// begin notes that a section is read.
func (l *Loading) begin(b *config.Block) {
	l.breathe()
	l.cur, l.room = &l.room[0], l.room[1:]
	l.cur.block, l.cur.taken = b, l.takeover.taken(b)
	l.read = append(l.read, l.cur)
}

// adopt takes a section over, and its proxy: moved, if other lines stand in front
// of it now. It fails if the section would be made otherwise today, which is
// noticed late: then everything is loaded anew.
func (l *Loading) adopt(b *config.Block, from *defaults) {
	cur := l.cur
	s := cur.taken
	p := s.proxy
	if s.parent != from.made {
		l.failed = true
		return
	}
	if p.ForcedID && slices.ContainsFunc(l.Snap.Proxies, func(o *stream.Proxy) bool { return o.ForcedID && o.ID == p.ID }) {
		l.failed = true
		return
	}
	for _, a := range s.again {
		if !a.do(l, b.Pos.Line-a.at) {
			l.failed = true
			return
		}
	}
	if d := b.Pos.Line - p.Pos.Line; d != 0 {
		p = moved(p, d)
	}
	cur.proxy, cur.made, cur.parent, cur.files, cur.refers, cur.lines, cur.reserved = p, s.made, s.parent, s.files, s.refers, s.lines, s.reserved
	cur.again, cur.hosts, cur.said = s.again, s.hosts, s.said
	l.sayAgain(s.said, parsed, b.Pos)
	if s.lines {
		l.Snap.KeepLines.Store(true)
	}
	if b.Kind == "defaults" {
		l.defs = append(l.defs, &defaults{Proxy: p, made: s.made})
		l.last = l.defs[len(l.defs)-1]
		return
	}
	l.add(p)
	cur.shared = p == s.proxy
}

// moved gives a copy of a proxy whose section begins some lines further down.
func moved(p *stream.Proxy, lines int) *stream.Proxy {
	q := *p
	q.Pos.Line += lines
	q.Binds = make([]*stream.Bind, len(p.Binds))
	for i, b := range p.Binds {
		c := *b
		c.Pos.Line += lines
		q.Binds[i] = &c
	}
	all := make([]stream.ServerLine, len(p.ServerLines))
	q.ServerLines = make([]*stream.ServerLine, len(p.ServerLines))
	for i, s := range p.ServerLines {
		all[i] = *s
		all[i].Pos.Line += lines
		q.ServerLines[i] = &all[i]
	}
	return &q
}

// own gives the i-th proxy as one that may be changed: a copy, if it is one of the
// configuration in force.
func (l *Loading) own(i int) *stream.Proxy {
	p, cur := l.Snap.Proxies[i], l.of[i]
	if !cur.shared {
		return p
	}
	cur.shared = false
	q := *p
	q.Binds = make([]*stream.Bind, len(p.Binds))
	for j, b := range p.Binds {
		c := *b
		q.Binds[j] = &c
	}
	cur.proxy, l.Snap.Proxies[i] = &q, &q
	if q.Frontend {
		l.Snap.Frontends[q.Name] = &q
	}
	if q.Backend {
		l.Snap.Backends[q.Name] = &q
	}
	return &q
}

// Fresh gives the proxies that this loading has made, in their order: those that
// it has taken over are finished.
func (l *Loading) Fresh() iter.Seq[*stream.Proxy] {
	return func(yield func(*stream.Proxy) bool) {
		defer func() { l.cur = nil }()
		for _, l.cur = range l.fresh {
			n := l.Diags.Len()
			more := yield(l.cur.proxy)
			if at := l.Diags.Len(); at > n {
				l.owned = append(l.owned, owned{n, at, l.cur})
			}
			if !more {
				return
			}
		}
	}
}

// KeepLines makes every exchange keep its first line, see [stream.Snapshot].
func (l *Loading) KeepLines() {
	l.Snap.KeepLines.Store(true)
	if l.cur != nil {
		l.cur.lines = true
	}
}

// answered tells whether all that is taken over finds what it refers to.
func (l *Loading) answered() bool {
	for _, cur := range l.read {
		if cur.taken == nil {
			continue
		}
		for _, r := range cur.refers {
			list := l.Snap.Backends
			if r.side == Frontend {
				list = l.Snap.Frontends
			}
			if list[r.name] == nil {
				return false
			}
		}
	}
	return true
}

// others sums up what the sections say that are no proxies.
func others(blocks []*config.Block) uint64 {
	var h maphash.Hash
	h.SetSeed(textSeed)
	words := func(list ...string) {
		for _, w := range list {
			h.WriteString(w)
			h.WriteByte(0)
		}
		h.WriteByte(1)
	}
	for _, b := range blocks {
		if isProxy(b.Kind) {
			continue
		}
		words(b.Pos.File)
		words(b.Args...)
		for _, st := range b.Statements {
			words(string([]byte{'0' + btoi(st.No), '0' + btoi(st.Default)}))
			words(st.Args...)
		}
	}
	return h.Sum64()
}

func btoi(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func isProxy(kind string) bool {
	return kind == "defaults" || kind == "frontend" || kind == "backend" || kind == "listen"
}

// keep makes the record of what was loaded.
func (l *Loading) keep(in Input, blocks []*config.Block) {
	r := records.Make(l.Snap.Global)
	l.complained()
	*r = record{
		serial: serials.Add(1), others: others(blocks), env: l.env.Sum(), threads: l.Threads, whole: l.whole,
		sections: make([]*Loaded, 0, len(l.read)), bySum: make(map[config.Sum]*Loaded, len(l.read)), files: l.sums.close(),
	}
	if in.Base != nil {
		r.base = records.Make(in.Base.Global).serial
	}
	in.Sources, in.Files, in.Base = nil, nil, nil
	r.in = in
	for _, cur := range l.read {
		s := cur.loaded()
		r.sections = append(r.sections, s)
		if s.Text != nil && (s.proxy != nil || r.bySum[s.sum] == nil) {
			r.bySum[s.sum] = s
		}
	}
}

// loaded is what is kept of a section.
func (cur *reading) loaded() *Loaded {
	b, s := cur.block, cur.taken
	if s != nil && s.proxy == cur.proxy && !cur.anew {
		return s
	}
	s = &Loaded{
		Kind: b.Kind, Name: b.Name, From: b.From, Pos: b.Pos, Env: b.Env, args: b.Args, statements: b.Statements,
		made: cur.made, parent: cur.parent, files: cur.files, refers: cur.refers, lines: cur.lines,
		hosts: cur.hosts, again: cur.again, said: cur.said, reserved: cur.reserved,
	}
	if b.Text != nil {
		if cur.taken != nil {
			s.Text, s.sum, s.statements = cur.taken.Text, cur.taken.sum, cur.taken.statements
		} else {
			s.Text = bytes.Clone(b.Text) // not the whole file
			s.sum = sha256.Sum256(s.Text)
		}
		if bytes.IndexByte(s.Text, '$') < 0 {
			s.statements = nil
		}
	}
	if !cur.anew && s.Text != nil {
		s.proxy = cur.proxy
	}
	return s
}

// complained notes what was reported of each section, so that it is said again
// when the section is taken over. What is found out of every configuration is left
// out.
func (l *Loading) complained() {
	list := l.Diags.All()
	if len(list) == 0 {
		return
	}
	if l.Diags.Len() > config.MaxDiagnostics {
		for _, cur := range l.read {
			cur.anew = true
		}
		return
	}
	for i, d := range list {
		if slices.ContainsFunc(l.recurring, func(r [2]int) bool { return r[0] <= i && i < r[1] }) {
			continue
		}
		cur := l.sectionAt(d.Pos)
		if o := slices.IndexFunc(l.owned, func(o owned) bool { return o.from <= i && i < o.to }); o >= 0 && l.owned[o].by != cur {
			l.owned[o].by.anew = true
			continue
		}
		switch {
		case cur == nil:
			l.whole = true
		case cur.taken == nil:
			x := said{d, evaluated}
			for x.when < finished && i >= l.stages[x.when] {
				x.when++
			}
			x.Pos.Line -= cur.block.Pos.Line
			cur.said = append(cur.said, x)
		}
	}
}

// sayAgain reports what was said at a stage of a section that is taken over, and
// begins at pos now, unless who looks at all of the configuration has said it this
// time too.
func (l *Loading) sayAgain(list []said, when stage, pos config.Pos) {
	for _, x := range list {
		d := x.Diagnostic
		d.Pos.Line += pos.Line
		if x.when == when && !slices.Contains(l.Diags.All(), d) {
			l.Diags.Add(d)
		}
	}
}

// end ends a stage behind that of the sections' parsing.
func (l *Loading) end(when stage) {
	for _, cur := range l.read {
		if cur.taken != nil {
			l.sayAgain(cur.said, when, cur.block.Pos)
		}
	}
	if when < finished {
		l.stages[when] = l.Diags.Len()
	}
}

// sectionAt gives the section that a line is in, nil if it is in none.
func (l *Loading) sectionAt(pos config.Pos) *reading {
	for _, cur := range slices.Backward(l.read) {
		if at := cur.block.Pos; at.File == pos.File && at.Line <= pos.Line {
			return cur
		}
	}
	return nil
}

// always runs a step that looks at all proxies of each configuration.
func (l *Loading) always(f func()) {
	n := l.Diags.Len()
	f()
	if l.Diags.Len() > n {
		l.recurring = append(l.recurring, [2]int{n, l.Diags.Len()})
	}
}
