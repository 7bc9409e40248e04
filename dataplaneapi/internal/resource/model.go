package resource

import (
	"fmt"
	"sync"

	"github.com/forebay-lb/forebay/proxy/config"
)

// A Model is one version of a configuration, for reading. What was asked for once is kept as it is answered, so that a
// read neither walks the file nor builds an answer twice. Methods may be called at the same time.
type Model struct {
	File *config.File // not to be changed

	api      *API
	mu       sync.Mutex // guards what follows
	sections map[string][]named
	byName   map[string]map[string]*config.Section
	views    map[viewKey]*view
}

// named is a section with the name that the API has for it.
type named struct {
	section *config.Section
	name    string
}

type viewKey struct {
	r          *Resource
	kind, name string
	full       bool
}

// A view is one collection: its objects in their order.
type view struct {
	place  *Place
	items  []*item
	byKey  map[string]*item
	answer []byte // all of it, as JSON
	full   bool
}

// item is one object of a view; obj and answer are there once they were asked for.
type item struct {
	key     string
	line    *config.Line
	section *config.Section
	obj     map[string]any
	answer  []byte
}

// NewModel reads a text.
func (api *API) NewModel(name string, text []byte) *Model {
	m := &Model{File: config.Parse(name, text), api: api, sections: map[string][]named{}, byName: map[string]map[string]*config.Section{}, views: map[viewKey]*view{}}
	all := m.File.Sections()
	for _, r := range api.Resources {
		if r.Section == "" {
			continue
		}
		names := map[string]*config.Section{}
		r.each(all, func(s *config.Section, name string) bool {
			if _, twice := names[name]; !twice {
				names[name] = s
			}
			m.sections[r.Section] = append(m.sections[r.Section], named{s, name})
			return true
		})
		m.byName[r.Section] = names
	}
	return m
}

// view finds a collection of a resource: in the section of that kind and name, for a line.
func (m *Model) view(r *Resource, kind, name string, full bool) (*view, error) {
	k := viewKey{r, kind, name, full}
	if v := m.views[k]; v != nil {
		return v, nil
	}
	v := &view{byKey: map[string]*item{}, full: full}
	if r.Section != "" {
		v.place = r.Sections(m.File)
		for _, s := range m.sections[r.Section] {
			v.add(&item{key: s.name, section: s.section})
		}
		m.views[k] = v
		return v, nil
	}
	for _, parent := range m.api.Resources {
		if parent.Section != kind {
			continue
		}
		section := m.byName[kind][name]
		if parent.Single && len(m.sections[kind]) > 0 {
			section = m.sections[kind][0].section
		}
		switch {
		case section == nil && parent.Single:
			section = &config.Section{File: m.File, Kind: kind}
		case section == nil:
			return nil, fmt.Errorf("%s %q %w", kind, name, ErrNoParent)
		}
		v.place = &Place{r: r, file: m.File, section: section, parent: parent}
		for _, l := range section.Body {
			if !r.mayBegin(l.Words) {
				continue
			}
			x := &item{line: l}
			if key, quick := r.quickKey(l.Words); quick {
				x.key = key
			} else if x.obj = v.place.read(l); x.obj == nil {
				continue
			} else {
				x.key = plain(x.obj[r.Key])
			}
			v.add(x)
		}
		m.views[k] = v
		return v, nil
	}
	return nil, fmt.Errorf("%s %w", kind, ErrNoParent)
}

func (v *view) add(x *item) {
	v.items = append(v.items, x)
	if _, twice := v.byKey[x.key]; !twice {
		v.byKey[x.key] = x
	}
}

// read reads an object, nil when it is none.
func (v *view) read(x *item) map[string]any {
	switch {
	case x.obj != nil:
	case x.section != nil:
		x.obj = v.place.object(x.section, x.key, v.full)
	default:
		x.obj = v.place.read(x.line)
	}
	return x.obj
}

func (v *view) json(x *item) []byte {
	if x.answer == nil && v.read(x) != nil {
		x.answer = v.place.r.JSON(x.obj)
	}
	return x.answer
}

// List answers with all objects of a collection, or those whose property "filter" is want.
func (m *Model) List(r *Resource, kind, name string, full bool, filter, want string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.view(r, kind, name, full)
	if err != nil {
		return nil, err
	}
	if filter == "" && v.answer != nil {
		return v.answer, nil
	}
	out := []byte{'['}
	for _, x := range v.items {
		if v.read(x) == nil || filter != "" && fmt.Sprint(x.obj[filter]) != want {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, v.json(x)...)
	}
	out = append(out, ']')
	if filter == "" {
		v.answer = out
	}
	return out, nil
}

// Get answers with one object, by key (by index for ordered lines).
func (m *Model) Get(r *Resource, kind, name string, full bool, key string, index int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.view(r, kind, name, full)
	if err != nil {
		return nil, err
	}
	var x *item
	switch {
	case r.Ordered && index >= 0 && index < len(v.items):
		x = v.items[index]
	case r.Ordered:
	case r.Single && len(v.items) == 0:
		return []byte("{}"), nil
	case r.Single: // of several the first one is edited
		x = v.items[0]
	default:
		x = v.byKey[key]
	}
	if x != nil {
		if data := v.json(x); data != nil {
			return data, nil
		}
	}
	return nil, v.place.missing(key, index)
}
