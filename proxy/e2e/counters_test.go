package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const countersText = `global
    stats socket @DIR@/s level admin
    nbthread 1

defaults
    mode http
    retries 2
    option redispatch
    http-reuse always
    timeout connect 2s
    timeout client 5s
    timeout server 5s

frontend web
    bind %[1]s
    bind %[2]s ssl crt @DIR@/site.pem alpn h2,http/1.1
    http-request deny if { path /denied }
    http-request return status 200 content-type text/plain string made if { path /made }
    http-response deny if { status 418 }
    use_backend dead if { path /dead }
    use_backend half if { path /half }
    use_backend none if { path /none }
    use_backend bedeny if { path /bedenied }
    use_backend slow if { path /slow } || { path /pause }
    default_backend app

backend app
    server s1 %[3]s pool-purge-delay 10m

backend dead
    server s1 %[4]s pool-purge-delay 10m

backend half
    balance roundrobin
    server s1 %[4]s pool-purge-delay 10m
    server s2 %[3]s pool-purge-delay 10m

backend none

backend bedeny
    http-request deny
    server s1 %[3]s pool-purge-delay 10m

backend slow
    timeout server 200ms
    server s1 %[3]s pool-purge-delay 10m

listen raw
    mode tcp
    bind %[5]s
    server s1 %[3]s pool-purge-delay 10m
`

// counted are the columns that are compared. Bytes are held against the wire:
// HAProxy counts a head by its internal form.
var counted = []string{"stot", "dreq", "dresp", "ereq", "econ", "eresp", "wretr", "wredis", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
	"req_tot", "cli_abrt", "srv_abrt", "lbtot", "conn_tot", "intercepted", "dcon", "dses", "connect", "reuse", "eint", "qcur", "scur"}

// counting is a program with the servers behind it, which count as well.
type counting struct {
	*proxy
	t                  *testing.T
	clear, secure, raw string
	tls                *tls.Config
	in, out            atomic.Int64 // what the servers received and sent
	step, seen         chan bool    // has the server go on; a server has a request
}

func newCounting(t *testing.T, program string) *counting {
	c := &counting{t: t, step: make(chan bool), seen: make(chan bool), clear: address(t), secure: address(t), raw: address(t)}
	ca := certtest.NewCA(t, "ca")
	c.tls = &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	dir := scratch(t)
	certtest.Write(t, dir, "site.pem", ca.Issue(t, "site", certtest.Names("localhost")).PEM(t))
	origin := tcptest.Serve(t, func(conn net.Conn) { c.serve(&meter{Conn: conn, in: &c.in, out: &c.out}) })
	c.proxy = serveIn(t, program, dir, fmt.Sprintf(countersText, c.clear, c.secure, origin, address(t), c.raw))
	return c
}

// meter counts what passes.
type meter struct {
	net.Conn
	in, out *atomic.Int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.in.Add(int64(n))
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.out.Add(int64(n))
	return n, err
}

// serve answers as the path says.
func (c *counting) serve(conn *meter) {
	br := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		switch req.URL.Path {
		case "/upload":
			c.seen <- true
		case "/slow":
			io.Copy(io.Discard, br)
			return
		case "/gone":
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		switch req.URL.Path {
		case "/chunks":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
		case "/close":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhello")
			return
		case "/big":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"+strings.Repeat("x", 300000))
		case "/cut":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
			return
		case "/pause":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")
			io.Copy(io.Discard, br)
			return
		case "/endless":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
			for {
				if _, err := conn.Write(make([]byte, 10000)); err != nil {
					return
				}
			}
		case "/badchunk":
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
			<-c.step
			io.WriteString(conn, "xyz\r\n")
			io.Copy(io.Discard, br)
			return
		case "/garbage":
			io.WriteString(conn, "SSH-2.0 hello\r\n")
			return
		case "/304":
			io.WriteString(conn, "HTTP/1.1 304 Not Modified\r\n\r\n")
		case "/100":
			io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		case "/resdenied":
			// Forebay closes the connection, HAProxy may keep it.
			io.WriteString(conn, "HTTP/1.1 418 Tea\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		case "/500":
			io.WriteString(conn, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
		case "/socket":
			io.WriteString(conn, "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			io.CopyN(conn, br, 5)
			return
		default:
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}
}

// rows are the numbers of "show stat", by proxy/server and column.
func (c *counting) rows() map[string]map[string]string {
	all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.ask("show stat"), "# "))).ReadAll()
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, r := range all[1:] {
		row := map[string]string{}
		for i, v := range r {
			row[all[0][i]] = v
		}
		out[row["pxname"]+"/"+row["svname"]] = row
	}
	return out
}

// visit is a client's connection.
type visit struct {
	t       *testing.T
	c       *meter
	br      *bufio.Reader
	step    chan<- bool
	seen    <-chan bool
	in, out atomic.Int64 // what the client received and sent
}

func (c *counting) visit(t *testing.T, addr string) *visit {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	v := &visit{t: t, step: c.step, seen: c.seen}
	v.c = &meter{Conn: conn, in: &v.in, out: &v.out}
	if addr == c.secure {
		v.c.Conn = tls.Client(conn, c.tls)
	}
	v.br = bufio.NewReader(v.c)
	return v
}

func (v *visit) say(s string) { io.WriteString(v.c, s) }

func (v *visit) hear(method string) (status int, body string) {
	v.t.Helper()
	res, err := http.ReadResponse(v.br, &http.Request{Method: method})
	for err == nil && res.StatusCode < 200 && res.StatusCode != 101 {
		res, err = http.ReadResponse(v.br, &http.Request{Method: method})
	}
	if err != nil || res.StatusCode == 101 {
		return 0, ""
	}
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// countCase is something that happens. It may leave its connection open.
type countCase struct {
	name string
	do   func(v *visit)
	addr func(c *counting) string
	// differ are the cells in which HAProxy differs, with the reason.
	differ map[string]string
	// h2 is done over HTTP/2 instead.
	h2 func(c *http.ClientConn)
	// wire tells that bytes on the wire are known: heads and bodies of HTTP/1.
	wire bool
}

func get1(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func asks(method string, text ...string) func(*visit) {
	return func(v *visit) {
		for _, x := range text {
			v.say(x)
			v.hear(method)
		}
	}
}

func onSecure(c *counting) string { return c.secure }
func onRaw(c *counting) string    { return c.raw }

func countCases() []countCase {
	post := "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("y", 1000)
	large := "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("y", 300000)
	chunks := "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nabcd\r\n0\r\n\r\n"
	wait := func(v *visit) { v.br.Peek(1) }
	reset := func(v *visit) { v.c.Conn.(*net.TCPConn).SetLinger(0); v.c.Close() }
	return []countCase{
		{name: "two requests", do: asks("GET", get1("/a"), get1("/b")), wire: true},
		{name: "closed", do: asks("GET", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")},
		{name: "until close", do: asks("GET", get1("/close"))},
		{name: "head", do: asks("HEAD", "HEAD /304 HTTP/1.1\r\nHost: x\r\n\r\n")},
		{name: "length", do: asks("POST", post), wire: true},
		{name: "large", do: asks("POST", large), wire: true},
		{name: "large answer", do: asks("GET", get1("/big")), wire: true},
		{name: "chunks", do: asks("POST", chunks), wire: true},
		{name: "interim", do: asks("GET", get1("/100"), get1("/a"))},
		{name: "error of the server", do: asks("GET", get1("/500")), wire: true},
		{name: "not modified", do: asks("GET", get1("/304")), wire: true},
		{name: "denied", do: asks("GET", get1("/denied"))},
		{name: "denied by the backend", do: asks("GET", get1("/bedenied"))},
		{name: "answer denied", do: asks("GET", get1("/resdenied"))},
		{name: "made", do: asks("GET", get1("/made"))},
		{name: "bad request", do: asks("GET", "GET / HTTP/1.1\r\nHost : x\r\n\r\n")},
		{name: "no server", do: asks("GET", get1("/none"))},
		{name: "dead server", do: asks("GET", get1("/dead"))},
		{name: "one of two is dead", do: asks("GET", get1("/half"), get1("/half"))},
		{name: "slow server", do: asks("GET", get1("/slow"))},
		{name: "server leaves", do: asks("GET", get1("/gone"))},
		{name: "server leaves in the body", do: asks("GET", get1("/cut"))},
		{name: "server pauses in the body", do: asks("GET", get1("/pause"))},
		{name: "bad chunk", do: func(v *visit) {
			v.say(get1("/badchunk"))
			wait(v)
			v.step <- true
			v.hear("GET")
		}},
		{name: "garbage of the server", do: asks("GET", get1("/garbage"))},
		{name: "client resets in the body", do: func(v *visit) { v.say(get1("/endless")); wait(v); reset(v) }},
		{name: "client breaks off its body", do: func(v *visit) {
			v.say(strings.Replace(large, "/x", "/upload", 1)[:1000])
			<-v.seen
			reset(v)
		}, differ: map[string]string{ // 3.4 has a status for it, 400, where 2.6 has none
			"app/BACKEND hrsp_4xx": "3.4", "app/BACKEND hrsp_other": "3.4", "web/FRONTEND hrsp_4xx": "3.4", "web/FRONTEND hrsp_other": "3.4",
		}},
		{name: "upgrade", do: func(v *visit) {
			v.say("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			v.hear("GET")
			v.say("12345")
			io.ReadAll(v.br)
		}},
		{name: "tls two requests", addr: onSecure, do: asks("GET", get1("/a"), get1("/b")), wire: true},
		{name: "tls bad request", addr: onSecure, do: asks("GET", "GET / HTTP/1.1\r\nHost : x\r\n\r\n")},
		{name: "no tls", addr: onSecure, do: func(v *visit) {
			io.WriteString(v.c.Conn.(*tls.Conn).NetConn(), get1("/"))
			io.ReadAll(v.c.Conn.(*tls.Conn).NetConn())
		}},
		{name: "h2 requests", h2: asks2("GET", "", "/a", "/b", "/big")},
		{name: "h2 uploads", h2: asks2("POST", strings.Repeat("y", 100000), "/x", "/chunks")},
		{name: "h2 denied", h2: asks2("GET", "", "/denied", "/bedenied", "/resdenied", "/made")},
		{name: "h2 no server", h2: asks2("GET", "", "/none")},
		{name: "h2 server leaves in the body", h2: asks2("GET", "", "/cut")},
		{name: "h2 server pauses in the body", h2: asks2("GET", "", "/pause")},
		{name: "h2 garbage of the server", h2: asks2("GET", "", "/garbage")},
		{name: "h2 client resets in the body", h2: func(c *http.ClientConn) {
			req, _ := http.NewRequest("GET", "https://localhost/endless", nil)
			if res, err := c.RoundTrip(req); err == nil {
				io.ReadFull(res.Body, make([]byte, 100000))
				res.Body.Close()
			}
		}},
		{name: "tcp", addr: onRaw, do: func(v *visit) { asks("GET", get1("/a"))(v); v.c.Close() }, wire: true},
		{name: "tcp large answer", addr: onRaw, do: func(v *visit) { asks("GET", get1("/big"))(v); v.c.Close() }},
		{name: "tcp server ends", addr: onRaw, do: func(v *visit) { asks("GET", get1("/close"))(v) }},
		{name: "tcp client resets", addr: onRaw, do: func(v *visit) { v.say(get1("/endless")); wait(v); reset(v) }},
	}
}

// Each counter tells what happened, where HAProxy's do: at the frontend, the
// backend and the server.
func TestCounters(t *testing.T) {
	ours, theirs := newCounting(t, forebay), newCounting(t, tool(t, "haproxy"))
	for _, x := range countCases() {
		t.Run(x.name, func(t *testing.T) {
			var got [2]map[string]map[string]string
			for i, c := range []*counting{ours, theirs} {
				c.ask("clear counters all")
				addr := c.clear
				if x.h2 != nil {
					addr = c.secure
				}
				if x.addr != nil {
					addr = x.addr(c)
				}
				v := c.visit(t, addr)
				if x.h2 != nil {
					x.over2(c, v)
				} else {
					x.do(v)
				}
				if tcp, is := v.c.Conn.(*net.TCPConn); is {
					tcp.CloseWrite()
				}
				c.settled(t)
				got[i] = c.rows()
				v.c.Close()
				c.quiet(t)
				if i == 0 && x.wire {
					in, out := fmt.Sprint(v.out.Load()), fmt.Sprint(v.in.Load())
					for name, r := range got[i] {
						if r["stot"] != "0" && (r["bin"] != in || r["bout"] != out) {
							t.Errorf("%s: %s bytes in, %s out; the client sent %s and received %s", name, r["bin"], r["bout"], in, out)
						}
					}
				}
			}
			for _, name := range sorted(got[1]) {
				for _, col := range counted {
					a, b := got[0][name][col], got[1][name][col]
					if a == "" {
						a = "0"
					}
					if b == "" {
						b = "0"
					}
					if _, decided := x.differ[name+" "+col]; a != b && !decided {
						t.Errorf("%s %s: %s, HAProxy has %s", name, col, a, b)
					}
				}
			}
		})
	}
}

// over2 does it over HTTP/2.
func (x *countCase) over2(c *counting, v *visit) {
	cfg := c.tls.Clone()
	cfg.NextProtos = []string{"h2"}
	secure := tls.Client(v.c.Conn.(*tls.Conn).NetConn(), cfg)
	if err := secure.Handshake(); err != nil {
		v.t.Fatal(err)
	}
	v.c.Conn = secure
	only := new(http.Protocols)
	only.SetHTTP2(true)
	tr := &http.Transport{Protocols: only, DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return secure, nil }}
	cc, err := tr.NewClientConn(v.t.Context(), "https", "localhost:443")
	if err != nil {
		v.t.Fatal(err)
	}
	x.h2(cc)
}

// asks2 sends requests over HTTP/2, one after the other.
func asks2(method string, body string, paths ...string) func(*http.ClientConn) {
	return func(c *http.ClientConn) {
		for _, p := range paths {
			var r io.Reader
			if body != "" {
				r = strings.NewReader(body)
			}
			req, _ := http.NewRequest(method, "https://localhost"+p, r)
			if res, err := c.RoundTrip(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
	}
}

func sorted(m map[string]map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// settled waits until no stream is under way.
func (c *counting) settled(t *testing.T) {
	t.Helper()
	last := ""
	until(t, "the streams end", func() bool {
		now := ""
		busy := false
		for name, r := range c.rows() {
			busy = busy || strings.HasSuffix(name, "/BACKEND") && r["scur"] != "0"
			now += name + r["bin"] + r["bout"] + r["ereq"]
		}
		same := len(now) == len(last) && !busy
		last = now
		return same
	})
}

// quiet waits until no connection is left.
func (c *counting) quiet(t *testing.T) {
	t.Helper()
	until(t, "the connections end", func() bool {
		for name, r := range c.rows() {
			if strings.HasSuffix(name, "/FRONTEND") && r["scur"] != "0" {
				return false
			}
		}
		return true
	})
}
