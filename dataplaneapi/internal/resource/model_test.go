package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

// A model answers as the places of the file do, for every resource and every place.
func TestModel(t *testing.T) {
	a := api(t)
	for _, text := range []string{sample, strangers, "", "crt-store\n    load crt a alias b\n    load crt c\ncrt-store x\n", "global\n    log stdout local0\nglobal\n    nbthread 3\n",
		"frontend f\n    bind :80\n    bind :81 name n # {\"a\":1}\n    bind\nbackend b\n    server x\n    server s h:1\n    server s h:2\nbackend b\n    server z h\n"} {
		f, m := config.Parse("t", []byte(text)), a.NewModel("t", []byte(text))
		for range 2 { // the second time from memory
			for _, r := range a.Resources {
				for _, parent := range r.Parents {
					names := []string{"", "nope", "w", "web", "app", "b", "f", "x", "unnamed_defaults_1", "unnamed_crt_store_1"}
					if r.Section != "" {
						names = names[:1]
					}
					for _, name := range names {
						p, kind := r.Sections(f), ""
						var err error
						if r.Section == "" {
							kind = parent.Section
							if p, err = r.In(config.Parse("t", []byte(text)), kind, name); err != nil {
								if _, got := m.List(r, kind, name, false, "", ""); !errors.Is(got, ErrNoParent) {
									t.Errorf("%s of %s %q: %v", r.Name, kind, name, got)
								}
								continue
							}
						}
						for _, full := range []bool{false, r.Section != ""} {
							var list []string
							for i, obj := range p.List(full) {
								want := string(r.JSON(obj))
								list = append(list, want)
								key := plain(obj[r.Param()])
								if r.Single {
									if i > 0 {
										continue
									}
									key = ""
								}
								one, err := p.Get(key, i, full)
								if err != nil {
									t.Fatal(err)
								}
								if got, err := m.Get(r, kind, name, full, key, i); err != nil || string(got) != string(r.JSON(one)) {
									t.Errorf("%s of %s %q: %s %v, want %s", r.Name, kind, name, got, err, want)
								}
							}
							if got, err := m.List(r, kind, name, full, "", ""); err != nil || string(got) != "["+strings.Join(list, ",")+"]" {
								t.Errorf("%s of %s %q: %s %v, want %s", r.Name, kind, name, got, err, list)
							}
						}
						_, want := p.Get("nope", 99, false)
						if _, got := m.Get(r, kind, name, false, "nope", 99); fmt.Sprint(got) != fmt.Sprint(want) {
							t.Errorf("%s of %s %q: %v, want %v", r.Name, kind, name, got, want)
						}
					}
				}
			}
		}
		if string(m.File.Bytes()) != text {
			t.Errorf("the model changed its file: %q", m.File.Bytes())
		}
	}
}

// Properties come in the order of the document: what is shared first.
func TestOrder(t *testing.T) {
	a := api(t)
	const text = `frontend f
    default_backend b
    mode http
    bind :80 name x ssl crt c # {"z":1,"b":"<é>"}
    http-request deny deny_status 403 if { path "/<" }
backend b
    default-server weight 2 check
    server s 1.2.3.4:80 weight 1 check
global
    stats socket /s level admin mode 600
`
	m := a.NewModel("t", []byte(text))
	for _, c := range []struct{ r, kind, name, key, want string }{
		{"server", "backend", "b", "s", `{"check":"enabled","weight":1,"address":"1.2.3.4","name":"s","port":80}`},
		{"frontend", "", "", "f", `{"default_backend":"b","mode":"http","name":"f","binds":{"x":{"ssl":true,"ssl_certificate":"c","metadata":{"b":"\u003cé\u003e","z":1},"name":"x","port":80}},"http_request_rule_list":[{"cond":"if","cond_test":"{ path /\u003c }","deny_status":403,"type":"deny"}]}`},
		{"backend", "", "", "b", `{"default_server":{"check":"enabled","weight":2},"name":"b","servers":{"s":{"check":"enabled","weight":1,"address":"1.2.3.4","name":"s","port":80}}}`},
		{"global", "", "", "", `{"runtime_apis":[{"level":"admin","mode":"600","address":"/s"}]}`},
	} {
		got, err := m.Get(a.ByName[c.r], c.kind, c.name, c.kind == "", c.key, 0)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s %v\nwant %s", c.r, got, err, c.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s: no JSON", c.r)
		}
	}
}

// A read that was made before walks nothing: neither the lines of the file nor the objects made of them.
func TestReadsDoNotWalk(t *testing.T) {
	a := api(t)
	var text strings.Builder
	text.WriteString("backend app\n")
	for i := range 2000 {
		fmt.Fprintf(&text, "    server s%d 10.0.%d.%d:80 check weight 10\n", i, i>>8, i&255)
	}
	m, server := a.NewModel("t", []byte(text.String())), a.ByName["server"]
	read := map[string]func() ([]byte, error){
		"all": func() ([]byte, error) { return m.List(server, "backend", "app", false, "", "") },
		"one": func() ([]byte, error) { return m.Get(server, "backend", "app", false, "s1999", 0) },
	}
	for what, f := range read {
		first, err := f()
		if err != nil || !strings.Contains(string(first), `"s1999"`) {
			t.Fatal(what, err)
		}
		if n := testing.AllocsPerRun(20, func() { f() }); n > 20 {
			t.Errorf("%s: %v allocations each time it is read", what, n)
		}
	}
}
