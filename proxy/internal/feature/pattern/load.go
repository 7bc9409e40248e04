package pattern

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Set is the lists of a configuration.
type Set struct {
	Lists  []*List // by ID
	byName map[string]*List
	byKey  map[string]*List
}

var sets = slot.New[*stream.Global, Set]()

// Of gives the lists of a configuration.
func Of(s *stream.Snapshot) *Set {
	if set := sets.Of(s.Global); set != nil {
		return set
	}
	return new(Set)
}

func init() {
	conf.RegisterFinish(func(c *conf.Ctx) {
		if set := sets.Of(c.Snap.Global); set != nil {
			set.number()
		}
	})
}

// setOf gives the set of the configuration that is loaded.
func setOf(c *conf.Ctx) *Set {
	if c.Snap == nil || c.Snap.Global == nil {
		return new(Set)
	}
	return sets.Make(c.Snap.Global)
}

func (s *Set) add(l *List) {
	if s.byKey == nil {
		s.byKey, s.byName = make(map[string]*List), make(map[string]*List)
	}
	key := l.key
	for n := 2; s.byKey[l.key] != nil; n++ { // the same patterns once more
		l.key = fmt.Sprintf("%s#%d", key, n)
	}
	s.byKey[l.key] = l
	if l.Name != "" {
		s.byName[l.Name] = l
	}
	s.Lists = append(s.Lists, l)
}

// number gives the lists their numbers: those that have none get the next ones, in
// the order of the configuration.
func (s *Set) number() {
	taken := make(map[int]bool)
	for _, l := range s.Lists {
		if l.forced {
			taken[l.ID] = true
		}
	}
	next := 0
	for _, l := range s.Lists {
		if l.forced {
			continue
		}
		for taken[next] {
			next++
		}
		l.ID = next
		next++
	}
	slices.SortStableFunc(s.Lists, func(a, b *List) int { return cmp.Compare(a.ID, b.ID) })
}

// Named gives the list of a name as configurations have it, nil if there is none.
func (s *Set) Named(ref string) *List {
	name, _ := nameOf(ref)
	return s.byName[name]
}

// ByID gives the list of a number, nil if there is none.
func (s *Set) ByID(id int) *List {
	for _, l := range s.Lists {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// Kinds of names (manual 2.7).
const (
	regular  = "file@"
	optional = "opt@"
	virtual  = "virt@"
)

// nameOf is the name that a list is known by, and the kind of it.
func nameOf(ref string) (name, kind string) {
	if strings.HasPrefix(ref, virtual) {
		return ref, virtual
	}
	if name, ok := strings.CutPrefix(ref, optional); ok {
		return name, optional
	}
	return strings.TrimPrefix(ref, regular), regular
}

// Use is how something in a configuration uses a file of patterns.
type Use struct {
	Method Method
	Fold   bool
	Out    Out
	Map    bool // it is, or counts as, a map: "show map" lists it
	ACL    bool
	Names  bool // addresses may be written as names
}

// Load gives the matcher of a file, which is read once.
func Load(c *conf.Ctx, ref string, u Use) (*Matcher, error) {
	set := setOf(c)
	name, kind := nameOf(ref)
	what := "acl"
	if u.Map {
		what = "map"
	}
	by := func(line int) string { return fmt.Sprintf("%s at file '%s' line %d", what, c.Pos.File, line) }
	l := set.byName[name]
	if l == nil {
		l = &List{live: new(live), Name: name, Pairs: u.Map, Text: usedBy(name, by(c.Pos.Line)), key: "file " + name}
		if err := l.read(c, kind); err != nil {
			return nil, err
		}
		set.add(l)
	} else {
		if l.Pairs != u.Map {
			is, other := "one", "two"
			if l.Pairs {
				is, other = other, is
			}
			return nil, fmt.Errorf("The file \"%s\" is already used as %s column file and cannot be used by as %s column file.", name, is, other)
		}
		if kind == regular && l.missing {
			return nil, fmt.Errorf("failed to open pattern file <%s>", name)
		}
		if kind != virtual {
			c.Uses(name)
		}
		l.Text += ", by " + by(c.Pos.Line)
	}
	l.Map, l.ACL = l.Map || u.Map, l.ACL || u.ACL
	u.Names = u.Names && u.Method == IP
	m := l.find(u)
	if m == nil {
		var err error
		if m, err = l.another(c, kind, u); err != nil {
			return nil, err
		}
	}
	if c.Snap == nil {
		l.ready()
	}
	line := c.Pos.Line
	c.OnTakeover(func(to *conf.Loading, lines int) bool {
		return l.takeOver(sets.Make(to.Snap.Global), m, u, by(line+lines))
	})
	return m, nil
}

func usedBy(name, by string) string {
	return fmt.Sprintf("pattern loaded from file '%s' used by %s", name, by)
}

// another makes one more matcher of a file's list. What the file says must fit; if
// the list goes on with what lives of another one, that must too.
func (l *List) another(c *conf.Ctx, kind string, u Use) (*Matcher, error) {
	content, shared := l.content, l.store != nil
	if shared {
		fresh := &List{Name: l.Name, live: new(live)}
		if err := fresh.read(c, kind); err != nil {
			return nil, err
		}
		content = fresh.content
	}
	var names lookup
	if u.Names {
		names = c.Resolve
	}
	m := newMatcher(l.live, u)
	if err := l.validate(m, content, names); err != nil {
		return nil, err
	}
	switch {
	case shared && (names != nil || l.fits(m) != nil):
		c.TakeNothing()
	case names != nil:
		l.names = names
	}
	l.attach(m)
	return m, nil
}

// takeOver makes the list part of the configuration that takes over a section which
// uses it through m. Its file is what it was.
func (l *List) takeOver(set *Set, m *Matcher, u Use, by string) bool {
	n := set.byName[l.Name]
	switch {
	case n == nil:
		n = &List{live: l.live, Name: l.Name, Pairs: l.Pairs, Text: usedBy(l.Name, by), key: l.key, sum: l.sum, missing: l.missing, content: l.content}
		set.add(n)
	case n.live != l.live && !n.goOn(l):
		return false
	default:
		n.Text += ", by " + by
	}
	n.Map, n.ACL = n.Map || u.Map, n.ACL || u.ACL
	if !slices.Contains(n.Matchers, m) {
		n.Matchers = append(n.Matchers, m)
	}
	return true
}

// goOn makes l, which was read anew, share what lives of o, the same file's list in
// the configuration in force. It fails if that cannot be.
func (l *List) goOn(o *List) bool {
	if l.store == o.store && o.store != nil {
		return true
	}
	if o.store == nil || l.store != nil || l.differs(o) != "" {
		return false
	}
	l.store = o.store
	return true
}

// GoesOnWith makes l the list that goes on with what lives of o, for who keeps o
// when its configuration is not in force any more. It tells whether that is so.
// Either may be nil, for no list.
func (l *List) GoesOnWith(o *List) bool {
	if l == nil || o == nil {
		return l == o
	}
	return l.live == o.live || l.goOn(o)
}

// maxLines bounds the entries of a file.
const maxLines = 1 << 24

func (l *List) read(c *conf.Ctx, kind string) error {
	if kind == virtual {
		return nil
	}
	data, err := c.ReadFile(l.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && kind == optional:
		l.missing = true
		return nil
	case errors.Is(err, fs.ErrNotExist) || l.Name == "":
		return fmt.Errorf("failed to open pattern file <%s>", l.Name)
	case err != nil:
		return fmt.Errorf("failed to open pattern file <%s> (%v)", l.Name, err)
	}
	l.sum = sum{xxhash.Sum64(data), len(data)}
	l.content = unsafe.String(unsafe.SliceData(data), len(data)) // nobody else has it
	if strings.Count(l.content, "\n") > maxLines {
		return fmt.Errorf("pattern file <%s> has more than %d lines", l.Name, maxLines)
	}
	return nil
}

// free tells whether a list may ask for a number; -1 is none.
func (s *Set) free(id int) bool {
	return id < 0 || !slices.ContainsFunc(s.Lists, func(o *List) bool { return o.forced && o.ID == id })
}

// errTaken is worded as HAProxy words it.
var errTaken = errors.New("the id is already used")

// Inline makes the list of the patterns that stand in the line of a condition, of
// which keyword is the criterion. id is the number that the line asks for, or -1.
func Inline(c *conf.Ctx, keyword string, m Method, fold bool, id int, words []string) (*Matcher, error) {
	set := setOf(c)
	text := func(line int) string { return fmt.Sprintf("acl '%s' file '%s' line %d", keyword, c.Pos.File, line) }
	l := &List{
		live: new(live), ID: id, ACL: true, forced: id >= 0,
		Text: text(c.Pos.Line),
		key:  strings.Join(append([]string{"acl", c.Section, "", keyword, string(m), fmt.Sprint(fold, id)}, words...), "\x00"),
	}
	if c.Proxy != nil {
		l.key += "\x00in " + c.Proxy.Name
	}
	if !set.free(id) {
		return nil, errTaken
	}
	l.ready()
	key, line := l.key, c.Pos.Line
	set.add(l)
	// Who takes the section over goes on with what lives of the list.
	c.OnTakeover(func(to *conf.Loading, lines int) bool {
		set := sets.Make(to.Snap.Global)
		if !set.free(id) {
			return false
		}
		set.add(&List{live: l.live, ID: id, ACL: true, forced: l.forced, Text: text(line + lines), key: key, Matchers: l.Matchers})
		return true
	})
	return l.matcher(Use{Method: m, Fold: fold}), nil
}

// SetNames makes the list take names for addresses, while it is made.
func (m *Matcher) SetNames(c *conf.Ctx) { m.list.names = c.Resolve }
