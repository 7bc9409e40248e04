package httpapi

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// different are properties whose schema is another one here, on purpose.
var different = map[string]string{
	"crt_load.domains[]":       "a list with commas in the file",
	"global.cpu_set[].set":     "one word of the line",
	"native_stat_stats.status": "the proxy says more: UP 1/2, DRAIN, OPEN",

	"backend.default_server.set-proxy-v2-tlv-fmt.id":  "a part of a word",
	"defaults.default_server.set-proxy-v2-tlv-fmt.id": "a part of a word",
	"server.set-proxy-v2-tlv-fmt.id":                  "a part of a word",
	"server_template.set-proxy-v2-tlv-fmt.id":         "a part of a word",

	"global.http_client_options.ssl_verify": "the empty word is not written",
	"global.thread_group_lines[].group":     "one word of the line",
}

// Properties have the types, the words and the bounds of the Data Plane API v3, so that clients made for that one understand
// the answers. testdata/schemas.tsv has those of the resources that there are. missing.txt has the properties that are not there yet.
func TestSchemas(t *testing.T) {
	s, _ := apiOf(t, house)
	read := func(name string) (lines []string) {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
				lines = append(lines, line)
			}
		}
		return lines
	}
	missing := map[string]bool{}
	for _, line := range read("missing.txt") {
		missing[line] = false
	}
	for _, line := range read("schemas.tsv") {
		want := strings.Split(line, "\t")
		path := want[0]
		schema := s.schemaAt(path)
		gone := false
		for m := range missing {
			if path == m || strings.HasPrefix(path, m+".") || strings.HasPrefix(path, m+"[]") {
				gone, missing[m] = true, true
			}
		}
		if gone {
			if schema != nil {
				t.Errorf("%s is there, and in missing.txt", path)
			}
			continue
		}
		if schema == nil {
			t.Errorf("%s is missing", path)
			continue
		}
		var enum []string
		for _, v := range schema.Enum {
			if v != "opaque" {
				enum = append(enum, fmt.Sprint(v))
			}
		}
		bound := func(v *float64) string {
			if v == nil {
				return ""
			}
			return strconv.FormatFloat(*v, 'f', -1, 64)
		}
		nullable := ""
		if schema.Nullable {
			nullable = "nullable"
		}
		kind := want[1]
		if schema.Type != nil {
			kind = schema.Type.Slice()[0]
		}
		has := []string{path, kind, strings.Join(enum, ","), schema.Pattern, bound(schema.Min), bound(schema.Max), nullable}
		words := strings.Split(want[2], ",")
		slices.Sort(words)
		slices.Sort(enum)
		if slices.Equal(words, enum) { // their order says nothing
			has[2] = want[2]
		}
		if _, on := different[path]; !slices.Equal(has, want) != on {
			t.Errorf("\n have %q\n want %q (%s)", has, want, different[path])
		}
	}
	for m, used := range missing {
		if !used {
			t.Errorf("missing.txt has %s, which no description has", m)
		}
	}
}

// schemaAt finds a property by its path: name.property, with [] for the items of an array.
func (s *Server) schemaAt(path string) *openapi3.Schema {
	at := &openapi3.Schema{Properties: s.doc.Components.Schemas}
	for _, part := range strings.Split(path, ".") {
		name := strings.TrimSuffix(part, "[]")
		ref := at.Properties[name]
		if ref == nil || ref.Value == nil {
			return nil
		}
		at = ref.Value
		for range strings.Count(part, "[]") {
			if at.Items == nil {
				return nil
			}
			at = at.Items.Value
		}
	}
	return at
}
