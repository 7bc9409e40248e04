package resource

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// Errors that say why an edit is not possible.
var (
	ErrNotFound = errors.New("does not exist")
	ErrExists   = errors.New("already exists")
	// ErrNoParent says that the section that something would be in does not exist; it is an ErrNotFound.
	ErrNoParent = fmt.Errorf("%w", ErrNotFound)
	// ErrIndex says that a line cannot go to an index, since there are not so many.
	ErrIndex = errors.New("is not an index of the list")
)

// A Place is one collection of a resource in a file: its sections, or its lines in one section.
type Place struct {
	r       *Resource
	file    *config.File
	section *config.Section // nil for a section resource
	parent  *Resource
}

// Sections gives the place of a section resource in a file.
func (r *Resource) Sections(f *config.File) *Place { return &Place{r: r, file: f} }

// In gives the place of a line resource in the section of that kind and name. ErrNoParent when there is no such section.
func (r *Resource) In(f *config.File, kind, name string) (*Place, error) {
	for _, p := range r.api.Resources {
		if p.Section != kind {
			continue
		}
		if s := p.section(f, name); s != nil {
			return &Place{r: r, file: f, section: s, parent: p}, nil
		}
		if p.Single {
			return &Place{r: r, file: f, section: p.Sections(f).single(), parent: p}, nil
		}
		return nil, fmt.Errorf("%s %q %w", kind, name, ErrNoParent)
	}
	return nil, fmt.Errorf("%s %w", kind, ErrNoParent)
}

// each calls f with every section of the resource among all of a file, and its name.
func (r *Resource) each(all []*config.Section, f func(s *config.Section, name string) bool) {
	unnamed := 0
	for _, s := range all {
		if s.Kind != r.Section {
			continue
		}
		name := s.Name
		if name == "" && r.Unnamed != "" {
			unnamed++
			name = fmt.Sprint(r.Unnamed, unnamed)
		}
		if !f(s, name) {
			return
		}
	}
}

func (r *Resource) section(file *config.File, name string) (found *config.Section) {
	r.each(file.Sections(), func(s *config.Section, n string) bool {
		if r.Single || n == name {
			found = s
		}
		return found == nil
	})
	return found
}

// single returns the only section of its kind, made at the head of the file when it is not there.
func (p *Place) single() *config.Section {
	if s := p.r.section(p.file, ""); s != nil {
		return s
	}
	if len(p.file.Sections()) == 0 {
		return p.file.InsertSection(nil, p.r.Section, "", "")
	}
	// There is no "in front of all": write the section in front and read the file again.
	var head []byte
	for i, l := range p.file.Lines {
		if !l.IsComment() && !l.IsBlank() {
			for i > 0 && p.file.Lines[i-1].IsComment() && !strings.HasPrefix(string(p.file.Lines[i-1].Raw), "# _") {
				i--
			}
			for _, x := range p.file.Lines[:i] {
				head = append(head, x.Raw...)
			}
			tail := p.file.Bytes()[len(head):]
			text := slices.Concat(head, []byte(p.r.Section+"\n\n"), tail)
			*p.file = *config.Parse(p.file.Name, text)
			break
		}
	}
	return p.r.section(p.file, "")
}

// object reads one section as a resource.
func (p *Place) object(s *config.Section, name string, full bool) map[string]any {
	obj := p.r.read(s)
	if !p.r.Single {
		obj["name"] = name
		if s.From != "" {
			obj["from"] = s.From
		}
	}
	if m := metadata(s.Header); m != nil {
		obj[metadataField] = m
	}
	if !full {
		return obj
	}
	for _, c := range p.r.Children {
		child := p.r.api.ByName[c]
		all := (&Place{r: child, file: p.file, section: s, parent: p.r}).lines()
		if len(all) == 0 {
			continue
		}
		if child.Ordered {
			list := []any{}
			for _, l := range all {
				list = append(list, l.obj)
			}
			obj[child.listField()] = list
			continue
		}
		m := map[string]any{}
		for _, l := range all {
			m[plain(l.obj[child.Key])] = l.obj
		}
		obj[child.listField()] = m
	}
	return obj
}

// listField is what a full section calls its children of this resource.
func (r *Resource) listField() string {
	if r.Ordered {
		return cmp.Or(r.List, r.Name+"_list")
	}
	return r.Plural
}

// lineOf is one line of a line resource. obj is nil when the line was not asked for.
type lineOf struct {
	line *config.Line
	key  string
	obj  map[string]any
}

// lines returns all lines of the place, read.
func (p *Place) lines() []lineOf { return p.scan("") }

// scan returns all lines of the place, but reads only those that may have a key (all, when it is empty).
func (p *Place) scan(key string) (out []lineOf) {
	for _, l := range p.section.Body {
		if !p.r.mayBegin(l.Words) {
			continue
		}
		if k, ok := p.r.quickKey(l.Words); ok && key != "" && k != key {
			out = append(out, lineOf{line: l, key: k})
			continue
		}
		if obj := p.read(l); obj != nil {
			out = append(out, lineOf{l, plain(obj[p.r.Key]), obj})
		}
	}
	return out
}

// read reads a line that begins as those of the resource do, nil when it is none.
func (p *Place) read(l *config.Line) map[string]any {
	obj, ok := p.r.line.decode(l.Words)
	switch {
	case ok:
	case !p.r.Ordered:
		return nil
	default: // it has its place in the list, whatever it says
		obj = map[string]any{opaqueField: joinWords(l.Words)}
		if p.r.Union != "" {
			obj[p.r.Union] = opaqueField
		}
	}
	if m := metadata(l); m != nil {
		obj[metadataField] = m
	}
	if p.r.KeyAt && absent(obj[p.r.Key]) {
		obj[p.r.Key] = l.Words[1]
	}
	return obj
}

// missing is the error for an object that is not there.
func (p *Place) missing(key string, index int) error {
	switch {
	case p.section == nil:
		return fmt.Errorf("%s %q %w", p.r.Name, key, ErrNotFound)
	case p.r.Ordered:
		return fmt.Errorf("%s %d of %s %q %w", p.r.Name, index, p.section.Kind, p.section.Name, ErrNotFound)
	}
	return fmt.Errorf("%s %q of %s %q %w", p.r.Name, key, p.section.Kind, p.section.Name, ErrNotFound)
}

// quickKey gives the key of a line without reading all of it: when it is the word behind the keyword.
func (r *Resource) quickKey(words []string) (string, bool) {
	n := r.line.alts[0].nodes
	if r.Key == "" || len(words) < 2 || len(n) < 2 || n[0].kind != literal || n[1].kind != word || n[1].props[0] != r.Key || n[1].parts[0] != "" || n[1].parts[2] != "" {
		return "", false
	}
	return words[1], true
}

// mayBegin tells whether a line is one of the resource by its keyword, which may have a "no" in front.
func (r *Resource) mayBegin(words []string) bool {
	if len(words) == 0 {
		return false
	}
	for _, a := range r.line.alts {
		if slices.Contains(a.first(), words[0]) && (words[0] != "no" || len(words) > 1 && slices.Contains(a.nodes[1].words, words[1])) {
			return true
		}
	}
	return false
}

// at finds a line by its key or its index.
func (p *Place) at(key string, index int) (lineOf, error) {
	if p.r.Ordered {
		all := p.lines()
		if index < 0 || index >= len(all) {
			return lineOf{}, p.missing(key, index)
		}
		return all[index], nil
	}
	for _, l := range p.scan(key) {
		if l.key == key && l.obj != nil {
			return l, nil
		}
	}
	return lineOf{}, p.missing(key, index)
}

// Create adds an object. index is where an ordered line goes.
func (p *Place) Create(obj map[string]any, index int, full bool) error {
	if p.section == nil {
		return p.createSection(obj, full)
	}
	all := p.scan(plain(obj[p.r.Key]))
	if p.r.Ordered {
		if index < 0 || index > len(all) {
			return fmt.Errorf("index: %d %w, which has %d entries", index, ErrIndex, len(all))
		}
	} else {
		for _, l := range all {
			if l.key == plain(obj[p.r.Key]) {
				return fmt.Errorf("%s %q of %s %q %w", p.r.Name, plain(obj[p.r.Key]), p.section.Kind, p.section.Name, ErrExists)
			}
		}
		index = len(all)
	}
	_, err := p.insert(all, index, obj)
	return err
}

// insert puts the line of an object in front of the index-th of all lines of the resource.
func (p *Place) insert(all []lineOf, index int, obj map[string]any) (*config.Line, error) {
	meta, obj := parted(obj)
	if !absent(obj[opaqueField]) {
		return nil, &FieldError{opaqueField, "is for lines that are in the file already; raw is the way to write one"}
	}
	words, err := p.r.line.encode(obj, nil)
	if err != nil {
		return nil, err
	}
	l := p.section.Insert(p.where(all, index), words...)
	return l, setMetadata(p.section, l, meta)
}

// where finds the index in the section's body for the index-th line of the resource.
func (p *Place) where(all []lineOf, index int) int {
	body := p.section.Body
	if index < len(all) {
		return slices.Index(body, all[index].line)
	}
	if len(all) > 0 {
		return outside(body, slices.Index(body, all[len(all)-1].line)+1, true)
	}
	mine := slices.Index(p.parent.Children, p.r.Name)
	end := 0
	for i, l := range body {
		if len(l.Words) == 0 {
			continue
		}
		if rank := p.parent.childRank(l.Words); rank > mine {
			i = outside(body, i, false)
			for i > 0 && body[i-1].IsComment() {
				i--
			}
			return i
		}
		end = i + 1
	}
	return end
}

// outside moves a place in a section out of the conditional block that it is in: behind its end, or in front of it. What
// the API writes holds in any case.
func outside(body []*config.Line, i int, behind bool) int {
	depth, start := 0, i
	for k, l := range body {
		if k >= i && depth == 0 {
			break
		}
		switch {
		case len(l.Words) == 0:
		case l.Words[0] == ".if":
			if depth == 0 && k < i {
				start = k
			}
			depth++
		case l.Words[0] == ".endif":
			if depth--; depth == 0 && k >= i {
				if behind {
					return k + 1
				}
				return start
			}
		}
	}
	return i
}

func (p *Place) createSection(obj map[string]any, full bool) error {
	name := plain(obj["name"])
	if p.r.section(p.file, name) != nil {
		return fmt.Errorf("%s %q %w", p.r.Name, name, ErrExists)
	}
	from, _ := obj["from"].(string)
	s := p.file.InsertSection(p.behind(from), p.r.Section, name, from)
	if err := p.r.write(s, obj); err != nil {
		return err
	}
	if err := setMetadata(s, s.Header, obj[metadataField]); err != nil {
		return err
	}
	if full {
		return p.children(s, obj)
	}
	return nil
}

// behind finds the section that a new one goes behind: the last of its kind, else the last of all. A new defaults section
// goes behind all, where it becomes nobody's by accident; new proxies stay in front of it, with the ones they belong to.
func (p *Place) behind(string) *config.Section {
	var last, kin *config.Section
	for _, s := range p.file.Sections() {
		if s.Kind == p.r.Section {
			kin = s
		}
		last = s
	}
	if p.r.Section == "defaults" || kin == nil {
		return last
	}
	return kin
}

// Replace makes an object what obj says.
func (p *Place) Replace(key string, index int, obj map[string]any, full bool) error {
	if p.section != nil {
		l, err := p.at(key, index)
		if err != nil {
			return err
		}
		if name := plain(obj[p.r.Key]); !p.r.Ordered && name != key { // another name is a new name
			for _, other := range p.scan(name) {
				if other.key == name {
					return fmt.Errorf("%s %q of %s %q %w", p.r.Name, name, p.section.Kind, p.section.Name, ErrExists)
				}
			}
		}
		return p.set(l, obj)
	}
	s := p.r.section(p.file, key)
	switch {
	case s == nil && p.r.Single:
		s = p.single()
	case s == nil:
		return fmt.Errorf("%s %q %w", p.r.Name, key, ErrNotFound)
	}
	if !p.r.Single {
		name := s.Name
		if said := plain(obj["name"]); said != key { // another name is a new name
			if p.r.section(p.file, said) != nil {
				return fmt.Errorf("%s %q %w", p.r.Name, said, ErrExists)
			}
			name = said
		}
		if from, _ := obj["from"].(string); from != s.From || name != s.Name {
			words := []string{s.Kind}
			if name != "" {
				words = append(words, name)
			}
			if from != "" {
				words = append(words, "from", from)
			}
			s.Set(s.Header, words...)
		}
	}
	if err := p.r.write(s, obj); err != nil {
		return err
	}
	if err := setMetadata(s, s.Header, obj[metadataField]); err != nil {
		return err
	}
	if full {
		return p.children(s, obj)
	}
	return nil
}

// set makes a line what obj says.
func (p *Place) set(l lineOf, obj map[string]any) error {
	if equal(l.obj, obj) {
		return nil
	}
	meta, obj := parted(obj)
	if !absent(obj[opaqueField]) {
		if obj[opaqueField] != l.obj[opaqueField] {
			return &FieldError{opaqueField, "is not the line that is there; raw is the way to write it"}
		}
		return setMetadata(p.section, l.line, meta)
	}
	obj = maps.Clone(obj)
	if p.r.KeyAt && plain(obj[p.r.Key]) == l.line.Words[1] {
		delete(obj, p.r.Key)
	}
	words, err := p.r.line.encode(obj, l.line.Words)
	if err != nil {
		return err
	}
	if !slices.Equal(words, l.line.Words) {
		p.section.Set(l.line, words...)
	}
	return setMetadata(p.section, l.line, meta)
}

// children makes the lines of a section what a full object says.
func (p *Place) children(s *config.Section, obj map[string]any) error {
	for _, c := range p.r.Children {
		child := p.r.api.ByName[c]
		place := &Place{r: child, file: p.file, section: s, parent: p.r}
		var list []map[string]any
		switch v := obj[child.listField()].(type) {
		case []any:
			for _, x := range v {
				if m, ok := x.(map[string]any); ok {
					list = append(list, m)
				}
			}
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if m, ok := v[k].(map[string]any); ok {
					list = append(list, m)
				}
			}
		}
		if err := place.ReplaceAll(list); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceAll makes the lines of a place what the list says. Lines that stay are not touched. A line that the description of
// an ordered resource does not know has to be in the list as it was read, at whatever place: nothing is lost unseen.
func (p *Place) ReplaceAll(list []map[string]any) error {
	if p.r.Ordered {
		return p.replaceOrdered(list)
	}
	keep, have := map[string]bool{}, map[string]lineOf{}
	for _, obj := range list {
		keep[plain(obj[p.r.Key])] = true
	}
	var all []lineOf
	for _, l := range p.lines() {
		if k := plain(l.obj[p.r.Key]); keep[k] {
			have[k] = l
			all = append(all, l)
		} else {
			p.section.Remove(l.line)
		}
	}
	for _, obj := range list {
		k := plain(obj[p.r.Key])
		l, ok := have[k]
		if ok {
			if err := p.set(l, obj); err != nil {
				return err
			}
			continue
		}
		line, err := p.insert(all, len(all), obj)
		if err != nil {
			return err
		}
		have[k] = lineOf{line, k, obj}
		all = append(all, have[k])
	}
	return nil
}

func (p *Place) replaceOrdered(list []map[string]any) error {
	all := p.lines()
	old := len(all)
	opaque := map[string][][]byte{} // the lines as they are written
	for _, l := range all {
		if text, is := l.obj[opaqueField].(string); is {
			opaque[text] = append(opaque[text], slices.Clone(l.line.Raw))
		}
	}
	for i, obj := range list {
		var err error
		text, is := obj[opaqueField].(string)
		switch {
		case is && len(opaque[text]) == 0:
			err = &FieldError{opaqueField, "is no line of the list as it is; raw is the way to write one"}
		case is:
			if i >= old {
				all = append(all, lineOf{line: p.section.Insert(p.where(all, i), splitWords(text)...)})
			}
			raws, l := opaque[text], all[i].line
			k := max(slices.IndexFunc(raws, func(raw []byte) bool { return bytes.Equal(raw, l.Raw) }), 0)
			if !bytes.Equal(raws[k], l.Raw) {
				p.section.Copy(l, raws[k])
			}
			opaque[text] = slices.Delete(raws, k, k+1)
			err = setMetadata(p.section, l, obj[metadataField])
		case i < old:
			err = p.set(all[i], obj)
		default:
			var l *config.Line
			if l, err = p.insert(all, i, obj); err == nil {
				all = append(all, lineOf{line: l})
			}
		}
		if err != nil {
			return indexed(err, i)
		}
	}
	for text, left := range opaque {
		if len(left) > 0 {
			return &FieldError{p.r.listField(), fmt.Sprintf("would lose %q, a line that this API has no properties for: it belongs into the list as it was read, or is deleted by its index", text)}
		}
	}
	for i := len(list); i < old; i++ {
		p.section.Remove(all[i].line)
	}
	return nil
}

func indexed(err error, i int) error {
	if fe, ok := err.(*FieldError); ok {
		return &FieldError{fmt.Sprintf("%d.%s", i, fe.Field), fe.Text}
	}
	return err
}

// Delete takes an object away.
func (p *Place) Delete(key string, index int) error {
	if p.section != nil {
		l, err := p.at(key, index)
		if err == nil {
			p.section.Remove(l.line)
		}
		return err
	}
	s := p.r.section(p.file, key)
	if s == nil {
		return fmt.Errorf("%s %q %w", p.r.Name, key, ErrNotFound)
	}
	p.file.RemoveSection(s)
	return nil
}

// ListFields returns what a full section has beside its own properties.
func (r *Resource) ListFields() (names []string) {
	for _, c := range r.Children {
		names = append(names, r.api.ByName[c].listField())
	}
	return names
}
