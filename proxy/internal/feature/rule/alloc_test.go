package rule_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestNoAllocation: requests that rules look at, edit and answer, with a log line
// each, cost no allocation once everything is warm.
func TestNoAllocation(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen.map")
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := oracle.Run(t, strings.ReplaceAll(head+`
frontend f
  bind {f}
  log {log} local0
  option httplog
  acl api path_beg /api /v1
  acl host hdr(host) -i h.example
  http-request deny if { src 10.0.0.0/8 } or { path_sub -i ../ }
  http-request set-header x-real-ip %[src] if api host
  http-request add-header x-path "%[path,lower] %[method]"
  http-request del-header x-gone
  http-request set-map({seen}) %[path] 5
  http-request set-header x-seen %[path,map_str_int({seen},0)]
  http-request set-header x-begins %[path,map_beg({seen})] if { path -m str -M -f {seen} }
  http-request set-header host %[req.hdr(host),lower]
  http-request return status 200 content-type text/plain lf-string "%[path] %[src]" hdr x-a %[method] if { path_end .txt }
  http-request redirect prefix https://other code 301 if { path_dir old }
  http-request return status 204 if METH_GET
`, "{seen}", seen))[0]
	c, err := net.Dial("tcp", s.Addr("f"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []byte
	var answers bytes.Buffer // to know how long they are
	br := bufio.NewReader(io.TeeReader(c, &answers))
	for _, p := range []string{"/api/x", "/a.txt", "/x/old/y"} {
		req := "GET " + p + " HTTP/1.1\r\nHost: H.Example\r\nX-Gone: 1\r\n\r\n"
		all = append(all, req...)
		io.WriteString(c, req)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
	}
	got := make([]byte, answers.Len())
	round := func() {
		c.Write(all)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		round()
	}
	const rounds = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	if !bytes.Equal(got, answers.Bytes()) {
		t.Errorf("%q, want %q", got, answers.Bytes())
	}
	if n := float64(after.Mallocs-before.Mallocs) / (3 * rounds); n > 0.1 {
		t.Errorf("%.2f allocations per request", n)
	}
}
