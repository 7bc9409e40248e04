package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// A Command is one Runtime command, ready to send.
type Command struct {
	Text     string
	Expect   string // regular expression for the reply; empty: the reply is empty
	Retry    string
	Optional bool
}

// Plan finds the Runtime commands that lead from one configuration to another. ok is false when the change is more than
// Runtime commands can express. No command and ok means that nothing changed that the proxy would notice.
func (api *API) Plan(before, after *config.File) (commands []Command, ok bool) {
	a, b := before.Sections(), after.Sections()
	if len(a) != len(b) || conditional(before) || conditional(after) {
		return nil, false
	}
	var adds, rest []Command
	for i := range a {
		if a[i].Kind != b[i].Kind || a[i].Name != b[i].Name || a[i].From != b[i].From {
			return nil, false
		}
		if slices.EqualFunc(a[i].Body, b[i].Body, func(x, y *config.Line) bool { return slices.Equal(x.Words, y.Words) }) {
			continue
		}
		old, other := api.divide(a[i])
		now, otherNow := api.divide(b[i])
		if !slices.EqualFunc(other, otherNow, slices.Equal) {
			return nil, false
		}
		p := planner{section: b[i], inherit: inherited(b, i)}
		if !p.compare(old, now) {
			return nil, false
		}
		adds = append(adds, p.adds...)
		rest = append(rest, p.rest...)
	}
	// What comes is there before what goes has gone.
	return append(adds, rest...), true
}

// conditional tells whether parts of a file may not count: only the proxy knows which.
func conditional(f *config.File) bool {
	return slices.ContainsFunc(f.Lines, func(l *config.Line) bool { return len(l.Words) > 0 && l.Words[0] == ".if" })
}

// liveLine is a line of a resource that can come and go at run time.
type liveLine struct {
	r      *Resource
	key    string
	obj    map[string]any // nil until it is read
	words  []string
	behind int // how many lines that it inherits from come before it in its section
}

// read reads the line. Most lines of a change are the same before and after, and are not.
func (l *liveLine) read() (ok bool) {
	l.obj, ok = l.r.line.decode(l.words)
	return ok
}

// divide parts the statements of a section into those that can change at run time and all others.
func (api *API) divide(s *config.Section) (live []liveLine, other [][]string) {
	behind := 0
next:
	for _, l := range s.Body {
		if len(l.Words) == 0 {
			continue
		}
		for _, r := range api.Resources {
			if r.Live == nil || !slices.ContainsFunc(r.Parents, func(p Parent) bool { return p.Section == s.Kind && !p.Still }) {
				continue
			}
			if l.Words[0] == r.Live.Inherit {
				behind++
			}
			if !r.mayBegin(l.Words) {
				continue
			}
			if key, ok := r.quickKey(l.Words); ok {
				live = append(live, liveLine{r, key, nil, l.Words, behind})
				continue next
			}
		}
		other = append(other, l.Words)
	}
	return live, other
}

// inherited collects the words that a line of section i gets from elsewhere by a keyword: from its defaults sections, and
// from the first n lines of its own section.
func inherited(all []*config.Section, i int) func(keyword string, n int) []string {
	collect := func(s *config.Section, keyword string, n int) (words []string) {
		for _, l := range s.Body {
			if len(l.Words) > 0 && l.Words[0] == keyword && n != 0 {
				words = append(words, l.Words[1:]...)
				n--
			}
		}
		return words
	}
	var above func(i int, keyword string, depth int) []string
	above = func(i int, keyword string, depth int) []string {
		from := all[i].From
		if depth > 16 || all[i].Kind == "defaults" && from == "" {
			return nil
		}
		for k := i - 1; k >= 0; k-- {
			if all[k].Kind == "defaults" && (from == "" || all[k].Name == from) {
				return append(above(k, keyword, depth+1), collect(all[k], keyword, -1)...)
			}
		}
		return nil
	}
	return func(keyword string, n int) []string {
		return append(above(i, keyword, 0), collect(all[i], keyword, n)...)
	}
}

type planner struct {
	section *config.Section
	inherit func(keyword string, n int) []string
	refused string // the property that a line cannot be added with
	adds    []Command
	rest    []Command
}

// compare plans the way from the old lines of a section to the new ones.
func (p *planner) compare(old, now []liveLine) bool {
	name := func(l liveLine) string { return l.r.Name + " " + l.key }
	have := map[string]liveLine{}
	for _, l := range old {
		have[name(l)] = l
	}
	if len(have) != len(old) {
		return false
	}
	// Lines that stay must stay in order, and new ones come behind them: the proxy cannot insert one.
	seen := map[string]bool{}
	added := false
	next := 0
	for _, l := range now {
		n := name(l)
		was, stays := have[n]
		if seen[n] {
			return false
		}
		seen[n] = true
		if !stays {
			added = true
			if !p.create(l) {
				return false
			}
			continue
		}
		if added {
			return false
		}
		for next < len(old) && name(old[next]) != n {
			next++
		}
		if next == len(old) || was.behind != l.behind || !p.change(was, l) {
			return false
		}
		next++
	}
	for _, l := range old {
		if !seen[name(l)] && !(l.read() && p.steps(&p.rest, l, l.r.Live.Delete, l.obj)) {
			return false
		}
	}
	return true
}

func (p *planner) create(l liveLine) bool {
	if !l.read() {
		return false
	}
	words := l.words[2:]
	if in := p.inherit(l.r.Live.Inherit, l.behind); len(in) > 0 {
		words = slices.Concat(words[:1], in, words[1:])
	}
	for _, w := range words {
		// Words with blanks or environment variables are not the Runtime parser's.
		if strings.ContainsAny(w, " \t;\n\r\\\"'<#$") || w == "" {
			return false
		}
	}
	obj := map[string]any{}
	var kept []piece
	for _, x := range l.r.line.pieces(words[1:], obj) {
		switch name, _, _ := strings.Cut(x.words[0], "("); { // the first word may have an argument in it
		case slices.Contains(l.r.Live.Words, name):
			kept = append(kept, x)
		case x.prop != nil && slices.Contains(l.r.Live.Born, name):
			kept = slices.DeleteFunc(kept, func(before piece) bool { return before.prop == x.prop })
		default:
			if p.refused = name; x.prop != nil {
				p.refused = x.prop.Name
			}
			return false
		}
	}
	words = words[:1:1]
	for _, x := range kept {
		words = append(words, x.words...)
	}
	obj["words"] = strings.Join(words, " ")
	obj[l.r.Key] = l.key
	return p.steps(&p.adds, l, l.r.Live.Create, obj)
}

// change plans the change of the properties of a line.
func (p *planner) change(was, now liveLine) bool {
	if slices.Equal(was.words, now.words) {
		return true
	}
	if !was.read() || !now.read() {
		return false
	}
	for _, prop := range now.r.Props {
		old, v := was.obj[prop.Name], now.obj[prop.Name]
		if equal(old, v) {
			continue
		}
		if prop.Live == nil {
			return false
		}
		steps := prop.Live.Set
		if prop.Live.Values != nil {
			steps = prop.Live.Values[plain(v)]
		}
		if absent(v) || len(steps) == 0 {
			return false
		}
		obj := maps.Clone(now.obj)
		obj[""] = prop.format(v)
		if !p.steps(&p.rest, now, steps, obj) {
			return false
		}
	}
	return slices.Equal(unknown(was), unknown(now))
}

// unknown returns the words of a line that its description does not know.
func unknown(l liveLine) (words []string) {
	_, _, pieces, _ := l.r.line.split(l.words)
	for _, p := range pieces {
		if p.prop == nil {
			words = append(words, p.words...)
		}
	}
	return words
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func (p *planner) steps(to *[]Command, l liveLine, steps []Step, obj map[string]any) bool {
	if strings.ContainsAny(p.section.Name+l.key, " \t;\n\r\\\"'<#$") {
		return false
	}
	for _, s := range steps {
		if len(s.When) > 0 && !holds(s.When, obj) || len(s.Unless) > 0 && holds(s.Unless, obj) {
			continue
		}
		good := true
		text := placeholder.ReplaceAllStringFunc(s.Do, func(name string) string {
			switch name = strings.Trim(name, "{}"); name {
			case "parent_name":
				return p.section.Name
			default:
				if absent(obj[name]) {
					good = false
				}
				return plain(obj[name])
			}
		})
		if !good || strings.ContainsAny(text, ";\n\r\"'\\$#<") {
			return false
		}
		c := Command{Text: text, Expect: s.Expect, Retry: s.Retry, Optional: s.Optional}
		if !slices.Contains(*to, c) {
			*to = append(*to, c)
		}
	}
	return true
}

func holds(when map[string]string, obj map[string]any) bool {
	for name, v := range when {
		if fmt.Sprint(obj[name]) != v {
			return false
		}
	}
	return true
}

// Commands returns the Runtime commands that create (or delete) one line in a section, given its properties.
func (r *Resource) Commands(section string, obj map[string]any, create bool) ([]Command, error) {
	p := planner{section: &config.Section{Name: section}, inherit: func(string, int) []string { return nil }}
	l := liveLine{r: r, key: plain(obj[r.Key]), obj: obj}
	ok := false
	if create {
		words, err := r.line.encode(obj, nil)
		if err != nil {
			return nil, err
		}
		l.words = words
		ok = p.create(l)
	} else {
		ok = p.steps(&p.adds, l, r.Live.Delete, obj)
	}
	if p.refused != "" {
		return nil, &FieldError{p.refused, "is nothing that a " + r.Name + " can be added with at run time"}
	}
	if !ok {
		return nil, &FieldError{r.Key, "or another value has a character that a Runtime command cannot carry"}
	}
	return p.adds, nil
}

// ChangeCommands returns the Runtime commands that set properties of a line. A property without any is a FieldError.
func (r *Resource) ChangeCommands(section, key string, obj map[string]any) ([]Command, error) {
	p := planner{section: &config.Section{Name: section}}
	obj = maps.Clone(obj)
	obj[r.Key] = key
	for _, prop := range r.Props {
		v := obj[prop.Name]
		if prop.Name == r.Key || absent(v) {
			continue
		}
		if prop.Live == nil {
			return nil, &FieldError{prop.Name, "cannot be changed at run time"}
		}
		steps := prop.Live.Set
		if prop.Live.Values != nil {
			steps = prop.Live.Values[plain(v)]
		}
		obj[""] = prop.format(v)
		if !p.steps(&p.adds, liveLine{r: r, key: key}, steps, obj) {
			return nil, &FieldError{prop.Name, "cannot be changed without the properties that go with it"}
		}
	}
	return p.adds, nil
}
