package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxNamed bounds how many unknown properties of a body the log names.
const maxNamed = 20

// prune takes the properties that the document does not have out of a body of JSON: clients of other versions send them. The
// log names them. A body that is no JSON stays as it is; the validation says what is wrong with it.
func (s *Server) prune(r *request, schema *openapi3.SchemaRef) {
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return
	}
	p := pruner{index: r.params["index"]}
	p.walk(schema, v, "", 0)
	if !p.changed {
		return
	}
	if len(p.unknown) > 0 {
		s.Log.Warn("properties that are not known are ignored", "method", r.Method, "path", r.URL.Path, "properties", strings.Join(p.unknown, ", "))
	}
	if data, err := json.Marshal(v); err == nil {
		r.body = data
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	}
}

type pruner struct {
	index   string // of the path
	changed bool
	unknown []string
}

func (p *pruner) walk(schema *openapi3.SchemaRef, v any, path string, depth int) {
	if schema == nil || schema.Value == nil || depth > 32 {
		return
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			p.walk(schema.Value.Items, v[i], fmt.Sprintf("%s%d.", path, i), depth+1)
		}
	case map[string]any:
		for name, x := range v {
			if prop := schema.Value.Properties[name]; prop != nil {
				p.walk(prop, x, path+name+".", depth+1)
				continue
			}
			switch more := schema.Value.AdditionalProperties; {
			case more.Schema != nil:
				p.walk(more.Schema, x, path+name+".", depth+1)
			case more.Has != nil && *more.Has, len(schema.Value.Properties) == 0:
			default:
				delete(v, name)
				p.changed = true
				// The index of the path may stand in the body, too.
				if name != "index" || path != "" || p.index == "" || fmt.Sprint(x) != p.index {
					p.name(path + name)
				}
			}
		}
	}
}

func (p *pruner) name(path string) {
	switch {
	case len(p.unknown) < maxNamed:
		p.unknown = append(p.unknown, fmt.Sprintf("%.80q", path))
	case len(p.unknown) == maxNamed:
		p.unknown = append(p.unknown, "and more")
	}
}
