package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// ConfigurationPath is where the resources of the configuration begin.
const ConfigurationPath = "/services/haproxy/configuration/"

// MaxName bounds the name of a section or of an object, in bytes.
const MaxName = 255

// A Route is one operation of a resource of the configuration.
type Route struct {
	Method   string
	Path     string // with {parameters}, below /v3
	Resource *Resource
	Parent   Parent
	One      bool // names one object, not the collection
}

// The keys of a property that are the engine's own.
var engineKeys = []string{"at", "negated", "many", "words", "options", "implies", "means", "live", "in"}

type object = map[string]any

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// Document builds the OpenAPI document and the routes of the configuration's resources.
func (api *API) Document() (*openapi3.T, []Route, error) {
	doc := clone(api.base).(object)
	schemas := doc["components"].(object)["schemas"].(object)
	paths := doc["paths"].(object)
	var routes []Route
	for _, r := range api.Resources {
		schemas[r.Name] = api.schema(r)
		if r.Plural != "" {
			schemas[r.Plural] = object{"type": "array", "title": r.Title + " list", "items": ref(r.Name)}
		}
		for _, parent := range r.Parents {
			collection, one := ConfigurationPath+parent.Path, ""
			switch {
			case r.Ordered:
				one = collection + "/{index}"
			case !r.Single:
				one = collection + "/{" + r.Param() + "}"
			}
			for op, id := range parent.Operations {
				route := Route{Path: collection, Resource: r, Parent: parent}
				kind, method, _ := strings.Cut(op, "_")
				if kind == "one" {
					route.Path, route.One = one, true
				}
				route.Method = strings.ToUpper(method)
				item, _ := paths[route.Path].(object)
				if item == nil {
					item = object{}
					paths[route.Path] = item
				}
				item[method] = r.operation(route, id)
				routes = append(routes, route)
			}
		}
	}
	for name, s := range schemas {
		if like, ok := s.(object)["x-like"].(string); ok {
			same := clone(schemas[like]).(object)
			delete(same, "required")
			delete(same["properties"].(object), metadataField) // it has no place outside of the file
			schemas[name] = same
		}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, nil, err
	}
	loader := openapi3.NewLoader()
	t, err := loader.LoadFromData(data)
	if err != nil {
		return nil, nil, err
	}
	if err := t.Validate(loader.Context); err != nil {
		return nil, nil, fmt.Errorf("the OpenAPI document: %w", err)
	}
	slices.SortFunc(routes, func(a, b Route) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return t, routes, nil
}

// Param is the parameter of a path that names the section, empty when there is only one.
func (p Parent) Param() string {
	if names := pathParams(p.Path); len(names) > 0 {
		return names[0]
	}
	return ""
}

// Param is the parameter of a path that names one object.
func (r *Resource) Param() string {
	switch {
	case r.Ordered:
		return "index"
	case r.Section == "":
		return r.Key
	}
	return "name"
}

func (api *API) schema(r *Resource) object {
	props := api.schemas(r.Props)
	for _, c := range r.Children {
		child := api.ByName[c]
		if child.Ordered {
			props[child.listField()] = ref(child.Plural)
		} else {
			props[child.listField()] = object{"type": "object", "additionalProperties": ref(child.Name)}
		}
	}
	for _, name := range []string{r.Key, "name", "from", "acl_name"} {
		if s, ok := props[name].(object); ok && s["type"] == "string" && s["maxLength"] == nil && name != "certificate" {
			s["maxLength"] = MaxName
		}
	}
	props[metadataField] = object{"type": "object", "additionalProperties": true,
		"description": "Whatever a client wants to keep with the object. Configuration: the comment of its line, as JSON"}
	if r.Ordered {
		props[opaqueField] = object{"type": "string", "maxLength": 64 << 10,
			"description": "A line that has no properties here, as it stands in the file; it goes back into a list as it came, and is not to be written"}
		if union, ok := props[r.Union].(object); ok {
			if all, ok := union["enum"].([]any); ok {
				union["enum"] = append(slices.Clone(all), opaqueField)
			}
		}
	}
	s := object{"type": "object", "title": r.Title, "additionalProperties": false, "properties": props}
	if len(r.Required) > 0 {
		s["required"] = r.Required
	}
	return s
}

func (api *API) schemas(props []*Property) object {
	out := object{}
	for _, p := range props {
		s := clone(p.Schema).(object)
		for _, k := range engineKeys {
			delete(s, k)
		}
		if p.source != "" {
			s["description"] = "Configuration: " + p.source
			if p.Live != nil {
				s["description"] = s["description"].(string) + "; changed without a reload"
			}
		}
		for name, v := range p.Means {
			s["deprecated"] = true
			s["description"] = fmt.Sprintf("The older name of %s: %s", name, v)
		}
		inner := p.itemProps
		if p.nested != nil {
			inner = p.nested
		}
		if p.options != "" {
			inner = append(slices.Clone(inner), api.sets[p.options]...)
		}
		if len(inner) > 0 && inner[0].Name != "" {
			t := s
			if p.Type == "array" {
				t = s["items"].(object)
			}
			t["additionalProperties"] = false
			t["properties"] = api.schemas(inner)
		}
		out[p.Name] = s
	}
	return out
}

func (r *Resource) operation(route Route, id string) object {
	var params []any
	for _, name := range pathParams(route.Path) {
		schema := object{"type": "string", "maxLength": 1024}
		if name == "index" {
			schema = object{"type": "integer", "minimum": 0, "maximum": 1 << 20}
		}
		params = append(params, object{"in": "path", "name": name, "required": true, "schema": schema})
	}
	query := func(name, text string, schema object) {
		params = append(params, object{"in": "query", "name": name, "description": text, "schema": schema})
	}
	query("transaction_id", "Work in this transaction; not together with version", object{"type": "string"})
	write := route.Method != "GET"
	if write {
		query("version", "The version that the change is based on; not together with transaction_id", object{"type": "integer"})
		query("force_reload", "Reload at once instead of after the configured delay", object{"type": "boolean", "default": false})
	} else if !route.One && r.Filter != "" {
		query(r.Filter, "Only those with this value", object{"type": "string"})
	}
	if r.Section != "" && route.Method != "DELETE" {
		query("full_section", "With the lines of the section that are resources of their own", object{"type": "boolean", "default": false})
	}
	body := ref(r.Name)
	if !route.One && route.Method != "POST" && !r.Single && !(route.Method == "PUT" && r.Section != "") {
		body = ref(r.Plural)
	}
	answer := func(text string, content bool, headers ...string) object {
		a := object{"description": text}
		if content {
			a["content"] = object{"application/json": object{"schema": body}}
		}
		if len(headers) > 0 {
			h := object{}
			for _, name := range headers {
				h[name] = object{"schema": object{"type": "string"}}
			}
			a["headers"] = h
		}
		return a
	}
	fail := func(name string) object { return object{"$ref": "#/components/responses/" + name} }
	responses := object{"default": fail("DefaultError")}
	verb := "Read"
	switch route.Method {
	case "GET":
		responses["200"] = answer("Done", true, "Configuration-Version")
	case "POST":
		verb = "Add"
		responses["201"] = answer("Created", true, "Configuration-Version")
		responses["409"] = fail("AlreadyExists")
	case "PUT":
		verb = "Replace"
		responses["200"] = answer("Replaced", true, "Configuration-Version")
		if !route.One && r.Section != "" && !r.Single { // the deprecated way to add a defaults section
			delete(responses, "200")
			responses["201"] = answer("Created", true, "Configuration-Version")
		}
	case "DELETE":
		verb = "Delete"
		responses["204"] = answer("Gone", false)
	}
	if write {
		responses["202"] = answer("Accepted: a reload is under way, or the change is part of a transaction", route.Method != "DELETE", "Reload-ID", "Configuration-Version")
		responses["400"] = fail("BadRequest")
	}
	if route.One || len(pathParams(route.Path)) > 0 {
		responses["404"] = fail("NotFound")
	}
	what := r.Title
	if !route.One && !r.Single && route.Method != "POST" {
		what += " list"
	}
	op := object{"operationId": id, "summary": verb + ": " + what, "tags": []any{r.Tag}, "parameters": params, "responses": responses}
	if route.Method == "POST" || route.Method == "PUT" {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": body}}}
		op["x-codegen-request-body-name"] = "data"
	}
	return op
}

func pathParams(path string) (names []string) {
	for _, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return names
}

// clone copies a tree of JSON values, with keys as text.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(object, len(v))
		for _, k := range slices.Collect(maps.Keys(v)) {
			out[k] = clone(v[k])
		}
		return out
	case map[any]any:
		out := make(object, len(v))
		for k, x := range v {
			out[fmt.Sprint(k)] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	}
	return v
}
