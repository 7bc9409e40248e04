package resource

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
)

func rules(t *testing.T, f *config.File) *Place {
	t.Helper()
	p, err := api(t).ByName["http_request_rule"].In(f, "frontend", "w")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const strangers = `frontend w
    http-request deny if a
    http-request zork(1) "two words" if b # why
    no option httpclose
    http-request allow
    http-request zork(2)
    use_backend b
`

// A line that a list has no properties for has its index, and keeps it.
func TestOpaque(t *testing.T) {
	f := config.Parse("t", []byte(strangers))
	list := rules(t, f).List(false)
	if len(list) != 4 || list[1]["type"] != "opaque" || list[1]["opaque"] != `http-request zork(1) "two words" if b` || list[2]["type"] != "allow" {
		t.Fatal(list)
	}
	one, err := rules(t, f).Get("", 3, false)
	if err != nil || one["opaque"] != "http-request zork(2)" {
		t.Error(one, err)
	}
	for _, c := range []struct {
		name     string
		edit     func(p *Place) error
		old, new string
		field    string // of the error
	}{
		{name: "an index behind it", edit: func(p *Place) error { return p.Create(parse(t, `{"type":"reject"}`), 2, false) },
			old: "    http-request allow\n", new: "    http-request reject\n    http-request allow\n"},
		{name: "at the end", edit: func(p *Place) error { return p.Create(parse(t, `{"type":"reject"}`), 4, false) },
			old: "zork(2)\n", new: "zork(2)\n    http-request reject\n"},
		{name: "by its index", edit: func(p *Place) error { return p.Delete("", 1) }, old: "    http-request zork(1) \"two words\" if b # why\n", new: ""},
		{name: "in its place", edit: func(p *Place) error { return p.Replace("", 3, parse(t, `{"type":"reject"}`), false) }, old: "zork(2)", new: "reject"},
		{name: "as it is", edit: func(p *Place) error { return p.Replace("", 3, p.List(false)[3], false) }},
		{name: "all as they are", edit: func(p *Place) error { return p.ReplaceAll(p.List(false)) }},
		{name: "in another order", edit: func(p *Place) error {
			l := p.List(false)
			return p.ReplaceAll([]map[string]any{l[0], l[2], l[1], l[3]})
		}, old: "    http-request zork(1) \"two words\" if b # why\n    no option httpclose\n    http-request allow\n",
			new: "    http-request allow # why\n    no option httpclose\n    http-request zork(1) \"two words\" if b # why\n"},
		{name: "behind more", edit: func(p *Place) error {
			l := p.List(false)
			return p.ReplaceAll([]map[string]any{l[0], l[1], l[2], parse(t, `{"type":"reject"}`), l[3]})
		}, old: "    http-request zork(2)\n", new: "    http-request reject\n    http-request zork(2)\n"},
		{name: "lost", edit: func(p *Place) error { l := p.List(false); return p.ReplaceAll(l[:3]) }, field: "http_request_rule_list"},
		{name: "all lost", edit: func(p *Place) error { return p.ReplaceAll(nil) }, field: "http_request_rule_list"},
		{name: "twice", edit: func(p *Place) error { l := p.List(false); return p.ReplaceAll(append(l, l[1])) }, field: "4.opaque"},
		{name: "new", edit: func(p *Place) error {
			return p.Create(parse(t, `{"type":"opaque","opaque":"http-request zork(3)"}`), 0, false)
		}, field: "opaque"},
		{name: "changed", edit: func(p *Place) error {
			return p.Replace("", 1, parse(t, `{"type":"opaque","opaque":"http-request zork(3)"}`), false)
		}, field: "opaque"},
		{name: "nothing", edit: func(p *Place) error { return p.Create(parse(t, `{"type":"opaque"}`), 0, false) }, field: "type"},
	} {
		f := config.Parse("t", []byte(strangers))
		err := c.edit(rules(t, f))
		var fe *FieldError
		if errors.As(err, &fe) != (c.field != "") || fe != nil && fe.Field != c.field || err != nil && fe == nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := strings.Replace(strangers, c.old, c.new, 1); err == nil && string(f.Bytes()) != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, f.Bytes(), want)
		}
	}
	// A whole section goes the same way.
	full, err := api(t).ByName["frontend"].Sections(f).Get("w", 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := api(t).ByName["frontend"].Sections(f).Replace("w", 0, full, true); err != nil || string(f.Bytes()) != strangers {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
	delete(full, "http_request_rule_list")
	var fe *FieldError
	if err := api(t).ByName["frontend"].Sections(f).Replace("w", 0, full, true); !errors.As(err, &fe) {
		t.Errorf("%v\n%s", err, f.Bytes())
	}
}

// Metadata are the comment of a line, as JSON; what people wrote stays.
func TestMetadata(t *testing.T) {
	const text = `backend b # {"team":"x"}
    mode http
    server s1 h:1 # {"a":1,"b":["<c>"]}
    server s2 h:2 # for people
    http-request deny # {no json
`
	a := api(t)
	f := config.Parse("t", []byte(text))
	get := func(r, key string) map[string]any {
		t.Helper()
		p := a.ByName[r].Sections(f)
		if r != "backend" {
			var err error
			if p, err = a.ByName[r].In(f, "backend", "b"); err != nil {
				t.Fatal(err)
			}
		}
		obj, err := p.Get(key, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		return obj
	}
	for _, c := range []struct{ r, key, want string }{
		{"backend", "b", `{"team":"x"}`}, {"server", "s1", `{"a":1,"b":["<c>"]}`}, {"server", "s2", `null`}, {"http_request_rule", "", `null`},
	} {
		if got, _ := json.Marshal(get(c.r, c.key)["metadata"]); string(got) != strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(c.want) {
			t.Errorf("%s %s: %s", c.r, c.key, got)
		}
	}
	servers, err := a.ByName["server"].In(f, "backend", "b")
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(servers.Replace("s1", 0, get("server", "s1"), false)) // changes nothing
	do(a.ByName["backend"].Sections(f).Replace("b", 0, get("backend", "b"), false))
	if string(f.Bytes()) != text {
		t.Fatalf("%s", f.Bytes())
	}
	do(servers.Replace("s1", 0, parse(t, `{"name":"s1","address":"h","port":1,"weight":2}`), false)) // gone
	do(servers.Replace("s2", 0, parse(t, `{"name":"s2","address":"h","port":2,"metadata":{"k":"a # \"b\" <c>\n"}}`), false))
	do(servers.Create(parse(t, `{"name":"s3","address":"h","metadata":{"deep":{"er":null}}}`), 0, false))
	do(a.ByName["backend"].Sections(f).Replace("b", 0, parse(t, `{"name":"c","mode":"http","metadata":{"team":"y"}}`), false))
	do(a.ByName["backend"].Sections(f).Create(parse(t, `{"name":"d","metadata":{"x":true}}`), 0, false))
	const want = `backend c # {"team":"y"}
    mode http
    server s1 h:1 weight 2
    # for people
    server s2 h:2 # {"k":"a # \"b\" <c>\n"}
    server s3 h # {"deep":{"er":null}}
    http-request deny # {no json

backend d # {"x":true}
`
	if string(f.Bytes()) != want {
		t.Errorf("%s", f.Bytes())
	}
	var fe *FieldError
	if err := servers.Create(map[string]any{"name": "s4", "address": "h", "metadata": map[string]any{"x": strings.Repeat("x", maxMetadata)}}, 0, false); !errors.As(err, &fe) || fe.Field != "metadata" {
		t.Error(err)
	}
	// It is no change for the proxy.
	if commands, ok := a.Plan(config.Parse("t", []byte("backend b\n server s h:1 # {}\n")), config.Parse("t", []byte("backend b\n server s h:1 # {\"a\":1}\n"))); !ok || len(commands) != 0 {
		t.Error(commands, ok)
	}
}

// Another name in the body of a PUT is a new name.
func TestRename(t *testing.T) {
	const text = "defaults\n    mode http\nbackend a from x # c\n    server s1 h:1 weight 3 # first\n    server s2 h:2\nbackend b\n"
	a := api(t)
	f := config.Parse("t", []byte(text))
	servers, err := a.ByName["server"].In(f, "backend", "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := servers.Replace("s1", 0, parse(t, `{"name":"s2","address":"h","port":1}`), false); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if err := servers.Replace("s1", 0, parse(t, `{"name":"s9","address":"h","port":1,"weight":3}`), false); err != nil {
		t.Error(err)
	}
	backends := a.ByName["backend"].Sections(f)
	if err := backends.Replace("a", 0, parse(t, `{"name":"b"}`), false); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if err := backends.Replace("a", 0, parse(t, `{"name":"z","from":"x"}`), false); err != nil {
		t.Error(err)
	}
	if err := a.ByName["defaults"].Sections(f).Replace("unnamed_defaults_1", 0, parse(t, `{"name":"base","mode":"http"}`), false); err != nil {
		t.Error(err)
	}
	if want := "defaults base\n    mode http\nbackend z from x # c\n    server s9 h:1 weight 3 # first\n    server s2 h:2\nbackend b\n"; string(f.Bytes()) != want {
		t.Errorf("%s", f.Bytes())
	}
}

// Addresses of IPv6 have brackets in the file and none in JSON.
func TestIPv6(t *testing.T) {
	l := api(t).ByName["server"].line
	for _, c := range []struct {
		word, address string
		port          any
		back          string
	}{
		{"[::1]:80", "::1", int64(80), "[::1]:80"}, {"[2001:db8::1]", "2001:db8::1", nil, "[2001:db8::1]"}, {"2001:db8::1:80", "2001:db8::1", int64(80), "[2001:db8::1]:80"},
		{"ipv6@[::1]:80", "ipv6@::1", int64(80), "ipv6@[::1]:80"}, {"1.2.3.4:80", "1.2.3.4", int64(80), "1.2.3.4:80"}, {"h:80", "h", int64(80), "h:80"},
		{"/s[1]", "/s[1]", nil, "/s[1]"}, {"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", int64(1), "[::ffff:1.2.3.4]:1"},
	} {
		obj, ok := l.decode([]string{"server", "s", c.word})
		if !ok || obj["address"] != c.address || obj["port"] != c.port {
			t.Errorf("%s: %v", c.word, obj)
			continue
		}
		// With the brackets it is the same address.
		for _, address := range []string{c.address, bracket(c.address)} {
			obj["address"] = address
			if words, err := l.encode(obj, nil); err != nil || words[2] != c.back {
				t.Errorf("%s: %q %v", address, words, err)
			}
		}
	}
}

// "add server" gets the words that it knows, and no others.
func TestAddServerWords(t *testing.T) {
	a := api(t)
	for _, c := range []struct{ inherit, line, want string }{
		{"", "server s h:1 check inter 2s weight 5 cookie c", "add server b/s h:1 check inter 2s weight 5 cookie c"},
		{"", "server s h:1 no-check no-ssl enabled", "add server b/s h:1"},
		{"", "server s h:1 disabled", "add server b/s h:1 disabled"},
		{"default-server check weight 3", "server s h:1 no-check", "add server b/s h:1 weight 3"},
		{"default-server disabled", "server s h:1 enabled", "add server b/s h:1"},
		{"default-server no-check", "server s h:1 check", "add server b/s h:1 check"},
		{"", "server s h:1 non-stick", ""},
		{"", "server s h:1 check no-check-ssl", ""},
		{"default-server resolvers r", "server s h:1", ""},
		{"", "server s h:1 resolvers r", ""},
		{"", "server s h:1 init-addr last", ""},
		{"", "server s h:1 namespace n", ""},
		{"", "server s h:1 redir http://x/", ""},
		{"", "server s h:1 no-verifyhost", ""},
		{"", "server s h:1 zork", ""},
		{"", "server s h:1 set-proxy-v2-tlv-fmt(0x20) x", "add server b/s h:1 set-proxy-v2-tlv-fmt(0x20) x"},
	} {
		before := "backend b\n " + c.inherit + "\n"
		commands, ok := a.Plan(config.Parse("t", []byte(before)), config.Parse("t", []byte(before+" "+c.line+"\n")))
		if ok != (c.want != "") || ok && commands[0].Text != c.want {
			t.Errorf("%s: %v %v", c.line, commands, ok)
		}
	}
	var fe *FieldError
	if _, err := a.ByName["server"].Commands("b", parse(t, `{"name":"s","address":"h","tcp_ut":1000}`), true); !errors.As(err, &fe) || fe.Field != "tcp_ut" {
		t.Error(err)
	}
	if commands, err := a.ByName["server"].Commands("b", parse(t, `{"name":"s","address":"::1","port":1,"check":"disabled"}`), true); err != nil || commands[0].Text != "add server b/s [::1]:1" {
		t.Error(commands, err)
	}
}
