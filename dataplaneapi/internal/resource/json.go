package resource

import (
	"encoding/json"
	"maps"
	"slices"
)

// A shape says in which order the properties of an object are written. It is the order of the original's document, whose
// structures go by the alphabet, but name what they share with others (the options of a line, the settings of a section)
// before what is their own.
type shape struct {
	late  map[string]bool
	inner map[string]*shape
	each  *shape // of the values of a map
}

func (api *API) shape(r *Resource) *shape {
	sh := shapeOf(r.Props, nil)
	if r.line != nil && r.line.optionSet != "" {
		own := r.Props[:len(r.Props)-len(api.sets[r.line.optionSet])]
		sh.late[metadataField] = true
		for _, p := range own {
			sh.late[p.Name] = true
		}
	}
	for _, c := range r.Children {
		child := api.ByName[c]
		sh.late[child.listField()] = true
		inner := api.shape(child)
		if !child.Ordered {
			inner = &shape{each: inner}
		}
		sh.inner[child.listField()] = inner
	}
	return sh
}

func shapeOf(props []*Property, late []*Property) *shape {
	sh := &shape{late: map[string]bool{}, inner: map[string]*shape{}}
	for _, p := range late {
		sh.late[p.Name] = true
	}
	for _, p := range props {
		switch {
		case p.nested != nil:
			sh.inner[p.Name] = shapeOf(p.nested, nil)
		case p.options != "":
			sh.inner[p.Name] = shapeOf(p.itemProps, p.itemProps)
		}
	}
	return sh
}

// JSON writes an object of the resource.
func (r *Resource) JSON(obj map[string]any) []byte { return r.shape.append(nil, obj) }

// ListJSON writes a list of objects of the resource.
func (r *Resource) ListJSON(list []map[string]any) []byte {
	out := []byte{'['}
	for i, obj := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = r.shape.append(out, obj)
	}
	return append(out, ']')
}

func (sh *shape) append(out []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.AppendSeq(make([]string, 0, len(v)), maps.Keys(v))
		slices.SortFunc(keys, func(a, b string) int {
			switch {
			case sh == nil || sh.late[a] == sh.late[b]:
			case sh.late[a]:
				return 1
			default:
				return -1
			}
			if a < b {
				return -1
			}
			return 1
		})
		out = append(out, '{')
		for i, k := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendText(out, k), ':')
			var inner *shape
			if sh != nil {
				if inner = sh.inner[k]; sh.each != nil {
					inner = sh.each
				}
			}
			out = inner.append(out, v[k])
		}
		return append(out, '}')
	case []any:
		out = append(out, '[')
		for i, x := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = sh.append(out, x)
		}
		return append(out, ']')
	case string:
		return appendText(out, v)
	}
	data, err := json.Marshal(v)
	if err != nil { // nothing else comes out of a file or of JSON
		return append(out, "null"...)
	}
	return append(out, data...)
}

func appendText(out []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			data, err := json.Marshal(s)
			if err != nil {
				data = []byte(`""`)
			}
			return append(out, data...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}
