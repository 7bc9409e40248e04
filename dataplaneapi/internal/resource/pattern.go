package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A pattern is the compiled form of one "at" string: nodes that words of a line are matched against, in order.
// A run of groups (optional parts) matches in any order.
type pattern struct {
	nodes  []node
	consts map[string]any // what a match says beside the words, e.g. {type: set-header}
	source string
}

type kind uint8

const (
	literal  kind = iota // word or a|b|c, perhaps with ?property=value
	word                 // text with {property} inside
	rest                 // {property...}: all words left, as text of the configuration language
	list                 // {property*}: all words left, as an array
	compound             // {@codec:a,b}: a word that a named codec splits
	group                // [ ... ] or [ ... ]*
)

type node struct {
	kind   kind
	words  []string // literal: what matches; the first is written
	flag   string   // literal: the property it sets
	value  any
	parts  []string // word: alternating text and property, text first
	re     *regexp.Regexp
	props  []string // the properties that the node needs
	codec  string
	nodes  []node
	repeat bool
}

var tokenRE = regexp.MustCompile(`\[|\]\*?|(?:[^\s\[\]{}]|\{[^}]*\})+`)

// compile reads an "at" string. self is the property that "{}" stands for.
func compile(src, self string, consts map[string]any) (*pattern, error) {
	p := &pattern{consts: consts, source: src}
	stack := []*[]node{&p.nodes}
	for _, t := range tokenRE.FindAllString(src, -1) {
		top := stack[len(stack)-1]
		switch {
		case t == "[":
			*top = append(*top, node{kind: group})
			g := &(*top)[len(*top)-1]
			stack = append(stack, &g.nodes)
		case t == "]" || t == "]*":
			if len(stack) == 1 {
				return nil, fmt.Errorf("%q: a bracket closes that was not opened", src)
			}
			stack = stack[:len(stack)-1]
			top = stack[len(stack)-1]
			(*top)[len(*top)-1].repeat = t == "]*"
		case strings.Contains(t, "{"):
			n, err := compileWord(t, self)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", src, err)
			}
			*top = append(*top, n)
		default:
			text, flag, ok := strings.Cut(t, "?")
			n := node{kind: literal, words: strings.Split(text, "|")}
			if ok {
				name, v, has := strings.Cut(flag, "=")
				n.flag, n.value = name, true
				if has {
					n.value = v
				}
			}
			*top = append(*top, n)
		}
	}
	if len(stack) != 1 {
		return nil, fmt.Errorf("%q: a bracket is not closed", src)
	}
	return p, nil
}

func compileWord(t, self string) (node, error) {
	if strings.HasPrefix(t, "{@") {
		name, props, ok := strings.Cut(strings.Trim(t, "{@}"), ":")
		if _, known := codecs[name]; !ok || !known {
			return node{}, fmt.Errorf("%s: no such codec", t)
		}
		return node{kind: compound, codec: name, props: strings.Split(props, ",")}, nil
	}
	name := func(s string) string {
		if s == "" {
			return self
		}
		return s
	}
	if inner, ok := strings.CutSuffix(t, "...}"); ok && strings.HasPrefix(inner, "{") {
		return node{kind: rest, props: []string{name(inner[1:])}}, nil
	}
	if inner, ok := strings.CutSuffix(t, "*}"); ok && strings.HasPrefix(inner, "{") {
		return node{kind: list, props: []string{name(inner[1:])}}, nil
	}
	n := node{kind: word}
	re := "^"
	for s := t; ; {
		text, after, ok := strings.Cut(s, "{")
		n.parts = append(n.parts, text)
		re += regexp.QuoteMeta(text)
		if !ok {
			break
		}
		prop, tail, ok := strings.Cut(after, "}")
		if !ok {
			return node{}, fmt.Errorf("%s: a brace is not closed", t)
		}
		n.parts = append(n.parts, name(prop))
		n.props = append(n.props, name(prop))
		re += "(.*?)"
		s = tail
	}
	var err error
	n.re, err = regexp.Compile("(?s)" + re + "$")
	return n, err
}

// first returns the words that a line of this pattern can begin with, nil for any.
func (p *pattern) first() []string {
	if len(p.nodes) > 0 && p.nodes[0].kind == literal {
		return p.nodes[0].words
	}
	return nil
}

// prefix returns the words that every line of this pattern begins with.
func (p *pattern) prefix() (words []string) {
	for _, n := range p.nodes {
		if n.kind != literal || len(n.words) != 1 {
			break
		}
		words = append(words, n.words[0])
	}
	return words
}

// properties calls f with every property of the pattern, and whether a line needs it.
func (p *pattern) properties(f func(name string, required bool)) {
	var walk func(nodes []node, required bool)
	walk = func(nodes []node, required bool) {
		for _, n := range nodes {
			if n.flag != "" {
				f(n.flag, required)
			}
			if n.kind == group {
				walk(n.nodes, false)
				continue
			}
			for _, prop := range n.props {
				outer, _, _ := strings.Cut(prop, ".")
				f(outer, required && n.kind != compound) // a codec knows itself what it needs
			}
		}
	}
	walk(p.nodes, true)
	for name := range p.consts {
		f(name, true)
	}
}

// match reads words from the i-th on into obj and returns how far it came.
func match(nodes []node, props *fields, words []string, i int, obj map[string]any) (int, bool) {
	for k := 0; k < len(nodes); k++ {
		n := &nodes[k]
		switch n.kind {
		case group:
			end := k
			for end < len(nodes) && nodes[end].kind == group {
				end++
			}
			i = matchRun(nodes[k:end], props, words, i, obj)
			k = end - 1
		case rest, list:
			if !n.matchAll(props, words[min(i, len(words)):], obj) {
				return i, false
			}
			i = max(i, len(words))
		default:
			if i >= len(words) || !n.matchWord(props, words[i], obj) {
				return i, false
			}
			i++
		}
	}
	return i, true
}

// matchAll reads all words that are left into obj.
func (n *node) matchAll(props *fields, words []string, obj map[string]any) bool {
	switch {
	case len(words) == 0:
		return n.kind == rest && len(n.props) == 1 && props.optionalRest(n.props[0])
	case n.kind == rest:
		obj[n.props[0]] = joinWords(words)
		return true
	}
	all := []any{}
	for _, w := range words {
		v, ok := props.get(n.props[0]).item().parse(w)
		if !ok {
			return false
		}
		all = append(all, v)
	}
	obj[n.props[0]] = all
	return true
}

// matchWord reads one word into obj.
func (n *node) matchWord(props *fields, text string, obj map[string]any) bool {
	switch n.kind {
	case literal:
		if !slices.Contains(n.words, text) {
			return false
		}
		if n.flag != "" {
			obj[n.flag] = n.value
		}
	case compound:
		return codecs[n.codec].parse(text, n.props, props, obj)
	case word:
		m := n.re.FindStringSubmatch(text)
		if m == nil {
			return false
		}
		for j, name := range n.props {
			v, ok := props.get(name).parse(m[j+1])
			if !ok {
				return false
			}
			obj[name] = v
		}
	}
	return true
}

// matchRun matches optional parts in any order, each once unless it repeats.
func matchRun(groups []node, props *fields, words []string, i int, obj map[string]any) int {
	used := make([]bool, len(groups))
	for i < len(words) {
		found := false
		for g := range groups {
			if used[g] {
				continue
			}
			got := map[string]any{}
			next, ok := match(groups[g].nodes, props, words, i, got)
			if !ok || next == i {
				continue
			}
			merge(obj, got, groups[g].repeat)
			used[g] = !groups[g].repeat
			i, found = next, true
			break
		}
		if !found {
			break
		}
	}
	return i
}

// merge adds what a group said. A repeated group appends to arrays; "list.field" builds an array of objects.
func merge(obj, got map[string]any, repeat bool) {
	if !repeat {
		maps.Copy(obj, got)
		return
	}
	items := map[string]map[string]any{}
	for name, v := range got {
		outer, inner, nested := strings.Cut(name, ".")
		if !nested {
			old, _ := obj[name].([]any)
			obj[name] = append(old, v)
			continue
		}
		if items[outer] == nil {
			items[outer] = map[string]any{}
		}
		items[outer][inner] = v
	}
	for outer, item := range items {
		old, _ := obj[outer].([]any)
		obj[outer] = append(old, item)
	}
}

// render writes the words of nodes for obj. ok is false when a property is missing.
func render(nodes []node, props *fields, obj map[string]any) (words []string, missing string) {
	for _, n := range nodes {
		switch n.kind {
		case literal:
			if n.flag != "" && !equal(obj[n.flag], n.value) {
				return nil, n.flag
			}
			words = append(words, n.words[0])
		case group:
			if n.repeat {
				words = append(words, renderRepeat(n, props, obj)...)
				continue
			}
			if w, miss := render(n.nodes, props, obj); miss == "" {
				words = append(words, w...)
			}
		case rest:
			s, ok := obj[n.props[0]].(string)
			if !ok || s == "" {
				if props.optionalRest(n.props[0]) {
					continue
				}
				return nil, n.props[0]
			}
			words = append(words, splitWords(s)...)
		case list:
			all, _ := obj[n.props[0]].([]any)
			if len(all) == 0 {
				return nil, n.props[0]
			}
			for _, v := range all {
				words = append(words, props.get(n.props[0]).item().format(v))
			}
		case compound:
			w, miss := codecs[n.codec].format(n.props, props, obj)
			if miss != "" {
				return nil, miss
			}
			words = append(words, w)
		case word:
			var b strings.Builder
			for i, part := range n.parts {
				if i%2 == 0 {
					b.WriteString(part)
					continue
				}
				v, ok := obj[part]
				if !ok || absent(v) || !props.get(part).accepts(v) {
					return nil, part
				}
				b.WriteString(props.get(part).format(v))
			}
			words = append(words, b.String())
		}
	}
	return words, ""
}

func renderRepeat(n node, props *fields, obj map[string]any) (words []string) {
	var name string
	for _, x := range n.nodes {
		if len(x.props) > 0 {
			name = x.props[0]
			break
		}
	}
	outer, _, nested := strings.Cut(name, ".")
	all, _ := obj[outer].([]any)
	for _, v := range all {
		one := map[string]any{}
		if item, ok := v.(map[string]any); nested && ok {
			for k, x := range item {
				one[outer+"."+k] = x
			}
		} else {
			one[outer] = v
		}
		if w, miss := render(n.nodes, props, one); miss == "" {
			words = append(words, w...)
		}
	}
	return words
}
