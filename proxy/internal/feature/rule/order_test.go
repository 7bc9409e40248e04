package rule_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// TestOrderAsHAProxy: which rule sets a request and its answer go through, and in
// which order, whoever made the answer. Each set leaves a letter.
func TestOrderAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, head+`
defaults plain
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
  balance roundrobin
defaults marks from plain
  http-after-response set-header x-after "%[res.hdr(x-after)]d"
  http-request set-header x-way "%[req.hdr(x-way)]d"
frontend f from marks
  bind {f}
  monitor-uri /monitor
  http-after-response allow if { status 418 }
  http-after-response set-header x-after "%[res.hdr(x-after)]f"
  http-response allow if { res.hdr(stop) 1 }
  http-response set-header x-res "%[res.hdr(x-res)]f"
  http-request set-header x-way "%[req.hdr(x-way)]f"
  http-request allow if { path /fallow /fallow/b }
  http-request deny if { path /fdeny }
  http-request return status 200 hdr x-way "%[req.hdr(x-way)]" if { path /freturn }
  redirect location /late if { path_beg /redir } or { path_beg /fdeny /fallow }
  redirect location /never if { path /freturn }
  use_backend none if { path /none }
  use_backend gone if { path /gone }
  default_backend b
backend b from plain
  http-after-response set-header x-after "%[res.hdr(x-after)]b"
  http-response set-header x-res "%[res.hdr(x-res)]b"
  http-response allow if { res.hdr(stop) 2 }
  http-response set-header x-res "%[res.hdr(x-res)]c"
  http-response return status 418 if { res.hdr(stop) 3 }
  http-request allow if { path /ballow }
  http-request deny if { path /bdeny }
  http-request set-header x-way "%[req.hdr(x-way)]b"
  redirect location /blate if { path_beg /bredir /ballow/x }
  redirect location /bl if { path /ballow }
  server o {origin}
backend none from plain
  http-after-response set-header x-after "%[res.hdr(x-after)]n"
backend gone from plain
  http-after-response set-header x-after "%[res.hdr(x-after)]g"
  retries 0
  server o {closed}
listen l from plain
  bind {l}
  http-after-response set-header x-after "%[res.hdr(x-after)]l"
  http-request set-header x-way "%[req.hdr(x-way)]l"
  http-request allow if { path /allow }
  redirect location /x if { path /allow }
  server o {origin}
`)
	var requests []string
	for _, path := range strings.Fields("/ /monitor /redir /fallow /fallow/b /fdeny /freturn /bdeny /ballow /ballow/x /bredir /none /gone /allow") {
		for _, extra := range []string{"", "give: stop: 1\r\n", "give: stop: 2\r\n", "give: stop: 3\r\n"} {
			requests = append(requests, "GET "+path+" HTTP/1.1\r\nHost: h\r\n"+extra+"Connection: close\r\n\r\n")
		}
	}
	// Refused before any rule: no set has a say.
	requests = append(requests,
		"GET / HTTP/1.1\r\nHost: h\r\nHo st: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
		"NONSENSE\r\n\r\n",
	)
	for _, frontend := range []string{"f", "l"} {
		for _, req := range requests {
			ours, theirs := sides[0].Exchange(frontend, req), sides[1].Exchange(frontend, req)
			if strings.HasPrefix(ours, "HTTP/1.1 400") {
				ours, theirs = marks(ours), marks(theirs) // the fields are others, and in capitals
			}
			if ours != theirs {
				t.Errorf("%s %q\nforebay: %q\nhaproxy: %q", frontend, req, ours, theirs)
			}
		}
	}
}

// marks gives the status line of an answer and what rules left in it.
func marks(answer string) string {
	line, rest, _ := strings.Cut(answer, "\r\n")
	for l := range strings.SplitSeq(rest, "\r\n") {
		if strings.HasPrefix(l, "x-") {
			line += "|" + l
		}
	}
	return line
}

// TestRequestLine: what rules make of the request line is made of the one that
// came, whether or not anything is logged.
func TestRequestLine(t *testing.T) {
	const line = `"%HM|%HP|%HPO|%HQ|%HU|%HV|%r"`
	for _, log := range []string{"", "log {log} local0\n  option httplog"} {
		t.Run(log, func(t *testing.T) { // one worker at a time: they share what is kept for each reactor
			sides := oracle.Run(t, head+`
frontend f
  bind {f}
  `+log+`
  unique-id-format "%HM %HU"
  unique-id-header x-id
  http-request set-method PUT if { path_beg /m }
  http-request set-path /changed if { path_beg /p }
  http-request set-header x-line `+line+`
  http-request return status 200 hdr x-line `+line+` if { path /r }
  use_backend POST if { path_beg /m }
  use_backend b-%HM if { path_beg /u }
  default_backend b
backend b
  http-request set-header x-back `+line+`
  http-response set-header x-res `+line+`
  server o {origin}
backend b-GET
  http-response set-header x-chosen by-method
  server o {origin}
backend POST
  server o {origin}
`)
			for _, req := range []string{
				"GET /a?b=c HTTP/1.1", "GET / HTTP/1.0", "POST /m?x=/y HTTP/1.1", "GET /p/q HTTP/1.1", "GET /r HTTP/1.1", "GET /u HTTP/1.1",
				"GET http://h/abs?q HTTP/1.1", "OPTIONS * HTTP/1.1", "BREW /x HTTP/1.1",
			} {
				req += "\r\nHost: h\r\nConnection: close\r\n\r\n"
				ours, theirs := sides[0].Exchange("f", req), sides[1].Exchange("f", req)
				if ours != theirs {
					t.Errorf("%q (%q)\nforebay: %q\nhaproxy: %q", req, log, ours, theirs)
				}
				if strings.Contains(ours, "BADREQ") {
					t.Errorf("%q: %q", req, ours)
				}
			}
		})
	}
}

// TestMonitorURIAsHAProxy: which requests are a monitor's.
func TestMonitorURIAsHAProxy(t *testing.T) {
	uris := []string{"/m", "/m?q", "http://h/m", "*", "m", "http://h"}
	text := head + "frontend ready\n  bind {ready}\n"
	for i, u := range uris {
		text += fmt.Sprintf("frontend f%d\n  bind {f%d}\n  monitor-uri %s\n  monitor fail if { hdr(fail) 1 }\n  http-request return status 404\n", i, i, u)
	}
	sides := oracle.Run(t, text)
	for i, u := range uris {
		for _, line := range strings.Split("GET /m|HEAD /m|POST /m|GET /m?q|GET /m?|GET /M|GET /m/|GET /m/../m|GET http://h/m|GET http://h/m?q|GET http://h|GET http://h/|OPTIONS *", "|") {
			for _, rest := range []string{"", "Fail: 1\r\n"} {
				req := line + " HTTP/1.1\r\nHost: h\r\n" + rest + "Connection: close\r\n\r\n"
				ours, theirs := sides[0].Exchange(fmt.Sprintf("f%d", i), req), sides[1].Exchange(fmt.Sprintf("f%d", i), req)
				if ours != theirs {
					t.Errorf("monitor-uri %s, %q\nforebay: %q\nhaproxy: %q", u, req, ours, theirs)
				}
			}
		}
	}
}

// TestTarpitAsHAProxy: a tarpit holds the client, answers, and is logged as such.
func TestTarpitAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, head+`
frontend ready
  bind {ready}
frontend f
  bind {f}
  log {log} format raw local0
  log-format "%ST %tsc %Tw %Tc %r"
  timeout tarpit 200ms
  http-request tarpit if { path /t }
  http-request tarpit deny_status 429 if { path /t429 }
  http-request tarpit status 418 content-type text/plain string no hdr x-a b if { path /t418 }
  redirect location /never if { path_beg /t }
  default_backend b
backend b
  timeout tarpit 200ms
  http-request tarpit if { path /b }
  server o {origin}
frontend s
  bind {s}
  log {log2} format raw local0
  log-format "%ST %tsc %Tw"
  timeout tarpit 1m
  http-request tarpit
`)
	for _, path := range strings.Fields("/t /t429 /t418 /b") {
		req := "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
		var answers, lines [2]string
		for i, s := range sides {
			answers[i] = s.Exchange("f", req)
			lines[i] = s.Line("log")
			var took int
			if fmt.Sscanf(strings.Join(strings.Fields(lines[i])[2:], " "), "%d", &took); took < 200 {
				t.Errorf("%s, %s: held for %d ms: %s", s.Name, path, took, lines[i])
			}
			f := strings.Fields(lines[i])
			lines[i] = strings.Join(append(f[:2], f[3:]...), " ")
		}
		if answers[0] != answers[1] || lines[0] != lines[1] {
			t.Errorf("%s\nforebay: %q %s\nhaproxy: %q %s", path, answers[0], lines[0], answers[1], lines[1])
		}
	}
	// A client that leaves is not held (2.6 holds it without "option abortonclose").
	c, err := net.Dial("tcp", sides[0].Addr("s"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.Close()
	if line := sides[0].Line("log2"); !strings.HasPrefix(line, "500 PT-- ") {
		t.Errorf("%q", line)
	}
}
