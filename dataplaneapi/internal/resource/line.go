package resource

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// Line reads and writes the lines of one kind. Several patterns are alternatives, tried in order. After the pattern come
// the options, in any order, and a tail (a condition).
type Line struct {
	alts      []*pattern
	tail      []node
	props     []*Property
	required  []string
	optionSet string
	options   []*Property
	byFirst   map[string][]*Property // options by the word that they begin with
	loose     []*Property            // options that begin with a word that has a value in it
	older     []*Property            // other names of properties
	fields    *fields
	union     string
	linked    bool
}

// FieldError is a value that cannot be written to the configuration.
type FieldError struct {
	Field string
	Text  string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Text }

// piece is a run of words of a line and the option that it is, nil when the line's description does not know it.
type piece struct {
	prop  *Property
	words []string
}

// decode reads a line. ok is false when it is not of this kind.
func (l *Line) decode(words []string) (obj map[string]any, ok bool) {
	obj, _, _, ok = l.split(words)
	return obj, ok
}

// split reads a line and says which alternative it is and which words are which option.
func (l *Line) split(words []string) (map[string]any, *pattern, []piece, bool) {
	head, tail := words, []string(nil)
	if l.tail != nil {
		for i := 2; i < len(words); i++ {
			if words[i] == "if" || words[i] == "unless" {
				head, tail = words[:i], words[i:]
				break
			}
		}
	}
	for _, a := range l.alts {
		obj := map[string]any{}
		i, ok := match(a.nodes, l.fields, head, 0, obj)
		if !ok || i < len(head) && len(l.options) == 0 {
			continue
		}
		maps.Copy(obj, a.consts)
		if on, _, is := l.single(); is {
			obj[l.props[0].Name] = on
		}
		pieces := l.pieces(head[i:], obj)
		l.addOlder(obj)
		if n, ok := match(l.tail, l.fields, tail, 0, obj); !ok || n < len(tail) {
			continue
		}
		return obj, a, pieces, true
	}
	return nil, nil, nil, false
}

// addOlder says what an object has by its older names too, for clients that know those.
func (l *Line) addOlder(obj map[string]any) {
	for _, p := range l.older {
		for name, v := range p.Means {
			if equal(obj[name], v) {
				obj[p.Name], _, _ = p.toggle()
			}
		}
	}
}

// newer says by the newer names what an object says by the older ones, which it is without then. When they differ, the one
// counts that is not as it was in the line before: a client may leave the other as it read it.
func (l *Line) newer(obj, old map[string]any) (map[string]any, error) {
	cloned := false
	for _, p := range l.older {
		have, ok := obj[p.Name]
		if !ok {
			continue
		}
		if !cloned {
			obj, cloned = maps.Clone(obj), true
		}
		delete(obj, p.Name)
		if on, _, _ := p.toggle(); !equal(have, on) {
			continue // it is not there: the newer name says what is
		}
		for name, v := range p.Means {
			switch {
			case absent(obj[name]), !equal(old[p.Name], have) && equal(old[name], obj[name]):
				obj[name] = v
			case equal(obj[name], v), equal(old[p.Name], have):
			default:
				return nil, &FieldError{p.Name, fmt.Sprintf("means that %s is %q, and that is %q", name, v, plain(obj[name]))}
			}
		}
	}
	return obj, nil
}

// single tells whether the line belongs to one property that is said by the line's presence.
func (l *Line) single() (on, off any, is bool) {
	if len(l.props) != 1 || l.props[0].group == nil && l.props[0].line != nil || len(l.alts) == 0 {
		return nil, nil, false
	}
	used := false
	l.alts[0].properties(func(string, bool) { used = true })
	if used {
		return nil, nil, false
	}
	return l.props[0].toggle()
}

func (l *Line) pieces(words []string, obj map[string]any) (out []piece) {
next:
	for i := 0; i < len(words); {
		try := l.byFirst[words[i]]
		if len(try) == 0 {
			try = l.loose
		}
		for _, p := range try {
			got := map[string]any{}
			n, ok := match(p.group, l.fieldsOf(p), words, i, got)
			if ok && n > i {
				if p.Type == "object" {
					got = map[string]any{p.Name: got}
				}
				if on, _, is := p.toggle(); is {
					got[p.Name] = on
				}
				merge(obj, got, p.Many)
				out = append(out, piece{p, words[i:n]})
				i = n
				continue next
			}
			if p.negated == nil {
				continue
			}
			if n, ok := match(p.negated, l.fields, words, i, got); ok && n > i {
				_, off, _ := p.toggle()
				obj[p.Name] = off
				out = append(out, piece{p, words[i:n]})
				i = n
				continue next
			}
		}
		out = append(out, piece{nil, words[i : i+1]})
		i++
	}
	return out
}

// fieldsOf finds the properties that the names in an option's pattern mean: an object's are its own.
func (l *Line) fieldsOf(p *Property) *fields {
	if p.Type == "object" {
		return p.line.fields
	}
	return l.fields
}

// encode writes an object as words. What old, the line before, says in words that the description does not know is kept,
// and so is the order and the spelling of what did not change.
func (l *Line) encode(obj map[string]any, old []string) ([]string, error) {
	oldObj, _, pieces, _ := l.split(old)
	obj, err := l.newer(obj, oldObj)
	if err != nil {
		return nil, err
	}
	a, err := l.choose(obj)
	if err != nil {
		return nil, err
	}
	words, missing := render(a.nodes, l.fields, obj)
	if missing != "" {
		return nil, &FieldError{missing, "is required"}
	}
	written := map[*Property]bool{}
	for _, p := range pieces {
		switch {
		case p.prop == nil:
			words = append(words, p.words...)
		case equal(obj[p.prop.Name], oldObj[p.prop.Name]): // all of it, when it is there more than once
			written[p.prop] = true
			words = append(words, p.words...)
		case written[p.prop]:
		default:
			written[p.prop] = true
			words = append(words, l.option(p.prop, obj)...)
		}
	}
	for _, p := range l.options {
		if !written[p] {
			words = append(words, l.option(p, obj)...)
		}
	}
	tail, missing := render(l.tail, l.fields, obj)
	if missing != "" {
		return nil, &FieldError{missing, "is required"}
	}
	words = append(words, tail...)
	return words, l.verify(obj, words)
}

func (l *Line) option(p *Property, obj map[string]any) []string {
	v := obj[p.Name]
	if absent(v) {
		return nil
	}
	nodes := p.group
	if on, off, is := p.toggle(); is && !equal(v, on) {
		if !equal(v, off) || p.negated == nil {
			return nil
		}
		nodes = p.negated
	}
	if p.Many {
		return renderRepeat(node{nodes: nodes}, l.fields, obj)
	}
	if inner, ok := v.(map[string]any); ok {
		obj = inner
	}
	words, _ := render(nodes, l.fieldsOf(p), obj)
	return words
}

// choose finds the alternative that says everything that the object says.
func (l *Line) choose(obj map[string]any) (*pattern, error) {
	common := map[string]bool{}
	for _, p := range l.options {
		common[p.Name] = true
	}
	(&pattern{nodes: l.tail}).properties(func(n string, _ bool) { common[n] = true })
	var best error
	fewest := 0
	for _, a := range l.alts {
		if !l.constsMatch(a, obj) {
			continue
		}
		named := maps.Clone(common)
		var wrong []error
		a.properties(func(n string, required bool) {
			named[n] = true
			if required && absent(obj[n]) && !l.fields.optionalRest(n) {
				wrong = append(wrong, &FieldError{n, "is required"})
			}
		})
		for _, n := range slices.Sorted(maps.Keys(obj)) {
			if !absent(obj[n]) && !named[n] {
				wrong = append(wrong, &FieldError{n, "does not go with " + l.describe(a, obj)})
			}
		}
		if len(wrong) == 0 {
			_, missing := render(a.nodes, l.fields, obj)
			if missing == "" {
				return a, nil
			}
			wrong = append(wrong, &FieldError{missing, "is required, or has a value that does not go with the others"})
		}
		if best == nil || len(wrong) < fewest {
			best, fewest = wrong[0], len(wrong)
		}
	}
	if best == nil {
		if l.union != "" {
			return nil, &FieldError{l.union, fmt.Sprintf("%q is not known", plain(obj[l.union]))}
		}
		best = &FieldError{l.props[0].Name, "does not make a line"}
	}
	return nil, best
}

func (l *Line) constsMatch(a *pattern, obj map[string]any) bool {
	for n, v := range a.consts {
		if !equal(obj[n], v) {
			return false
		}
	}
	return true
}

func (l *Line) describe(a *pattern, obj map[string]any) string {
	if l.union != "" {
		return l.union + " " + plain(obj[l.union])
	}
	return strings.TrimSpace("\"" + a.source + "\"")
}

// checkName holds the name of an object to what the proxy takes for one, in its configuration and in its commands. A name
// with variables of the environment is judged by the proxy, which knows their values.
func (p *Property) checkName(v any) error {
	name, _ := v.(string)
	if !p.Named || strings.Contains(name, "$") {
		return nil
	}
	if bad, ok := config.ValidName(name); !ok {
		return &FieldError{p.Name, fmt.Sprintf("has the character %q, which is not permitted in names", bad)}
	}
	return nil
}

// fieldOf finds a property with a text in its value.
func (l *Line) fieldOf(obj map[string]any, text string) string {
	for _, p := range l.props {
		if strings.Contains(fmt.Sprint(obj[p.Name]), text) {
			return p.Name
		}
	}
	return l.props[0].Name
}

// verify reads the words back: what does not come out as it went in would have meant something else in the file.
func (l *Line) verify(obj map[string]any, words []string) error {
	for _, w := range words {
		if strings.Contains(w, "\x00") { // it ends the word, for whoever checks it
			return &FieldError{l.fieldOf(obj, "\x00"), "has a NUL in it"}
		}
	}
	back, ok := l.decode(words)
	for _, p := range l.props {
		if p.Means != nil {
			continue
		}
		want, got := obj[p.Name], any(nil)
		if ok {
			got = back[p.Name]
		}
		if err := p.checkName(want); err != nil {
			return err
		}
		if absent(want) && absent(got) {
			continue
		}
		if _, off, is := p.toggle(); is && equal(want, off) && p.negated == nil {
			continue // "disabled" of something that is only there or not there
		}
		if s, isText := want.(string); isText && ok {
			if g, _ := got.(string); g == Unbracket(s) {
				continue
			}
			// Text of the configuration language may be quoted in more than one way.
			if g, _ := got.(string); slices.Equal(splitWords(s), splitWords(g)) && !hasComment(s) {
				continue
			}
		}
		if !equal(want, got) {
			return &FieldError{p.Name, fmt.Sprintf("cannot be written to the configuration: %q would be read as %q", plain(want), plain(got))}
		}
	}
	return nil
}
