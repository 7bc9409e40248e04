package message

import (
	"reflect"
	"strings"
	"testing"
)

func TestMethods(t *testing.T) {
	names := map[string]Method{
		"GET": Get, "HEAD": Head, "POST": Post, "PUT": Put, "DELETE": Delete, "CONNECT": Connect, "OPTIONS": Options, "TRACE": Trace, "PATCH": Patch,
		"get": Other, "": Other, "GETX": Other, "PRI": Other,
	}
	for name, want := range names {
		if got := MethodOf([]byte(name)); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	for v, want := range map[Version]string{HTTP09: "HTTP/0.9", HTTP10: "HTTP/1.0", HTTP11: "HTTP/1.1", HTTP2: "HTTP/2.0", HTTP3: "HTTP/3.0"} {
		if v.String() != want {
			t.Errorf("%d: %s, want %s", v, v, want)
		}
	}
}

func TestFields(t *testing.T) {
	var h Header
	h.AddString("a", "1")
	h.AddString("b", "2")
	h.AddString("a", "3")
	if string(h.Get("a")) != "1" || h.Get("c") != nil || !h.Has("b") || h.Has("c") {
		t.Error(h.Fields)
	}
	if i := h.Next("a", 1); i != 2 || h.Next("a", 3) != -1 {
		t.Error(i)
	}
	if n := h.Size(); n != 3*len("a: 1\r\n") {
		t.Error(n)
	}
	if n := h.Del("a"); n != 2 || h.Has("a") || h.Del("a") != 0 || string(h.Get("b")) != "2" {
		t.Error(n, h.Fields)
	}
	if n := h.Size(); n != len("b: 2\r\n") {
		t.Error(n)
	}
}

// A reset leaves nothing of the message before, whatever fields the types get
// later, and keeps the memory.
func TestReset(t *testing.T) {
	q := Request{
		Header: Header{Version: HTTP11, Framing: Chunked, ContentLength: 5, KeepAlive: true, Upgrade: []byte("u")},
		Method: Get, MethodName: []byte("GET"), Target: []byte("/"), Host: []byte("h"), Normalized: true, Expect100: true,
	}
	q.AddString("a", "b")
	fields := q.Fields
	q.Reset()
	if fields[0].Name != nil {
		t.Error("a field keeps the buffer alive")
	}
	if cap(q.Fields) == 0 || cap(q.arena) == 0 {
		t.Error("memory was given away")
	}
	q.Fields, q.arena = nil, nil
	if !reflect.DeepEqual(q, Request{Header: Header{ContentLength: -1}}) {
		t.Errorf("%+v", q)
	}
	s := Response{Header: Header{Version: HTTP11, KeepAlive: true, Framing: Close}, Status: 200, Reason: []byte("OK")}
	s.Reset()
	s.Fields, s.arena = nil, nil
	if !reflect.DeepEqual(s, Response{Header: Header{ContentLength: -1}}) {
		t.Errorf("%+v", s)
	}
	if reflect.TypeFor[Request]().NumField() != 7 || reflect.TypeFor[Response]().NumField() != 3 || reflect.TypeFor[Header]().NumField() != 7 {
		t.Error("a field was added: look at the Reset methods and at this test")
	}
}

// Values stay what they are when the arena grows, and can't grow into each
// other.
func TestCopy(t *testing.T) {
	var h Header
	a := h.CopyString("first")
	b := h.Copy([]byte("second"))
	for range 100 {
		h.CopyString(strings.Repeat("x", 100))
	}
	_ = append(a, "!!!"...)
	if string(a) != "first" || string(b) != "second" {
		t.Errorf("%q %q", a, b)
	}
	h.Reset()
	h.Grow(5000)
	big := make([]byte, 5000)
	if n := testing.AllocsPerRun(10, func() { h.arena = h.arena[:0]; h.Copy(big) }); n != 0 {
		t.Errorf("%v allocations after Grow", n)
	}
	h.Reset()
	keep := h.CopyString("kept")
	h.Grow(100_000)
	h.CopyString("other")
	if string(keep) != "kept" {
		t.Errorf("%q", keep)
	}
}

func TestShrink(t *testing.T) {
	var h Header
	for range 200 {
		h.AddString("name", strings.Repeat("v", 50))
	}
	h.Reset()
	h.Shrink()
	if cap(h.Fields) != 0 || cap(h.arena) != 0 {
		t.Error(cap(h.Fields), cap(h.arena))
	}
	h.AddString("a", "b")
	h.Reset()
	h.Shrink()
	if cap(h.Fields) == 0 || cap(h.arena) == 0 {
		t.Error("small memory was given away")
	}
}

func TestTarget(t *testing.T) {
	for _, c := range []struct {
		method                         Method
		target, pathQuery, path, query string
	}{
		{Get, "/", "/", "/", ""},
		{Get, "/a/b?c=d?e", "/a/b?c=d?e", "/a/b", "c=d?e"},
		{Get, "/a#f", "/a#f", "/a#f", ""},
		{Get, "/a?b#f", "/a?b#f", "/a", "b#f"},
		{Get, "/a#f?x", "/a#f?x", "/a#f", "x"},
		{Get, "http://h/p?q", "/p?q", "/p", "q"},
		{Get, "http://h", "/", "/", ""},
		{Get, "http://h?q", "?q", "", "q"},
		{Options, "*", "", "", ""},
		{Connect, "h:443", "", "", ""},
		{Get, "", "", "", ""},
		{Get, "x", "", "", ""},
	} {
		r := Request{Method: c.method, Target: []byte(c.target)}
		if string(r.PathQuery()) != c.pathQuery || string(r.Path()) != c.path || string(r.Query()) != c.query {
			t.Errorf("%s: %q %q %q", c.target, r.PathQuery(), r.Path(), r.Query())
		}
	}
}

func TestText(t *testing.T) {
	if got := AppendLower([]byte("X"), []byte("aBC-Z[@\xc0")); string(got) != "Xabc-z[@\xc0" {
		t.Errorf("%q", got)
	}
	if !EqualFold([]byte("ChUnKed"), "chunked") || EqualFold([]byte("chunked "), "chunked") || EqualFold([]byte("[hunked"), "{hunked") {
		t.Error("EqualFold")
	}
	if Reason(404) != "Not Found" || Reason(299) != "Other" {
		t.Error("Reason")
	}
}
