package resource

import "github.com/forebay-lb/forebay/proxy/config"

// What a place reads from its file, each time anew: what edits are seen by, and what a model is compared with.

// List returns all objects of the place, in the order of the file.
func (p *Place) List(full bool) []map[string]any {
	out := []map[string]any{}
	if p.section != nil {
		for _, l := range p.lines() {
			out = append(out, l.obj)
		}
		return out
	}
	p.r.each(p.file.Sections(), func(s *config.Section, name string) bool {
		out = append(out, p.object(s, name, full))
		return true
	})
	return out
}

// Get returns one object, by key (by index for ordered lines).
func (p *Place) Get(key string, index int, full bool) (map[string]any, error) {
	if p.section != nil {
		l, err := p.at(key, index)
		return l.obj, err
	}
	s := p.r.section(p.file, key)
	if s == nil {
		if p.r.Single {
			return map[string]any{}, nil
		}
		return nil, p.missing(key, index)
	}
	if p.r.Single {
		key = ""
	}
	return p.object(s, key, full), nil
}
