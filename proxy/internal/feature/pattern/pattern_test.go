package pattern

import (
	"net/netip"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func str(s string) *sample.Value { return &sample.Value{Type: sample.Str, Bytes: []byte(s)} }

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		method   Method
		fold     bool
		patterns []string
		value    *sample.Value
		want     bool
	}{
		{Str, false, []string{"a", "b"}, str("b"), true},
		{Str, false, []string{"a", "b"}, str("B"), false},
		{Str, true, []string{"a", "B"}, str("b"), true},
		{Str, false, []string{"a"}, str("ab"), false},
		{Beg, false, []string{"/api"}, str("/api/x"), true},
		{Beg, false, []string{"/api"}, str("/ap"), false},
		{Beg, true, []string{"/API"}, str("/aPi"), true},
		{End, false, []string{".gif"}, str("x.gif"), true},
		{End, false, []string{".gif"}, str("gif"), false},
		{Sub, false, []string{"evil"}, str("an evil one"), true},
		{Sub, true, []string{"EVIL"}, str("an eviL one"), true},
		{Dir, false, []string{"img"}, str("/static/img/x"), true},
		{Dir, false, []string{"img"}, str("/static/imgs/x"), false},
		{Dir, false, []string{"/img/"}, str("/img"), true},
		{Dom, false, []string{"example.com"}, str("www.example.com:80"), true},
		{Dom, false, []string{"example.com"}, str("www.badexample.com"), false},
		{Reg, false, []string{"^/v[0-9]+/"}, str("/v12/x"), true},
		{Reg, true, []string{"^/V"}, str("/v"), true},
		{Len, false, []string{"3:5"}, str("abcd"), true},
		{Len, false, []string{"3:5"}, str("ab"), false},
		{Int, false, []string{"200:299", "404"}, &sample.Value{Type: sample.Int, Int: 404}, true},
		{Int, false, []string{"200:299"}, &sample.Value{Type: sample.Int, Int: 300}, false},
		{Int, false, []string{":10"}, &sample.Value{Type: sample.Int, Int: -5}, true},
		{Int, false, []string{"5"}, str("5"), true},
		{Int, false, []string{"5"}, str("x"), false},
		{Str, false, []string{"5"}, &sample.Value{Type: sample.Int, Int: 5}, true},
		{Bin, false, []string{"00ff"}, str("\x00\xff"), true},
		{Found, false, nil, str(""), true},
		{Bool, false, nil, &sample.Value{Type: sample.Bool, Bool: true}, true},
		{Bool, false, nil, &sample.Value{Type: sample.Int, Int: 0}, false},
	} {
		l := New(c.method, c.fold)
		for _, p := range c.patterns {
			if err := l.Add(p); err != nil {
				t.Errorf("%s %q: %v", c.method, p, err)
			}
		}
		if got := l.Match(c.value); got != c.want {
			t.Errorf("%s %v of %q (%d): %v", c.method, c.patterns, c.value.Bytes, c.value.Int, got)
		}
	}
}

func TestAddresses(t *testing.T) {
	l := New(IP, false)
	for _, p := range []string{"10.0.0.0/8", "10.1.0.0/16", "192.168.1.7", "172.16.0.0/255.240.0.0", "2001:db8::/32", "::1", "127.1/8"} {
		if err := l.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	for a, want := range map[string]bool{
		"10.200.0.1": true, "10.1.2.3": true, "11.0.0.1": false, "9.255.255.255": false, "192.168.1.7": true, "192.168.1.8": false,
		"172.31.255.255": true, "172.32.0.0": false, "2001:db8:1::1": true, "2001:db9::1": false, "::1": true, "::2": false,
		"127.9.9.9": true, "::ffff:10.0.0.1": true,
	} {
		if got := l.Match(&sample.Value{Type: sample.Addr, Addr: netip.MustParseAddr(a)}); got != want {
			t.Errorf("%s: %v", a, got)
		}
		if got := l.Match(str(a)); got != want {
			t.Errorf("%s as text: %v", a, got)
		}
	}
}

func TestOperators(t *testing.T) {
	for _, c := range []struct {
		op   string
		n    int64
		want bool
	}{{"eq", 5, true}, {"ge", 5, true}, {"gt", 5, false}, {"le", 5, true}, {"lt", 5, false}, {"gt", 6, true}, {"lt", 4, true}} {
		l := New(Int, false)
		if err := l.AddOperator(c.op, "5"); err != nil {
			t.Fatal(err)
		}
		if got := l.Match(&sample.Value{Type: sample.Int, Int: c.n}); got != c.want {
			t.Errorf("%d %s 5: %v", c.n, c.op, got)
		}
	}
}

func TestMistakes(t *testing.T) {
	for m, p := range map[Method]string{Int: "x", IP: "10.0.0.0/33", Reg: "(", Bin: "0", Len: "1:x"} {
		if err := New(m, false).Add(p); err == nil {
			t.Errorf("%s takes %q", m, p)
		}
	}
	if err := New(Reg, false).Add("(?=x)"); err == nil {
		t.Error("look-ahead is taken although it cannot be kept")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	l := New(Str, true)
	l.Add("www.example.com")
	v := str("WWW.example.com")
	n := &sample.Value{Type: sample.Int, Int: 12}
	if a := testing.AllocsPerRun(100, func() { l.Match(v); l.Match(n) }); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzAdd(f *testing.F) {
	f.Add("ip", "10.0.0.0/8", "10.1.1.1")
	f.Add("reg", "^a+$", "aaa")
	f.Add("int", "1:5", "3")
	f.Add("dom", "a.b", "x.a.b")
	f.Fuzz(func(t *testing.T, m, p, v string) {
		if !Method(m).Valid() {
			return
		}
		l := New(Method(m), len(v)%2 == 0)
		if l.Add(p) != nil {
			return
		}
		l.Match(str(v))
	})
}
