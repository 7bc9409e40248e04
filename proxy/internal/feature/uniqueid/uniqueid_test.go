package uniqueid_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

const head = oracle.Head

var port = regexp.MustCompile(`(127\.0\.0\.1[: ]|7F000001:)[0-9A-F]{4,5}`)

// TestAsHAProxy compares what servers and logs get.
func TestAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, head+`
frontend ready
  bind {ready}
frontend a
  bind {a}
  unique-id-format %{+X}o\ %ci:%cp_%rc
  unique-id-header X-Id
  log {log} format raw local0
  log-format "%ID %{+Q}ID %[unique-id] %[unique-id,length]"
  http-request allow if { path /allow }
  http-request set-header x-seen "%[req.hdr(x-id)]|%[unique-id]"
  http-request return status 200 content-type text/plain lf-string "own %[unique-id]" if { path /return }
  default_backend o
backend o
  http-request set-header x-seen2 %[req.hdr(x-id)]
  server s {origin}
frontend n
  bind {n}
  unique-id-header X-Id
  log {log} format raw local0
  log-format "%ID %{+Q}ID %[unique-id]"
  default_backend o
frontend q
  bind {q}
  unique-id-format "a \"b\\ ]{%[req.hdr(x)]"
  unique-id-header X-Id
  log {log} format raw local0
  log-format "%ID %{+Q}ID %[unique-id]"
  default_backend o
frontend t
  mode tcp
  bind {t}
  unique-id-format %fi_%rc
  log {log} format raw local0
  log-format "%ID"
  default_backend ot
backend ot
  mode tcp
  server s {origin}
`)
	for _, c := range []struct{ frontend, request string }{
		{"a", "GET / HTTP/1.0\r\n\r\n"},
		{"a", "GET / HTTP/1.0\r\nX-Id: theirs\r\n\r\n"},
		{"a", "GET /allow HTTP/1.0\r\n\r\n"},
		{"a", "GET /return HTTP/1.0\r\n\r\n"},
		{"n", "GET / HTTP/1.0\r\n\r\n"},
		{"q", "GET / HTTP/1.0\r\nx: \"y\\\xff\r\n\r\n"},
		{"t", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"},
	} {
		var got, line [2]string
		for i, s := range sides {
			_, got[i], _ = strings.Cut(s.Exchange(c.frontend, c.request), "\r\n\r\n")
			got[i] = strings.ToLower(port.ReplaceAllString(got[i], "${1}PORT"))
			line[i] = port.ReplaceAllString(s.Line("log"), "${1}PORT")
		}
		if got[0] != got[1] {
			t.Errorf("%s %q:\nforebay %q\nhaproxy %q", c.frontend, c.request, got[0], got[1])
		}
		if line[0] != line[1] {
			t.Errorf("%s %q:\nforebay %q\nhaproxy %q", c.frontend, c.request, line[0], line[1])
		}
	}
}

// TestKeepAlive: each request has an ID of its own.
func TestKeepAlive(t *testing.T) {
	s := oracle.RunOne(t, "forebay", head+`
frontend a
  bind {a}
  unique-id-format %[path]
  http-request return status 200 content-type text/plain lf-string "<%[unique-id]>"
`)
	got := s.Exchange("a", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"</1>", "</2>", "</3>"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing: %q", want, got)
		}
	}
}

func TestMistakes(t *testing.T) {
	for line, stricter := range map[string]bool{
		"unique-id-format": false, "unique-id-format %nosuch": false, "unique-id-format a b": false, "unique-id-format %[status]": false,
		"unique-id-header": false, "unique-id-header a b": true, "unique-id-header a:b": true,
		"unique-id-format %ID": true, "unique-id-format %{+X}ID": true, "unique-id-format %[unique-id]": true,
	} {
		ours, theirs := oracle.Check(t, head+"frontend f\n bind 127.0.0.1:1\n "+line+"\n")
		if ours.OK || theirs.OK != stricter {
			t.Errorf("%s: accepted %v, by HAProxy %v\n%s", line, ours.OK, theirs.OK, ours.Text)
		}
	}
	if ours, _ := oracle.Check(t, head+"frontend f\n bind 127.0.0.1:1\n unique-id-format %%ID%{+X}o%Ts\n"); !ours.OK {
		t.Error(ours.Text)
	}
}

// TestReadme loads the manual page's example.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := head
	for l := range strings.Lines(string(b)) {
		if l, ok := strings.CutPrefix(l, "    "); ok {
			text += l
		}
	}
	if ours, _ := oracle.Check(t, text); !ours.OK || ours.Text != "" {
		t.Fatal(ours.Text)
	}
}
