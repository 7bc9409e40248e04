package pattern

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// List is a list of patterns, as one configuration sees it. What lives of it is
// shared with the configurations before and after.
type List struct {
	ID   int
	Name string // of the file, with "virt@" in front of one that there is not; "" for patterns in a line
	Text string // what the patterns are and what uses them, as "show acl" tells it
	// Map and ACL tell which commands know it, Pairs that its entries have values.
	Map, ACL, Pairs bool
	// Matchers are the ways in which it is matched, in the order of the configuration.
	Matchers []*Matcher

	key     string // what it is found by in the next configuration
	sum     sum
	forced  bool   // ID is the configuration's ("-u")
	missing bool   // there is no file
	content string // of the file, until there is a store
	*live
}

// live is what matchers know of their list. Those of a line that has not changed go
// on with it in the next configuration, whose list has another number perhaps.
type live struct {
	names lookup // of the configuration that it was made for
	store *store
}

// sum tells one content of a file from another.
type sum struct {
	Hash   uint64
	Length int
}

// Out is what a matcher gives for an entry.
type Out uint8

// Kinds of results.
const (
	Nothing Out = iota // a condition
	OutStr
	OutInt
	OutIP
	OutKey
)

// check tells whether a value can become the result.
func (o Out) check(value string) error {
	ok := true
	switch o {
	case OutInt:
		_, ok = ParseInt(value)
	case OutIP:
		_, err := netip.ParseAddr(value)
		ok = err == nil && !strings.Contains(value, "%")
	}
	if !ok {
		return fmt.Errorf("unable to parse '%s'", value)
	}
	return nil
}

// ParseInt reads the value of a map that gives numbers. What is beyond them is the
// greatest or the least one.
func ParseInt(value string) (int64, bool) {
	if value == "" {
		return 0, true
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil && n != most && n != least {
		return 0, false
	}
	return n, true
}

// Matcher is a way to match a list.
type Matcher struct {
	Method Method
	Fold   bool // the case is ignored
	Out    Out

	list  *live
	shape shape
	names bool // addresses may be written as names
}

// New makes a list of patterns that no configuration knows, and its matcher.
func New(m Method, fold bool) *Matcher {
	l := &List{live: new(live)}
	l.ready()
	return l.matcher(Use{Method: m, Fold: fold})
}

// matcher gives the list's matcher of a kind.
func (l *List) matcher(u Use) *Matcher {
	m := l.find(u)
	if m == nil {
		m = newMatcher(l.live, u)
		l.attach(m)
	}
	return m
}

// find gives the matcher of a kind, nil if the list has none.
func (l *List) find(u Use) *Matcher {
	for _, o := range l.Matchers {
		if o.Method == u.Method && o.Fold == u.Fold && o.Out == u.Out && o.names == u.Names {
			return o
		}
	}
	return nil
}

func newMatcher(l *live, u Use) *Matcher {
	return &Matcher{list: l, Method: u.Method, Fold: u.Fold, Out: u.Out, shape: shapeOf(u.Method, u.Fold), names: u.Names}
}

// attach adds a matcher. One more index is only made for a list that has its store;
// a file's is one in use, and gets it when the configuration comes into force.
func (l *List) attach(m *Matcher) {
	l.Matchers = append(l.Matchers, m)
	if l.store != nil && l.Name == "" {
		l.store.index(m.shape) // of nothing yet
	}
}

// Add adds a pattern to a list in the making.
func (m *Matcher) Add(key string) error { return m.list.add(&Entry{Key: key}) }

// AddOperator adds a comparison of numbers: "ge", "500".
func (m *Matcher) AddOperator(op, number string) error {
	p, key, err := compared(op, number)
	if err != nil {
		return err
	}
	return m.list.add(&Entry{Key: key, special: &p})
}

func (l *live) add(e *Entry) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var forms [shapes]parsed
	err := s.check(e, l.names, &forms)
	if err == nil {
		if p := forms[asAddr]; p.norm != "" {
			if _, plain := asAddr.parse(e.Key, nil, nil); plain != nil {
				e.special = &p
			}
		}
		e.place = s.cur.Load().count() + 1
		s.add(s.cur.Load(), e, &forms)
	}
	return err
}

// Len is the number of patterns that are in force.
func (l *live) Len() int { return l.store.cur.Load().count() }

// Len is the number of patterns that are in force.
func (m *Matcher) Len() int { return m.list.Len() }

// Match tells whether v matches one of the patterns.
func (m *Matcher) Match(v *sample.Value) bool {
	switch m.Method {
	case Found:
		return true
	case Bool:
		n, ok := v.Number()
		return ok && n != 0
	}
	return m.Find(v) != nil
}

// Find gives the entry that v matches, nil if there is none or the method needs
// none: of addresses and of beginnings the one that says most, otherwise the first
// one.
func (m *Matcher) Find(v *sample.Value) *Entry {
	if m.shape == shapeless || m.list.store == nil {
		return nil
	}
	ver := m.list.store.cur.Load()
	x := ver.by[m.shape].Load()
	if x == nil {
		return nil
	}
	switch m.Method {
	case Int:
		if n, ok := v.Number(); ok {
			return x.number(n)
		}
		return nil
	case IP:
		return x.addr(v)
	case Bin:
		if v.Type == sample.Bin {
			return x.lookup(v.Bytes)
		}
		return x.lookup(v.Line())
	case Len:
		return x.number(int64(len(v.Line())))
	case Reg, RegM:
		if o := x.regexp(v.Line()); o != nil {
			return o.e
		}
		return nil
	}
	return x.text(m.Method, ver, v.Line())
}

// FindRegexp is Find of regular expressions, with the one that matched.
func (m *Matcher) FindRegexp(b []byte) (*Entry, *Regexp) {
	if m.list.store == nil {
		return nil, nil
	}
	if x := m.list.store.cur.Load().by[m.shape].Load(); x != nil {
		if o := x.regexp(b); o != nil {
			return o.e, o.re
		}
	}
	return nil, nil
}

// lines calls f for each entry of a file, with its number. In lists of two columns
// the first word is the key, and what follows it the value.
func lines(content string, pairs bool, f func(no int, key, value string) error) error {
	for no := 1; content != ""; no++ {
		line := content
		if i := strings.IndexByte(content, '\n'); i >= 0 {
			line, content = content[:i], content[i+1:]
		} else {
			content = ""
		}
		if i := strings.IndexByte(line, '\r'); i >= 0 {
			line = line[:i]
		}
		if line == "" || line[0] == '#' {
			continue
		}
		key, value := strings.TrimLeft(line, " \t"), ""
		if pairs {
			key, value = columns(key)
		}
		if key == "" {
			continue
		}
		if err := f(no, key, value); err != nil {
			return err
		}
	}
	return nil
}

// columns cuts a line of two columns, which begins with the first one.
func columns(line string) (key, value string) {
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.Trim(line[i:], " \t")
	}
	return line, ""
}

// validate reads what the file says for a matcher, with what finds the names that
// may stand for addresses.
func (l *List) validate(m *Matcher, content string, names lookup) error {
	read := false
	switch m.shape {
	case asNumber, asAddr, asBytes, asRegexp, asRegexpFolded:
		read = true
	}
	if !read && m.Out != OutInt && m.Out != OutIP {
		return nil
	}
	return lines(content, l.Pairs, func(no int, key, value string) error {
		err := m.Out.check(value)
		switch {
		case err != nil || !read:
		case m.shape == asAddr:
			_, _, err = parsePrefix(key, names)
		default:
			_, err = m.shape.parse(key, names, nil)
		}
		if err != nil {
			return fmt.Errorf("%w at line %d of file '%s'", err, no, l.Name)
		}
		return nil
	})
}

// ready makes the store of what the file says. Nobody else knows it yet.
func (l *List) ready() {
	if l.store != nil {
		return
	}
	s := newStore()
	v := s.cur.Load()
	n := 0
	if l.content != "" {
		n = strings.Count(l.content, "\n") + 1
	}
	// Made together: a million entries are few objects.
	entries := make([]Entry, n)
	var values []string
	if l.Pairs {
		values = make([]string, n)
	}
	n = 0
	lines(l.content, l.Pairs, func(_ int, key, value string) error {
		e := &entries[n]
		s.lastID++
		e.Key, e.place, e.id = key, n+1, s.lastID
		if l.Pairs {
			values[n] = value
			e.value.Store(&values[n])
		}
		if e.prev = v.last; e.prev != nil {
			e.prev.next.Store(e)
		}
		v.last = e
		n++
		return nil
	})
	if n > 0 {
		v.head.Store(&entries[0])
		v.n.Store(int64(n))
	}
	shapes := []shape{asText}
	for _, m := range l.Matchers {
		if m.shape != shapeless && !slices.Contains(shapes, m.shape) {
			shapes = append(shapes, m.shape)
		}
	}
	for _, sh := range shapes {
		x := &index{shape: sh}
		x.fill(entries[:n], l.names)
		v.by[sh].Store(x)
	}
	l.store, l.content = s, ""
}
