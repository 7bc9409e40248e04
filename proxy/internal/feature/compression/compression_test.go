package compression_test

import (
	"bufio"
	"bytes"
	stdflate "compress/flate"
	stdgzip "compress/gzip"
	stdzlib "compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const front = "10.1.0.1:80"

// stage is a listen section on the simulated clock.
func stage(t *testing.T, global, lines string) (*sim.Stage, *sim.Host) {
	t.Helper()
	s := sim.NewStage(t, "global\n "+global+"\n"+section(lines), nil)
	return s, s.Listen("10.2.0.1:80")
}

func section(lines string) string {
	return "defaults\n mode http\n timeout client 1h\n timeout server 1h\n timeout connect 5s\nlisten x\n bind " + front + "\n " +
		strings.ReplaceAll(lines, "\n", "\n ") + "\n server s1 10.2.0.1:80\n"
}

func plain(t testing.TB, encoding string, raw bool, body io.Reader) string {
	t.Helper()
	var err error
	switch {
	case encoding == "gzip":
		body, err = stdgzip.NewReader(body)
	case encoding == "deflate" && raw:
		body = stdflate.NewReader(body)
	case encoding == "deflate":
		body, err = stdzlib.NewReader(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	return string(b)
}

// text is a body that can be compressed, random one that cannot.
func text(n int, seed uint64) string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := []string{"load ", "balancer ", "stream ", "<div class=\"x\">", "</div>\n", "reactor ", "and ", "of ", "the "}
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[rnd.IntN(len(words))])
		if rnd.IntN(9) == 0 {
			fmt.Fprint(&b, rnd.IntN(1e6))
		}
	}
	return b.String()[:n]
}

func random(n int, seed uint64) string {
	rnd := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return string(b)
}

// Bodies of all kinds, in all forms and at all levels, are what they were, and
// nothing of what it took is kept.
func TestBodies(t *testing.T) {
	for _, algo := range []string{"gzip", "deflate", "raw-deflate", "identity"} {
		for _, level := range []int{1, 2, 5, 9} {
			s, h := stage(t, fmt.Sprintf("tune.comp.maxlevel %d", level), "compression algo "+algo)
			lent := s.Worker.Reactors[0].Lent()
			for i, body := range []string{"x", "hello world", text(5000, 1), text(16128, 2), text(200_000, 3), random(100_000, 4), strings.Repeat("a", 1_000_000), ""} {
				for _, chunk := range []int{0, 1000, 100_000} {
					if len(body) == 0 && chunk == 0 {
						continue
					}
					h.Serve(func(string) string { return message("", body, chunk) })
					p := s.Dial(front)
					p.Send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip, deflate\r\n\r\n")
					res, err := http.ReadResponse(bufio.NewReader(p), nil)
					if err != nil {
						t.Fatal(err)
					}
					want := map[string]string{"raw-deflate": "deflate", "identity": ""}
					enc, ok := want[algo]
					if !ok {
						enc = algo
					}
					if got := res.Header.Get("content-encoding"); got != enc || len(res.TransferEncoding) != 1 {
						t.Fatalf("%s: %q, %v", algo, got, res)
					}
					if got := plain(t, enc, algo == "raw-deflate", res.Body); got != body {
						t.Errorf("%s, level %d, body %d in chunks of %d: %d bytes, want %d", algo, level, i, chunk, len(got), len(body))
					}
					p.Close()
					s.Pass(time.Millisecond)
				}
			}
			if n := s.Worker.Reactors[0].Lent(); n > lent+4 {
				t.Errorf("%d buffers lent, %d before", n, lent)
			}
		}
	}
}

// message is a response with a body, in chunks or with its length.
func message(fields, body string, chunk int) string {
	if chunk == 0 {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s", fields, len(body), body)
	}
	return "HTTP/1.1 200 OK\r\n" + fields + "transfer-encoding: chunked\r\n\r\n" + chunks(body, chunk)
}

func chunks(body string, size int) string {
	var b strings.Builder
	for c := range slices.Chunk([]byte(body), size) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n\r\n"
}

// Seeded: a server sends pieces of any size whenever it likes, clients read whenever
// they like, some leave; what is left of the others is what was sent.
func TestSeeded(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		level := []int{1, 1, 3, 6}[rnd.IntN(4)]
		s, h := stage(t, fmt.Sprintf("tune.comp.maxlevel %d\n maxcomprate %d", level, rnd.IntN(2)*64), "compression algo gzip")
		lent := s.Worker.Reactors[0].Lent()
		for n := range 4 {
			p := s.Dial(front)
			p.Send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
			v := h.Accept()
			v.Head()
			v.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
			var all strings.Builder
			leaves := rnd.IntN(4) == 0
			for range 1 + rnd.IntN(12) {
				piece := text(1+rnd.IntN(1<<rnd.IntN(17)), rnd.Uint64())
				if rnd.IntN(3) == 0 {
					piece = random(len(piece), rnd.Uint64())
				}
				all.WriteString(piece)
				v.Send(fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
				switch rnd.IntN(4) {
				case 0:
					s.Pass(time.Duration(rnd.IntN(2000)) * time.Millisecond)
				case 1:
					p.Pause()
					s.Pass(100 * time.Millisecond)
					p.Resume()
				}
			}
			if leaves {
				p.Reset()
				v.Close()
				s.Pass(time.Second)
				continue
			}
			v.Send("0\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(p), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := plain(t, res.Header.Get("content-encoding"), false, res.Body); got != all.String() {
				t.Fatalf("seed %d, exchange %d: %d bytes, want %d", seed, n, len(got), all.Len())
			}
			p.Close()
			v.Close()
			s.Pass(time.Second)
		}
		if n := s.Worker.Reactors[0].Lent(); n > lent {
			t.Errorf("seed %d: %d buffers lent, %d before", seed, n, lent)
		}
	}
}

// What has come is not held back while more may follow.
func TestPaused(t *testing.T) {
	for _, level := range []int{1, 6} {
		s, h := stage(t, fmt.Sprintf("tune.comp.maxlevel %d", level), "compression algo gzip")
		p := s.Dial(front)
		p.Send("GET /events HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
		v := h.Accept()
		v.Head()
		v.Send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(p), nil)
		if err != nil {
			t.Fatal(err)
		}
		var z *stdgzip.Reader
		for i := range 20 {
			event := fmt.Sprintf("data: event number %d\n\n", i)
			v.Send(fmt.Sprintf("%x\r\n%s\r\n", len(event), event))
			if z == nil {
				if z, err = stdgzip.NewReader(res.Body); err != nil {
					t.Fatal(err)
				}
			}
			got := make([]byte, len(event))
			if _, err := io.ReadFull(z, got); err != nil || string(got) != event {
				t.Fatalf("level %d: %q, %v", level, got, err)
			}
			s.Pass(30 * time.Second)
		}
		with := s.Worker.Reactors[0].Lent()
		p.Reset()
		v.Close()
		s.Pass(time.Second)
		p = s.Dial(front)
		p.Send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n")
		v = h.Accept()
		v.Head()
		v.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
		p.Head()
		s.Pass(30 * time.Second)
		if n := s.Worker.Reactors[0].Lent(); with > n {
			t.Errorf("%d buffers are kept by a stream that pauses, %d by one that is not compressed", with, n)
		}
	}
}

// Requests are compressed towards the servers if the configuration says so.
func TestRequests(t *testing.T) {
	const types = "\ncompression type-req text/plain"
	for _, c := range []struct {
		lines, fields string
		want          bool
	}{
		{"compression algo-req gzip\ncompression direction request", "", true},
		{"compression algo-req gzip\ncompression direction both", "", true},
		{"compression algo-req gzip\ncompression direction response", "", false},
		{"compression algo-req gzip", "", false},
		{"compression algo-req gzip\nfilter comp-req", "", true},
		{"compression algo-req gzip\nfilter comp-res", "", false},
		{"compression algo-req gzip\ncompression algo gzip\nfilter comp-res\nfilter comp-req", "", true},
		{"compression algo-req gzip\nfilter comp-req" + types, "content-type: text/plain;charset=utf-8\r\n", true},
		{"compression algo-req gzip\nfilter comp-req" + types, "content-type: image/png\r\n", false},
		{"compression algo-req gzip\nfilter comp-req" + types, "", false},
		{"compression algo-req gzip\nfilter comp-req", "content-encoding: br\r\n", false},
		{"compression algo-req gzip\nfilter comp-req", "cache-control: no-transform\r\n", false},
		{"compression algo-req gzip\nfilter comp-req\ncompression minsize-req 3000", "", true},
		{"compression algo-req gzip\nfilter comp-req\ncompression minsize-req 3001", "", false},
	} {
		s, h := stage(t, "", c.lines)
		body := text(3000, 1)
		p := s.Dial(front)
		p.Send(fmt.Sprintf("POST / HTTP/1.1\r\nhost: a\r\n%scontent-length: %d\r\n\r\n%s", c.fields, len(body), body))
		v := h.Accept()
		q, err := http.ReadRequest(bufio.NewReader(v))
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Header.Get("content-encoding") == "gzip"; got != c.want {
			t.Errorf("%s, %s: %v", c.lines, c.fields, q.Header)
		}
		encoding := ""
		if c.want {
			encoding = "gzip"
		}
		if got := plain(t, encoding, false, q.Body); got != body {
			t.Errorf("%s: %d bytes", c.lines, len(got))
		}
		v.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
		p.Expect("ok")
		p.Close()
	}
}

// What is compressed, and the heads then, are HAProxy's.
func TestAsHAProxy(t *testing.T) {
	const body = "a body that is long enough to be one, and one that is long enough to be compressed"
	origin := tcptest.Serve(t, func(c net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		status, version := q.Header.Get("x-status"), q.Header.Get("x-version")
		fmt.Fprintf(c, "HTTP/%s %s OK\r\n", version, status)
		for _, f := range q.Header.Values("x-give") {
			fmt.Fprintf(c, "%s\r\n", f)
		}
		fmt.Fprintf(c, "x-got: <%s>\r\n", q.Header.Get("accept-encoding"))
		switch q.Header.Get("x-framing") {
		case "length":
			fmt.Fprintf(c, "content-length: %d\r\n\r\n", len(body))
			if q.Method != "HEAD" {
				io.WriteString(c, body)
			}
		case "chunked":
			io.WriteString(c, "transfer-encoding: chunked\r\n\r\n"+chunks(body, 20))
		case "none":
			io.WriteString(c, "content-length: 0\r\n\r\n")
		case "empty":
			io.WriteString(c, "transfer-encoding: chunked\r\n\r\n0\r\n\r\n")
		default:
			io.WriteString(c, "\r\n"+body)
		}
		c.Close()
	})
	lines := map[string]string{
		"a": "compression algo gzip", "b": "compression algo deflate", "c": "compression algo raw-deflate", "d": "compression algo identity", "e": "compression algo gzip deflate",
		"f": "compression algo gzip identity", "g": "compression algo gzip\n compression type text/html application/json", "h": "compression algo gzip\n compression offload",
		"i": "compression algo deflate gzip\n filter compression", "j": "compression algo gzip\n compression type text/plain\n compression type text/css",
	}
	config := oracle.Head
	for name, l := range lines {
		config += "listen " + name + "\n bind {" + name + "}\n " + l + "\n server s " + origin + "\n"
	}
	sides := oracle.Run(t, config)
	type try struct{ method, version, ask, status, resVersion, framing, give string }
	base := try{"GET", "1.1", "accept-encoding: gzip, deflate", "200", "1.1", "length", ""}
	var tries []try
	add := func(change func(*try, string), values ...string) {
		for _, v := range values {
			x := base
			change(&x, v)
			tries = append(tries, x)
		}
	}
	add(func(x *try, v string) { x.method = v }, "GET", "HEAD", "POST")
	add(func(x *try, v string) { x.version = v }, "1.0")
	add(func(x *try, v string) { x.status = v }, "201", "202", "203", "206", "400", "404", "500")
	add(func(x *try, v string) { x.resVersion = v }, "1.0")
	add(func(x *try, v string) { x.framing = v }, "chunked", "none", "empty", "close")
	add(func(x *try, v string) { x.ask = "accept-encoding: " + v }, "*", "gzip", "GZip", "deflate", "gzip;q=0", "gzip;q=0.5, deflate;q=0.6", "gzip;q=0.5,deflate;q=0.4", "identity", "br", "x-gzip",
		"gzip ; q=0", "gzip;q=1;x=y", "gzip;x=y;q=0", "deflate, gzip", ", gzip", "*;q=0", "gzip;q=1.5", "gzip;q=0.001", "identity;q=0, *;q=0.1", "gzip;q=", "br,\r\naccept-encoding: gzip")
	add(func(x *try, v string) { x.ask = base.ask + "\r\nuser-agent: " + v }, "Mozilla/4.0 (compatible; MSIE 5.5; Windows NT 5.0)", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)",
		"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)", "Mozilla/4.0", "Mozilla/5.0 (X11)", "Mozilla/4")
	add(func(x *try, v string) { x.ask = v }, "x-no: thing")
	add(func(x *try, v string) { x.give = "x-give: " + v }, "Content-Type: text/html", "Content-Type: text/html;charset=utf-8", "Content-Type: TEXT/HTML", "Content-Type: text/plain", "Content-Type: text/css",
		"Content-Type: application/json", "Content-Type: multipart/mixed", "Content-Type: MULTIPART/x", "Content-Type: text", "Content-Type: image/png", "Content-Encoding: br", "Content-Encoding: identity",
		"Cache-Control: no-transform", "Cache-Control: public, No-Transform", "Cache-Control: max-age=1", `ETag: "a"`, `ETag: W/"a"`, `ETag: w/"a"`, "ETag: a", `ETag: "`, `ETag: "a`, "ETag: \"a\"\r\nx-give: ETag: \"b\"",
		"Accept-Ranges: bytes", "Vary: Cookie", "Content-MD5: x")
	n := 0
	for name := range lines {
		for _, x := range tries {
			request := fmt.Sprintf("%s / HTTP/%s\r\nhost: a\r\nconnection: close\r\nx-status: %s\r\nx-version: %s\r\nx-framing: %s\r\n%s\r\n", x.method, x.version, x.status, x.resVersion, x.framing, x.ask)
			if x.give != "" {
				request += x.give + "\r\n"
			}
			if x.method == "POST" {
				request += "content-length: 0\r\n"
			}
			var got [2]string
			for i, s := range sides {
				got[i] = seen(t, x.method, name == "c", s.Exchange(name, request+"\r\n"))
			}
			if n++; got[0] != got[1] {
				t.Errorf("%s, %+v:\n%s\nHAProxy:\n%s", lines[name], x, got[0], got[1])
			}
		}
	}
	t.Logf("%d exchanges", n)
}

// seen is what a client sees of a response: its fields in order of their names, and
// the body.
func seen(t *testing.T, method string, raw bool, answer string) string {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), &http.Request{Method: method})
	if err != nil {
		return err.Error() + " " + answer
	}
	var fields []string
	for name, values := range res.Header {
		for _, v := range values {
			fields = append(fields, name+": "+v)
		}
	}
	slices.Sort(fields)
	return fmt.Sprintf("%s %v %d\n%s\n%s", res.Status, res.TransferEncoding, res.ContentLength, strings.Join(fields, "\n"), plainIfAny(t, res, raw))
}

func plainIfAny(t *testing.T, res *http.Response, raw bool) string {
	if res.Request.Method == "HEAD" {
		return ""
	}
	b, _ := io.ReadAll(res.Body)
	if res.Header.Get("content-encoding") == "deflate" && !raw && b[0] == 0x1f {
		return "" // HAProxy 2.6 puts the beginning of gzip before an empty body
	}
	return plain(t, res.Header.Get("content-encoding"), raw, bytes.NewReader(b))
}

// What is counted, shown and logged.
func TestCounted(t *testing.T) {
	s, h := stage(t, "log {log} local0", "log global\nlog-format \"%[res.comp] %[res.comp_algo] %ST\"\ncompression algo raw-deflate\ncompression type text/plain")
	body := text(50_000, 1)
	for _, kind := range []string{"text/plain", "image/png"} {
		h.Serve(func(string) string { return message("content-type: "+kind+"\r\n", body, 0) })
		p := s.Dial(front)
		p.Send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: deflate\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(p), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		p.Close()
	}
	if got := strings.Join(s.Lines(), "|"); got != "1 raw-deflate 200|0 - 200" {
		t.Errorf("%s", got)
	}
}

// A process that compresses more than it may compresses nothing new, and what is
// being compressed less; when there is room again it does.
func TestRate(t *testing.T) {
	for _, level := range []int{1, 6} {
		s, h := stage(t, fmt.Sprintf("maxcomprate 100\n tune.comp.maxlevel %d", level), "compression algo gzip")
		get := func(n int) (compressed bool, size int64) {
			body := text(n, 1)
			h.Serve(func(string) string { return message("", body, 0) })
			p := s.Dial(front)
			defer p.Close()
			p.Send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(p), nil)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			size, _ = io.Copy(&b, res.Body)
			compressed = res.Header.Get("content-encoding") == "gzip"
			if compressed {
				if got := plain(t, "gzip", false, &b); got != body {
					t.Errorf("level %d: %d bytes, want %d", level, len(got), len(body))
				}
			}
			return compressed, size
		}
		s.Pass(10*time.Second - s.Now()%time.Second)
		if yes, size := get(1_000_000); !yes || size < 700_000 || size > 950_000 {
			t.Errorf("level %d: %v, %d bytes", level, yes, size)
		}
		if yes, _ := get(1000); yes {
			t.Errorf("level %d: compressed above the limit", level)
		}
		s.Pass(5 * time.Second)
		if yes, size := get(50_000); !yes || size > 25_000 {
			t.Errorf("level %d: %v, %d bytes", level, yes, size)
		}
	}
}

// Above "maxzlibmem" nothing new is compressed that needs memory, and memory that is
// given back is for others.
func TestMemory(t *testing.T) {
	s, h := stage(t, "maxzlibmem 3\n tune.comp.maxlevel 6", "compression algo gzip")
	begin := func() (*sim.Peer, *sim.Peer, bool) {
		p := s.Dial(front)
		p.Send("GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
		v := h.Accept()
		v.Head()
		v.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
		return p, v, strings.Contains(p.Head(), "content-encoding: gzip")
	}
	a, server, first := begin()
	_, _, second := begin()
	_, _, third := begin()
	if !first || !second || third {
		t.Errorf("%v, %v, %v", first, second, third)
	}
	a.Reset()
	server.Send("5\r\nagain\r\n")
	s.Pass(100 * time.Millisecond)
	if _, _, again := begin(); !again {
		t.Error("what an exchange that was given up had is lost")
	}
	// Another configuration, while some are at it.
	s.Apply("global\n maxzlibmem 100\n tune.comp.maxlevel 6\n" + section("compression algo gzip"))
	if _, _, more := begin(); !more {
		t.Error("a limit that was raised is not followed")
	}
}

func TestErrors(t *testing.T) {
	for lines, want := range map[string]string{
		"compression":                          "'compression' expects 'algo', 'type', 'direction', 'offload', 'minsize-req' or 'minsize-res'.",
		"compression algo":                     "'compression' expects <algorithm>.",
		"compression algo gzip nosuch":         "'compression' : 'nosuch' is not a supported algorithm.",
		"compression algo-req gzip deflate":    "takes one algorithm",
		"compression type":                     "'compression' expects <type>.",
		"compression direction":                "'compression' expects 'request', 'response', or 'both'.",
		"compression direction both x":         "unexpected argument 'x'",
		"compression offload x":                "unexpected argument 'x'",
		"compression minsize-res":              "expects a size after 'minsize-res'",
		"compression minsize-res 1y":           "unexpected 'y' after size passed to 'minsize-res'",
		"compression minsize-res 1k x":         "unexpected argument 'x'",
		"filter compression x":                 "unknown keyword 'x'.",
		"filter compression\n filter comp-res": "supports only one compression filter",
		"filter comp-res\n filter comp-res":    "supports only one compression filter",
		"compression algo gzip\n filter bwlim-in l default-limit 1 default-period 1s": "frontend 'f': require an explicit filter declaration to use HTTP compression",
	} {
		snap, d := bed.Load(1, "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:1\n "+lines+"\n")
		all := ""
		for _, x := range d.All() {
			all += x.String() + "\n"
		}
		if snap != nil || !strings.Contains(all, want) {
			t.Errorf("%s: %s, want %s", lines, all, want)
		}
	}
}

func TestRuntime(t *testing.T) {
	origin := tcptest.Serve(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, message("connection: close\r\n", text(40_000, 1), 0))
		c.Close()
	})
	addr := tcptest.Reserve(t).String()
	w := bed.Start(t, 1, "global\n maxcomprate 5000\ndefaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend f\n bind "+addr+"\n compression algo gzip\n default_backend b\nbackend b\n server s "+origin+"\n")
	for command, want := range map[string]string{
		"set rate-limit http-compression global":    "Expects an integer value.\n\n",
		"set rate-limit http-compression global x":  "Expects an integer value.\n\n",
		"set rate-limit http-compression global -1": "Value out of range.\n\n",
	} {
		if got := bed.Ask(t, w, command); got != want {
			t.Errorf("%s: %q", command, got)
		}
	}
	info := func(want string) {
		t.Helper()
		if got := bed.Ask(t, w, "show info"); !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	info("CompressBpsRateLim: 5120000\n")
	bed.Ask(t, w, "set rate-limit http-compression global 10000")
	info("CompressBpsRateLim: 10240000\n")
	res, err := http.Get("http://" + addr) // asks for gzip, and takes it off
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != text(40_000, 1) || !res.Uncompressed {
		t.Errorf("%d bytes, %v, %v", len(b), err, res)
	}
	res.Body.Close()
	column := func(proxy, name string) string {
		rows := strings.Split(strings.TrimPrefix(bed.Ask(t, w, "show stat "+proxy+" 3 -1"), "# "), "\n")
		i := slices.Index(strings.Split(rows[0], ","), name)
		return strings.Split(rows[1], ",")[i]
	}
	for _, proxy := range []string{"f", "b"} {
		if in, rsp := column(proxy, "comp_in"), column(proxy, "comp_rsp"); in != "40000" || rsp != "1" || len(column(proxy, "comp_out")) != 4 || column(proxy, "comp_byp") != "0" {
			t.Errorf("%s: %s bytes in, %s out, %s responses", proxy, in, column(proxy, "comp_out"), rsp)
		}
	}
	bed.Ask(t, w, "clear counters all")
	if in := column("f", "comp_in"); in != "0" {
		t.Errorf("%s after they were cleared", in)
	}
}

// A response that is compressed costs no allocation.
func TestNoAllocation(t *testing.T) {
	out := []byte(message("", text(10_000, 1), 0))
	origin := tcptest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(out)
		}
	})
	addr := tcptest.Reserve(t).String()
	bed.Start(t, 1, "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nlisten f\n bind "+addr+"\n compression algo gzip\n server s "+origin+"\n")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := []byte("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
	buf := make([]byte, 32<<10)
	one := func() {
		c.Write(req)
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte("\r\n0\r\n\r\n")) {
			k, err := c.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	}
	for range 100 {
		one()
	}
	// The library's pools forget now and then when races are looked for.
	if n := testing.AllocsPerRun(500, one); n >= 0.5 && !race.Enabled {
		t.Errorf("%v allocations per response", n)
	}
}

// The configurations of the page load without a word.
func TestPage(t *testing.T) { bed.Sound(t, bed.Examples(t, "README.md")) }
