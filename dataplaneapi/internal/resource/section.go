package resource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// A setting is a property of a section that has lines of its own.
type setting struct {
	prop  *Property
	path  []string // where it is in the object
	field string   // the same, as errors name it
}

// items tells whether the value is an array with one line for each item.
func (s *setting) items() bool { return s.prop.Many }

func (s *setting) decode(words []string) (any, bool) {
	p := s.prop
	if p.negated != nil {
		if n, ok := match(p.negated, p.line.fields, words, 0, map[string]any{}); ok && n == len(words) {
			_, off, _ := p.toggle()
			return off, true
		}
	}
	obj, ok := p.line.decode(words)
	if !ok {
		return nil, false
	}
	if s.whole() {
		return obj, true
	}
	return obj[p.Name], true
}

// whole tells whether a line of the setting is an object.
func (s *setting) whole() bool {
	p := s.prop
	return p.Type == "object" || p.Many && len(p.itemProps) > 0 && p.itemProps[0].Name != ""
}

func (s *setting) encode(v any, old []string) ([]string, error) {
	p := s.prop
	if on, off, is := p.line.single(); is {
		if equal(v, on) {
			words, _ := render(p.line.alts[0].nodes, p.line.fields, nil)
			return words, nil
		}
		if equal(v, off) && p.negated != nil {
			words, _ := render(p.negated, p.line.fields, nil)
			return words, nil
		}
		return nil, nil
	}
	obj := map[string]any{p.Name: v}
	if s.whole() {
		var ok bool
		if obj, ok = v.(map[string]any); !ok {
			return nil, &FieldError{s.field, "is not an object"}
		}
	}
	words, err := p.line.encode(obj, old)
	if fe, ok := err.(*FieldError); ok {
		if s.whole() {
			return nil, &FieldError{s.field + "." + fe.Field, fe.Text}
		}
		return nil, &FieldError{s.field, fe.Text}
	}
	return words, err
}

// find looks up the setting that a line of the section is.
func (r *Resource) find(words []string) (*setting, any) {
	if len(words) == 0 {
		return nil, nil
	}
	for _, s := range r.byFirst[words[0]] {
		if v, ok := s.decode(words); ok {
			return s, v
		}
	}
	return nil, nil
}

// get and put follow a path of property names.
func get(obj map[string]any, path []string) any {
	for _, name := range path[:len(path)-1] {
		obj, _ = obj[name].(map[string]any)
	}
	return obj[path[len(path)-1]]
}

func put(obj map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := obj[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			obj[name] = inner
		}
		obj = inner
	}
	obj[path[len(path)-1]] = v
}

// read gives the properties of a section.
func (r *Resource) read(s *config.Section) map[string]any {
	obj := map[string]any{}
	for _, l := range s.Body {
		set, v := r.find(l.Words)
		if set == nil {
			continue
		}
		if set.items() {
			old, _ := get(obj, set.path).([]any)
			v = append(old, v)
		}
		put(obj, set.path, v)
		for name, x := range set.prop.Implies {
			obj[name] = x
		}
	}
	return obj
}

// write makes the lines of a section say what obj says. Lines that already do are not touched.
func (r *Resource) write(s *config.Section, obj map[string]any) error {
	type have struct {
		line  *config.Line
		value any
	}
	lines := map[*setting][]have{}
	for _, l := range s.Body {
		if set, v := r.find(l.Words); set != nil {
			lines[set] = append(lines[set], have{l, v})
		}
	}
	implied := map[string]any{}
	for _, set := range r.settings {
		if !absent(get(obj, set.path)) {
			for name, v := range set.prop.Implies {
				implied[name] = v
			}
		}
	}
	for _, set := range r.settings {
		v := get(obj, set.path)
		if x, ok := implied[set.field]; ok && equal(v, x) {
			v = nil // another setting's line says it
		}
		var want []any
		if set.items() {
			want, _ = v.([]any)
		} else if !absent(v) {
			want = []any{v}
		}
		old := lines[set]
		if !set.items() && len(old) > 1 {
			// Of several lines the last one counts.
			for _, h := range old[:len(old)-1] {
				s.Remove(h.line)
			}
			old = old[len(old)-1:]
		}
		var last *config.Line
		for i, w := range want {
			if i < len(old) && equal(old[i].value, w) {
				last = old[i].line
				continue
			}
			var before []string
			if i < len(old) {
				before = old[i].line.Words
			}
			words, err := set.encode(w, before)
			if err != nil {
				return err
			}
			switch {
			case words == nil && i < len(old):
				s.Remove(old[i].line)
			case words == nil:
			case i < len(old):
				s.Set(old[i].line, words...)
				last = old[i].line
			case last != nil:
				last = s.Insert(slices.Index(s.Body, last)+1, words...)
			default:
				if l := r.stranger(s, set); l != nil {
					return &FieldError{set.field, fmt.Sprintf("cannot be set: the section has %q, with words that have no property", strings.Join(l.Words, " "))}
				}
				last = s.Insert(r.place(s, set), words...)
			}
		}
		if len(old) > len(want) {
			for _, h := range old[len(want):] {
				s.Remove(h.line)
			}
		}
	}
	return nil
}

// stranger finds a line that is about the same keyword as a setting, and says more than its description knows. A second
// line beside it would be one too many.
func (r *Resource) stranger(s *config.Section, set *setting) *config.Line {
	prefix := set.prop.line.alts[0].prefix()
	if set.items() || len(prefix) == 0 || len(prefix) == 1 && len(r.byFirst[prefix[0]]) > 1 {
		return nil
	}
	for _, l := range s.Body {
		if len(l.Words) >= len(prefix) && slices.Equal(l.Words[:len(prefix)], prefix) {
			if known, _ := r.find(l.Words); known == nil {
				return l
			}
		}
	}
	return nil
}

// place finds where a setting that the section does not have yet goes: behind the settings that stand at its head, in
// front of the first line of a child (a "default-server" must come before the servers).
func (r *Resource) place(s *config.Section, _ *setting) int {
	at := 0
	for i, l := range s.Body {
		if len(l.Words) == 0 {
			continue
		}
		if r.childRank(l.Words) >= 0 {
			break
		}
		at = i + 1
	}
	return outside(s.Body, at, false)
}

// childRank is the place among the section's children of the resource that a line is, -1 for none.
func (r *Resource) childRank(words []string) int {
	for i, name := range r.Children {
		if r.api.ByName[name].is(words) {
			return i
		}
	}
	return -1
}

// is tells whether a line belongs to this resource: by its keyword when it is a list with indices, else by all of its words.
func (r *Resource) is(words []string) bool {
	if !r.mayBegin(words) {
		return false
	}
	if r.Ordered {
		return true
	}
	_, ok := r.line.decode(words)
	return ok
}
