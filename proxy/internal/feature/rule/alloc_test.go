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
	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
)

// TestNoAllocation: requests that rules look at, edit and answer, with a log line
// each, cost no allocation once everything is warm.
func TestNoAllocation(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen.map")
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	regm := filepath.Join(t.TempDir(), "regm.map")
	if err := os.WriteFile(regm, []byte("^/([a-z]+)/(.*) \\2-\\1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := oracle.Run(t, strings.NewReplacer("{seen}", seen, "{regm}", regm).Replace(head+`
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
  http-request replace-header x-list "(a+),(b)" "\2,%[src],\1"
  http-request replace-value x-list "^(\w+)=(\w)" "\2=\1"
  http-request replace-path ^/(api|x)/(.*) /\2/\1
  http-request set-header x-regm %[path,map_regm({regm})]
  http-request set-header x-coded %[path,base64]
  use_backend %[path,field(2,/)]
backend y
  http-request return status 200 hdr x-back %[be_name] hdr x-list %[req.fhdr(x-list)] hdr x-coded %[req.hdr(x-coded)] hdr x-regm %[req.hdr(x-regm)]
backend x
  http-request return status 204 if METH_GET
`))[0]
	c, err := net.Dial("tcp", s.Addr("f"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []byte
	var answers bytes.Buffer // to know how long they are
	br := bufio.NewReader(io.TeeReader(c, &answers))
	for _, p := range []string{"/api/x", "/a.txt", "/x/old/y", "/x/y/z"} {
		req := "GET " + p + " HTTP/1.1\r\nHost: H.Example\r\nX-Gone: 1\r\nX-List: aa,b, c=d, eee=f\r\n\r\n"
		all = append(all, req...)
		io.WriteString(c, req)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
	}
	for _, want := range []string{"x-back: y", "x-list: b,127.0.0.1,aa, d=c, f=eee", "x-coded: L3kvei94", "x-regm: z/x-y"} {
		if !strings.Contains(answers.String(), want+"\r\n") {
			t.Errorf("no %q in %q", want, answers.String())
		}
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
	if n := float64(after.Mallocs-before.Mallocs) / (4 * rounds); n > 0.1 && !race.Enabled { // which empties pools
		t.Errorf("%.2f allocations per request", n)
	}
}
