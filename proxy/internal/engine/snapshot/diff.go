package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Change is one difference between two configurations.
type Change struct {
	// Kind is '+' for what is new, '-' for what is gone, '~' for what is
	// different, '!' for what cannot be applied without a new process, and '='
	// for what was set at run time and stays.
	Kind byte
	Text string
}

// String gives the line that users see: "~ backend app: timeout server 5s -> 6s".
func (c Change) String() string { return string(c.Kind) + " " + c.Text }

// Diff tells in what two configurations differ, in the order of the new one. It
// is empty if they say the same.
func Diff(old, new *stream.Snapshot) []Change {
	before, had, known := conf.Contents(old)
	after, has, loaded := conf.Contents(new)
	if !known || !loaded {
		return nil
	}
	from, end := cutSame(before, after)
	was, is := sectionsOf(before, from, end), sectionsOf(after, from, end)
	var out []Change
	for _, key := range is.order {
		s, o := is.by[key], was.by[key]
		switch {
		case o == nil && key != "global":
			out = append(out, Change{'+', s.title})
		case o == nil:
			out = append(out, sectionDiff(&section{title: key, kind: key}, s)...)
		case !s.same(o):
			out = append(out, sectionDiff(o, s)...)
		}
	}
	for _, key := range was.order {
		if is.by[key] != nil {
			continue
		}
		if key == "global" {
			out = append(out, sectionDiff(was.by[key], &section{title: key, kind: key})...)
			continue
		}
		out = append(out, Change{'-', was.by[key].title})
	}
	out = append(out, addressDiff(old, new)...)
	for _, name := range slices.Sorted(maps.Keys(has)) {
		if sum, there := had[name]; there && sum != has[name] {
			out = append(out, Change{'~', "file " + name})
		}
	}
	return out
}

// cutSame tells how many sections both configurations begin and end with that need
// not be looked at: what is between them gives those no other meaning.
func cutSame(old, new []*conf.Loaded) (from, end int) {
	n := min(len(old), len(new))
	for from < n && old[from].Same(new[from]) {
		from++
	}
	for end < n-from && old[len(old)-1-end].Same(new[len(new)-1-end]) {
		end++
	}
	for _, s := range slices.Concat(old[from:len(old)-end], new[from:len(new)-end]) {
		switch s.Kind {
		case "frontend", "backend", "listen":
		case "defaults":
			end = 0 // others may follow it now
		default:
			return 0, 0 // there may be several that count as one
		}
	}
	return from, end
}

// section is all that one section says, its inherited settings by name only.
type section struct {
	title, kind, name string
	parent            string
	parts             []*conf.Loaded
}

// same tells at a glance that two sections say the same.
func (s *section) same(o *section) bool {
	return s.parent == o.parent && slices.EqualFunc(s.parts, o.parts, (*conf.Loaded).Same)
}

func (s *section) items() (list []item) {
	for _, p := range s.parts {
		for _, st := range p.Statements() {
			list = append(list, itemOf(s.kind, s.name, st))
		}
	}
	return list
}

// item is one line of a section: what it sets, and to what.
type item struct {
	key    string // "timeout server", "server s1"
	entity string // "server app/s1" for what counts as a thing of its own
	value  string
}

type sectionSet struct {
	order []string
	by    map[string]*section
}

// sectionsOf gives the sections but for some at the beginning and the end.
func sectionsOf(parts []*conf.Loaded, from, end int) sectionSet {
	set := sectionSet{by: make(map[string]*section, len(parts)-from-end)}
	last, unnamed := "", 0
	for i, b := range parts[:len(parts)-end] {
		name := b.Name
		if b.Kind == "defaults" && name == "" {
			unnamed++
			name = fmt.Sprintf("(unnamed %d)", unnamed)
		}
		if i < from {
			if b.Kind == "defaults" {
				last = name
			}
			continue
		}
		key := strings.TrimSpace(b.Kind + " " + name)
		s := set.by[key]
		if s == nil {
			s = &section{title: key, kind: b.Kind, name: name}
			set.by[key] = s
			set.order = append(set.order, key)
		}
		switch b.Kind {
		case "defaults":
			s.parent, last = b.From, name
		case "frontend", "backend", "listen":
			if s.parent = b.From; s.parent == "" {
				s.parent = last
			}
		}
		s.parts = append(s.parts, b)
	}
	return set
}

func itemOf(kind, name string, st config.Statement) item {
	n := conf.NameWords(kind, st.Args)
	key, rest := strings.Join(st.Args[:n], " "), st.Args[n:]
	it := item{key: key}
	switch {
	case st.No:
		it.value = "off"
	case st.Default:
		it.value = "default"
	case len(rest) == 0:
		it.value = "on"
	default:
		it.value = line(rest)
	}
	if len(rest) == 0 {
		return it
	}
	switch key {
	case "server", "server-template", "bind":
		it.entity = key + " " + name + "/" + rest[0]
		it.key, it.value = it.entity, line(rest[1:])
	case "stats socket":
		it.entity = key + " " + rest[0]
		it.key, it.value = it.entity, line(rest[1:])
	case "errorfile", "errorloc", "errorloc302", "errorloc303":
		it.key, it.value = key+" "+rest[0], line(rest[1:])
	}
	return it
}

// line writes words as they could stand in a file, on one line.
func line(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = config.Quote(w)
	}
	return strings.Join(quoted, " ")
}

// sectionDiff compares two forms of a section.
func sectionDiff(old, new *section) []Change {
	d := &differ{s: new}
	if old.parent != new.parent {
		d.tell("from %s -> %s", orUnset(old.parent), orUnset(new.parent))
	}
	was, is := group(old.items()), group(new.items())
	for _, key := range is.order {
		d.key(key, was.by[key], is.by[key])
	}
	for _, key := range was.order {
		if is.by[key] == nil {
			d.key(key, was.by[key], nil)
		}
	}
	return d.out
}

type itemSet struct {
	order []string
	by    map[string][]item
}

func group(items []item) itemSet {
	g := itemSet{by: make(map[string][]item)}
	for _, it := range items {
		if g.by[it.key] == nil {
			g.order = append(g.order, it.key)
		}
		g.by[it.key] = append(g.by[it.key], it)
	}
	return g
}

type differ struct {
	s       *section
	keyword string
	out     []Change
}

// tell reports a change of the section.
func (d *differ) tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if d.s.kind != "global" {
		d.out = append(d.out, Change{'~', d.s.title + ": " + text})
		return
	}
	if conf.InPlace(d.keyword) {
		d.out = append(d.out, Change{'~', "global " + text})
		return
	}
	d.out = append(d.out, Change{'!', "global " + text + ": needs a reload"})
}

// key compares all lines of one keyword (or of one server or bind).
func (d *differ) key(key string, old, new []item) {
	d.keyword = key
	switch {
	case len(old) == 0 && new[0].entity != "":
		d.out = append(d.out, Change{'+', new[0].entity})
	case len(new) == 0 && old[0].entity != "":
		d.out = append(d.out, Change{'-', old[0].entity})
	case len(old) == 1 && len(new) == 1 && new[0].entity != "":
		if a, b := differing(old[0].value, new[0].value); a != b {
			d.out = append(d.out, Change{'~', new[0].entity + ": " + orUnset(a) + " -> " + orUnset(b)})
		}
	case len(old) <= 1 && len(new) <= 1:
		if a, b := valueOf(old), valueOf(new); a != b {
			d.tell("%s %s -> %s", key, a, b)
		}
	default:
		d.list(key, old, new)
	}
}

// list compares keywords that stand several times.
func (d *differ) list(key string, old, new []item) {
	left := map[string]int{}
	for _, it := range old {
		left[it.value]++
	}
	var added []string
	for _, it := range new {
		if left[it.value] > 0 {
			left[it.value]--
		} else {
			added = append(added, it.value)
		}
	}
	changed := len(added) > 0
	for _, it := range old {
		if left[it.value] > 0 {
			left[it.value]--
			changed = true
			d.tell("- %s %s", key, it.value)
		}
	}
	for _, v := range added {
		d.tell("+ %s %s", key, v)
	}
	if !changed && !slices.EqualFunc(old, new, func(a, b item) bool { return a.value == b.value }) {
		d.tell("order of '%s' lines", key)
	}
}

func valueOf(items []item) string {
	if len(items) == 0 {
		return "unset"
	}
	return items[0].value
}

func orUnset(s string) string {
	if s == "" {
		return "unset"
	}
	return s
}

// differing leaves out the words that two texts begin and end with, but for the
// one before the difference: it says what is different.
func differing(a, b string) (string, string) {
	if a == b {
		return a, b
	}
	x, y := strings.Fields(a), strings.Fields(b)
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	end := 0
	for end < len(x)-n && end < len(y)-n && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	from := n
	if n > 0 && len(x)-end-n > 0 && len(y)-end-n > 0 {
		from--
	}
	return strings.Join(x[from:len(x)-end], " "), strings.Join(y[from:len(y)-end], " ")
}

// addressDiff tells of servers whose name resolves to another address now.
func addressDiff(old, new *stream.Snapshot) []Change {
	var out []Change
	for _, p := range new.Proxies {
		o := old.Backends[p.Name]
		if o == nil || !p.Backend || o == p {
			continue
		}
		was := make(map[string]*stream.ServerSettings, len(o.ServerLines))
		for _, s := range o.ServerLines {
			was[s.Name] = s.Settings
		}
		for _, s := range p.ServerLines {
			if w := was[s.Name]; w != nil && w.Host == s.Settings.Host && w.Addr.Port == s.Settings.Addr.Port && w.Addr != s.Settings.Addr {
				out = append(out, Change{'~', fmt.Sprintf("server %s/%s: address of %s %s -> %s", p.Name, s.Name, w.Host, w.Addr, s.Settings.Addr)})
			}
		}
	}
	return out
}
