package stream_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// sides are the protocols that a client and a server may speak.
var sides = []struct{ client, server string }{{"h1", "h1"}, {"h1", "h2"}, {"h2", "h1"}, {"h2", "h2"}}

// pair is a client and a server on a stage that speak HTTP/1 or HTTP/2: what
// happens over time is the same.
type pair struct {
	t       *testing.T
	s       *sim.Stage
	host    *sim.Host
	c, v    *sim.Peer
	hc, hv  *h2peer
	chunked bool
	id, vid uint32
}

func newPair(t *testing.T, client, server, conf string) *pair {
	t.Helper()
	line := "\n server s1 10.2.0.1:80"
	if server == "h2" {
		line += " proto h2"
	}
	p := &pair{t: t, s: stage(t, conf+line)}
	p.host = p.s.Listen("10.2.0.1:80")
	p.c = p.s.Dial(front)
	if client == "h2" {
		p.hc = startH2Peer(t, p.c, false)
	}
	return p
}

// ask sends a request's head; length is of its body, 0: none, -1: chunks.
func (p *pair) ask(length int) {
	p.t.Helper()
	method := "POST"
	if length == 0 {
		method = "GET"
	}
	switch {
	case p.hc != nil:
		p.id = p.hc.ask(method, "/x", length == 0)
	case length == 0:
		p.c.Send(get)
	case length < 0:
		p.chunked = true
		p.c.Send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
	default:
		p.c.Send(fmt.Sprintf("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n", length))
	}
}

// upload sends some of a body.
func (p *pair) upload(text string, last bool) {
	switch {
	case p.hc != nil:
		p.hc.WriteData(p.id, last, []byte(text))
	case p.chunked:
		p.c.Send(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
		if last {
			p.c.Send("0\r\n\r\n")
		}
	default:
		p.c.Send(text)
	}
}

// asked waits until the server has the request's head.
func (p *pair) asked(server string) {
	p.t.Helper()
	if p.v == nil {
		p.v = p.host.Accept()
		if server == "h2" {
			p.hv = startH2Peer(p.t, p.v, true)
		}
	}
	if p.hv != nil {
		p.vid, _, _ = p.hv.head()
		return
	}
	p.v.Head()
}

// answer sends a whole response of two bytes.
func (p *pair) answer() {
	if p.hv != nil {
		p.hv.send(p.vid, false, ":status", "200")
		p.hv.WriteData(p.vid, true, []byte("ok"))
		return
	}
	p.v.Send(ok)
}

// answered waits for a whole response and gives its status.
func (p *pair) answered() string {
	p.t.Helper()
	if p.hc != nil {
		_, f, end := p.hc.head()
		for !end {
			f, err := p.hc.ReadFrame()
			if err != nil {
				p.t.Fatal(err)
			}
			d, ok := f.(*http2.DataFrame)
			end = ok && d.StreamEnded()
		}
		return f[":status"]
	}
	h := p.c.Head()
	if _, after, ok := strings.Cut(h, "content-length: "); ok {
		n, _, _ := strings.Cut(after, "\r")
		size, _ := strconv.Atoi(n)
		for left := size; left > 0; {
			b := make([]byte, left)
			n, _ := p.c.Read(b)
			left -= n
		}
	} else if strings.Contains(h, "transfer-encoding: chunked") {
		p.c.Expect("0\r\n\r\n")
	}
	return strings.Fields(h)[1]
}

// breakOff ends the client's side of an upload that is not complete: "shut",
// "close" or "reset", which over HTTP/2 is a reset of the stream.
func (p *pair) breakOff(how string) {
	switch {
	case p.hc != nil:
		p.hc.WriteRSTStream(p.id, 8)
	case how == "shut":
		p.c.Shut()
	case how == "close":
		p.c.Close()
	default:
		p.c.Reset()
	}
}

func eachSide(t *testing.T, conf string, f func(t *testing.T, p *pair, server string)) {
	for _, x := range sides {
		t.Run(x.client+" to "+x.server, func(t *testing.T) { f(t, newPair(t, x.client, x.server, conf), x.server) })
	}
}

// A client that takes longer to send its body than "timeout server" is no server
// that does not answer: the server's time begins when it has the request.
func TestSlowUpload(t *testing.T) {
	for _, length := range []int{30, -1} {
		eachSide(t, "timeout server 2s", func(t *testing.T, p *pair, server string) {
			p.ask(length)
			for i := range 5 {
				p.s.Pass(1500 * time.Millisecond)
				p.upload("sixsix", i == 4)
			}
			p.asked(server)
			p.s.Pass(1900 * time.Millisecond)
			p.answer()
			if s := p.answered(); s != "200" {
				t.Errorf("status %s", s)
			}
			wantLines(t, p.s, "x/s1 0/0/0/9400/9400 200 ---- 0")
		})
		// The same, and a server that does not answer after it.
		eachSide(t, "timeout server 2s", func(t *testing.T, p *pair, server string) {
			p.ask(length)
			for i := range 5 {
				p.s.Pass(1500 * time.Millisecond)
				p.upload("sixsix", i == 4)
			}
			if s := p.answered(); s != "504" {
				t.Errorf("status %s", s)
			}
			wantLines(t, p.s, "x/s1 0/0/0/-1/9500 504 sH-- 0")
		})
	}
}

// Uploads that break off or stall are the client's, in the queue of reasons that
// HAProxy 3.4 gives.
func TestBrokenUpload(t *testing.T) {
	for _, length := range []int{30, -1} {
		eachSide(t, "timeout client 3s\n timeout server 1s", func(t *testing.T, p *pair, server string) {
			p.ask(length)
			p.upload("some", false)
			if s := p.answered(); s != "400" {
				t.Errorf("status %s", s)
			}
			wantLines(t, p.s, "x/s1 0/0/0/-1/3000 400 cH-- 0")
			if got := counts(p.s); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0" {
				t.Error(got)
			}
		})
		for _, how := range []string{"shut", "close", "reset"} {
			eachSide(t, "timeout client 3s\n timeout server 1s", func(t *testing.T, p *pair, server string) {
				p.ask(length)
				p.upload("some", false)
				p.s.Pass(500 * time.Millisecond)
				p.breakOff(how)
				end := "C"
				if how == "reset" || p.hc != nil {
					end = "D"
				} else {
					end = "H"
				}
				p.s.Pass(0)
				wantLines(t, p.s, "x/s1 0/0/0/-1/500 400 C"+end+"-- 0")
				if how == "shut" && p.hc == nil && p.answered() != "400" {
					t.Error("not told")
				}
				if got := counts(p.s); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0" {
					t.Error(got)
				}
			})
		}
	}
	t.Run("bad chunk", func(t *testing.T) {
		p := newPair(t, "h1", "h1", "")
		p.ask(-1)
		p.upload("some", false)
		p.s.Pass(500 * time.Millisecond)
		p.c.Send("zz\r\n")
		if s := p.answered(); s != "400" {
			t.Errorf("status %s", s)
		}
		wantLines(t, p.s, "x/s1 0/0/0/-1/500 400 PH-- 0")
	})
	t.Run("the server does not read", func(t *testing.T) {
		p := newPair(t, "h1", "h1", "timeout server 2s\n timeout client 5s")
		p.ask(4 << 20)
		p.v = p.host.Accept()
		p.v.Pause()
		p.c.Send(strings.Repeat("x", 4<<20))
		if s := p.answered(); s != "504" {
			t.Errorf("status %s", s)
		}
		wantLines(t, p.s, "x/s1 0/0/0/-1/2000 504 sH-- 0")
	})
}

// A response that comes before the request is complete leaves the client's
// connection usable, and the server's: what is left goes through.
func TestEarlyAnswer(t *testing.T) {
	for _, length := range []int{30, -1} {
		eachSide(t, "timeout client 3s", func(t *testing.T, p *pair, server string) {
			p.ask(length)
			p.upload("tenbytes..", false)
			p.asked(server)
			p.answer()
			if s := p.answered(); s != "200" {
				t.Errorf("status %s", s)
			}
			p.s.Pass(time.Second)
			p.upload("tenbytes..", false)
			p.s.Pass(time.Second)
			if l := p.s.Lines(); len(l) > 0 {
				t.Errorf("%q: it is not over", l)
			}
			p.upload("tenbytes..", true)
			wantLines(t, p.s, "x/s1 0/0/0/0/2000 200 ---- 0")
			if p.hv == nil {
				if n := strings.Count(p.v.Got(), "tenbytes.."); n != 3 {
					t.Errorf("the server got %d pieces", n)
				}
				if length < 0 || p.hc != nil {
					p.v.Expect("0\r\n\r\n")
				} else {
					p.v.Expect("tenbytes..tenbytes..tenbytes..")
				}
			}
			// Both connections go on.
			p.ask(0)
			p.asked(server)
			p.answer()
			if s := p.answered(); s != "200" {
				t.Errorf("status %s", s)
			}
			p.s.Lines()
			// The client stalls: not the server's fault any more.
			p.ask(length)
			p.asked(server)
			p.answer()
			p.answered()
			p.s.Pass(10 * time.Second)
			wantLines(t, p.s, "x/s1 0/0/0/0/3000 200 cL-- 0")
			if got := counts(p.s); got != "x retr 0 redisp 0 econ 0 cli 1 srv 0" {
				t.Error(got)
			}
		})
	}
	// The server says its answer and closes: the rest is thrown away.
	for _, size := range []int{30, 3 << 20} {
		p := newPair(t, "h1", "h1", "timeout client 3s")
		p.ask(size)
		p.upload("tenbytes..", false)
		p.asked("h1")
		p.v.Send("HTTP/1.1 413 no\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
		p.v.Close()
		if s := p.answered(); s != "413" {
			t.Errorf("status %s", s)
		}
		for left := size - 10; left > 0; {
			n := min(left, 64<<10)
			p.c.Send(strings.Repeat("x", n))
			left -= n
			p.s.Pass(time.Millisecond)
		}
		p.ask(0)
		v := p.host.Accept()
		v.Head()
		v.Send(ok)
		p.c.Expect("ok")
	}
	// A client that leaves after it was answered.
	p := newPair(t, "h1", "h1", "")
	p.ask(30)
	p.asked("h1")
	p.answer()
	p.c.Expect("ok")
	p.s.Pass(time.Second)
	p.c.Close()
	p.s.Pass(0)
	wantLines(t, p.s, "x/s1 0/0/0/0/1000 200 CL-- 0")
}

// The head of a response has one deadline, however it comes; each interim response
// begins it anew.
func TestDrippingHead(t *testing.T) {
	s := stage(t, "timeout server 3s")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	c.Send(get)
	v := h.Accept()
	v.Head()
	v.Drip("HTTP/1.1 200 OK\r\nx: "+strings.Repeat("y", 100), time.Second)
	c.Expect("504")
	wantLines(t, s, "x/s1 0/0/0/-1/3000 504 sH-- 0")

	c = s.Dial(front)
	c.Send(get)
	v = h.Accept()
	v.Head()
	for range 3 {
		s.Pass(2500 * time.Millisecond)
		v.Send("HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n")
	}
	v.Drip("HTTP/1.1 200 OK\r\nx: "+strings.Repeat("y", 100), time.Second)
	c.Expect("504")
	wantLines(t, s, "x/s1 0/0/0/-1/10500 504 sH-- 0")

	c = s.Dial(front)
	c.Send(get)
	v = h.Accept()
	v.Head()
	v.Drip("HTTP/1.1 204 no\r\n\r\n", 100*time.Millisecond)
	c.Expect("204")
	wantLines(t, s, "x/s1 0/0/0/1800/1800 204 ---- 0")
}

// A client of HTTP/2 whose request was answered before its body was read is told with
// NO_ERROR to send no more of it, after the whole answer: with any other code it may
// throw that away (RFC 9113 8.1). The connection goes on.
func TestEarlyAnswerResets(t *testing.T) {
	for _, c := range []struct {
		name, conf, status, line string
		server, slow             bool // a server answers; the client sends no more
	}{
		{"denied", "http-request deny", "403", "x/<NOSRV> 0/-1/-1/-1/0 403 PR-- 0", false, false},
		{"a redirection", "http-request redirect location /y", "302", "x/<NOSRV> 0/-1/-1/-1/0 302 LR-- 0", false, false},
		{"a rule on the response", "http-response return status 201", "201", "x/s1 0/0/0/0/0 201 LH-- 0", true, false},
		{"a client that stalls", "timeout client 2s", "200", "x/s1 0/0/0/0/2000 200 cL-- 0", true, true},
	} {
		for _, server := range []string{"h1", "h2"} {
			t.Run(c.name+"/"+server, func(t *testing.T) {
				p := newPair(t, "h2", server, c.conf)
				for range 2 {
					p.ask(30)
					p.upload("tenbytes..", false)
					if c.server {
						p.asked(server)
						p.answer()
					}
					if got := p.answered(); got != c.status {
						t.Errorf("status %s, want %s", got, c.status)
					}
					if code := p.hc.reset(); code != "NO_ERROR" {
						t.Errorf("reset with %s", code)
					}
					wantLines(t, p.s, c.line)
					// The upload was broken off.
					if p.hv == nil {
						p.v = nil // another connection
					} else if code := p.hv.reset(); code != "CANCEL" {
						t.Errorf("the server's stream is reset with %s", code)
					}
				}
			})
		}
	}
}

// A server of HTTP/2 may answer and say with NO_ERROR that it wants no more of the
// body: the answer is good, what is left of the body is thrown away, and both
// connections go on.
func TestServerWantsNoMore(t *testing.T) {
	for _, client := range []string{"h1", "h2"} {
		t.Run(client, func(t *testing.T) {
			p := newPair(t, client, "h2", "")
			for range 2 {
				p.ask(30)
				p.upload("tenbytes..", false)
				p.asked("h2")
				p.answer()
				p.hv.WriteRSTStream(p.vid, http2.ErrCodeNo)
				if got := p.answered(); got != "200" {
					t.Errorf("status %s", got)
				}
				p.upload("tenbytes..", false)
				p.s.Pass(time.Second)
				p.upload("tenbytes..", true)
				wantLines(t, p.s, "x/s1 0/0/0/0/1000 200 ---- 0")
			}
		})
	}
}
