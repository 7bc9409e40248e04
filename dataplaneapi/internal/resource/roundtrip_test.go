package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

// samples are values that a schema allows: each word of an enum, both ends of a range.
func samples(t *testing.T, at string, s map[string]any) (all []any) {
	if enum, ok := s["enum"].([]any); ok {
		return enum
	}
	switch s["type"] {
	case "boolean":
		return []any{true}
	case "integer":
		low, high := 1.0, 0.0
		if v, ok := number(s["minimum"]); ok {
			low = v
		}
		if v, ok := number(s["maximum"]); ok {
			high = v
		} else {
			high = low + 4095
		}
		return []any{low, high}
	case "array":
		items, _ := s["items"].(map[string]any)
		var list []any
		for _, v := range samples(t, at+"[]", items) {
			all = append(all, []any{v})
			if len(list) < 2 {
				list = append(list, v)
			}
		}
		return append(all, list)
	case "object":
		props, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		base := map[string]any{}
		for _, r := range required {
			name := r.(string)
			base[name] = samples(t, at+"."+name, props[name].(map[string]any))[0]
		}
		all = append(all, base)
		for _, name := range slices.Sorted(maps.Keys(props)) {
			for _, v := range samples(t, at+"."+name, props[name].(map[string]any)) {
				obj := maps.Clone(base)
				obj[name] = v
				all = append(all, obj)
			}
		}
		return all
	}
	pattern, _ := s["pattern"].(string)
	for _, v := range []string{"a b", "a", "src", "txn", "0x10", "1", "allow-dup-ip,ignore-weight"} {
		if re := regexp.MustCompile(pattern); re.MatchString(v) {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s: no sample for %q", at, pattern)
	}
	return all[:min(2, len(all))]
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// plainSchema is a schema as JSON has it.
func plainSchema(t *testing.T, v any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// beside are properties that go with others only.
var beside = map[string]map[string]any{
	"bind":                              {"address": "10.0.0.1", "port": 80.0},
	"server":                            {"address": "10.0.0.1", "port": 80.0},
	"http_request_rule.return_content":  {"return_content_format": "string"},
	"http_response_rule.return_content": {"return_content_format": "string"},
	"log_target.sample_range":           {"sample_size": 4.0},
	"log_target.sample_size":            {"sample_range": "1"},
}

// Every property of every line goes from JSON to the file and back, alone and with others, with each word of its enum.
func TestRoundTripLines(t *testing.T) {
	a := api(t)
	for _, r := range a.Resources {
		if r.line == nil {
			continue
		}
		schemas := plainSchema(t, a.schema(r))["properties"].(map[string]any)
		done := map[string]bool{}
		section := r.Parents[0].Section
		try := func(obj map[string]any) bool {
			f := config.Parse("t", []byte(section+" x\n"))
			p, err := r.In(f, section, "x")
			if err != nil {
				t.Fatal(err)
			}
			if p.Create(maps.Clone(obj), 0, false) != nil {
				return false
			}
			again := config.Parse("t", f.Bytes())
			if p, err = r.In(again, section, "x"); err != nil {
				t.Fatal(err)
			}
			key, _ := obj[r.Key].(string)
			got, err := p.Get(key, 0, false)
			if err != nil || !includes(got, obj) {
				t.Errorf("%s: %v is written as\n%s, and read as %v %v", r.Name, obj, again.Bytes(), got, err)
				return false
			}
			return true
		}
		for _, alt := range r.line.alts {
			base, optional := map[string]any{}, []string{}
			alt.properties(func(name string, required bool) {
				if _, is := alt.consts[name]; is {
					return
				}
				if !required {
					optional = append(optional, name)
				} else if schemas[name] != nil {
					base[name] = samples(t, r.Name+"."+name, schemas[name].(map[string]any))[0]
				}
			})
			maps.Copy(base, alt.consts)
			maps.Copy(base, beside[r.Name])
			for _, name := range r.Required {
				if base[name] == nil {
					base[name] = samples(t, r.Name+"."+name, schemas[name].(map[string]any))[0]
				}
			}
			if r.line.tail != nil {
				optional = append(optional, "cond")
			}
			all := maps.Clone(base)
			for _, p := range slices.Concat(r.line.options, r.line.older) {
				optional = append(optional, p.Name)
			}
			for _, name := range append(slices.Sorted(maps.Keys(base)), optional...) {
				s, ok := schemas[name].(map[string]any)
				if _, is := alt.consts[name]; is || !ok {
					done[name] = true
					continue
				}
				for _, v := range samples(t, r.Name+"."+name, s) {
					obj := maps.Clone(base)
					maps.Copy(obj, beside[r.Name+"."+name])
					obj[name] = v
					if name == "cond" {
						obj["cond_test"], done["cond_test"] = "{ src 10.0.0.0/8 }", true
					}
					if try(obj) {
						done[name] = true
						all[name] = v
					}
				}
			}
			if alt.source != "" && len(r.line.options) == 0 && all["cond"] == nil && !try(all) && len(optional) > 1 {
				t.Logf("%s: not with all of it: %v", r.Name, all)
			}
		}
		for name := range schemas {
			if !done[name] && name != metadataField && name != opaqueField {
				t.Errorf("%s.%s: no line says it", r.Name, name)
			}
		}
	}
}

// Every property of every section goes from JSON to the file and back.
func TestRoundTripSections(t *testing.T) {
	a := api(t)
	for _, r := range a.Resources {
		if r.Section == "" {
			continue
		}
		schemas := plainSchema(t, a.schema(r))["properties"].(map[string]any)
		base := map[string]any{}
		if !r.Single {
			base["name"] = "x"
		}
		children := map[string]bool{metadataField: true, opaqueField: true}
		for _, c := range r.Children {
			children[a.ByName[c].listField()] = true
		}
		try := func(name string, v any) error {
			obj := maps.Clone(base)
			obj[name] = v
			f := config.Parse("t", []byte("global\n"))
			p := r.Sections(f)
			var err error
			if r.Single {
				err = p.Replace("", 0, obj, false)
			} else {
				err = p.Create(obj, 0, false)
			}
			if err != nil {
				return err
			}
			again := config.Parse("t", f.Bytes())
			got, err := r.Sections(again).Get("x", 0, false)
			if err != nil || !includes(got, obj) {
				return fmt.Errorf("%v is written as\n%s, and read as %v %v", obj, again.Bytes(), got, err)
			}
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(schemas)) {
			if children[name] || name == "name" {
				continue
			}
			some := false
			var last error
			schema, ok := schemas[name].(map[string]any)
			if !ok || schema["$ref"] != nil {
				continue
			}
			for _, v := range samples(t, r.Name+"."+name, schema) {
				err := try(name, v)
				if obj, is := v.(map[string]any); is && len(obj) == 0 {
					continue // says nothing
				}
				var field *FieldError
				if err == nil {
					some = true
				} else if last = err; !asField(err, &field) {
					t.Errorf("%s.%s: %v", r.Name, name, err)
				}
			}
			if !some {
				t.Errorf("%s.%s: no value of it can be written: %v", r.Name, name, last)
			}
		}
	}
}

func asField(err error, f **FieldError) bool {
	e, ok := err.(*FieldError)
	*f = e
	return ok
}

// includes tells whether an object has all that another one says. Properties that are older names come in addition.
func includes(got, want map[string]any) bool {
	for name, v := range want {
		x := got[name]
		if list, ok := v.([]any); ok {
			mine, is := x.([]any)
			if !is || len(mine) != len(list) {
				return false
			}
			for i := range list {
				if !includes(map[string]any{name: mine[i]}, map[string]any{name: list[i]}) {
					return false
				}
			}
			continue
		}
		if inner, ok := v.(map[string]any); ok {
			if mine, _ := x.(map[string]any); !includes(mine, inner) {
				return false
			}
			continue
		}
		if x == nil && v == "disabled" { // and there are no words for it
			continue
		}
		if !equal(x, v) && strings.TrimSpace(fmt.Sprint(x)) != fmt.Sprint(v) {
			return false
		}
	}
	return true
}
