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
	"net/http/httptrace"
	"net/textproto"
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
    option socket-stats

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
    use_backend two if { path_beg /two }
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

backend two
    server s1 %[6]s proto h2 pool-purge-delay 10m

listen raw
    mode tcp
    bind %[5]s
    server s1 %[3]s pool-purge-delay 10m
`

// counted are the columns that are compared. Bytes are held against what client and
// server saw: HAProxy counts messages by its internal form.
var counted = []string{"stot", "dreq", "dresp", "ereq", "econ", "eresp", "wretr", "wredis", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
	"req_tot", "cli_abrt", "srv_abrt", "lbtot", "conn_tot", "intercepted", "dcon", "dses", "connect", "reuse", "eint", "qcur", "scur"}

// counting is a program with the servers behind it, which count as well.
type counting struct {
	*proxy
	t                  *testing.T
	clear, secure, raw string
	tls                *tls.Config
	in, out            atomic.Int64 // what the servers received and sent, over HTTP/2 as HTTP/1 would have it
	step, seen         chan bool    // has the server go on; a server has a request
}

func newCounting(t *testing.T, program string) *counting {
	c := &counting{t: t, step: make(chan bool), seen: make(chan bool), clear: address(t), secure: address(t), raw: address(t)}
	ca := certtest.NewCA(t, "ca")
	c.tls = &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	dir := scratch(t)
	certtest.Write(t, dir, "site.pem", ca.Issue(t, "site", certtest.Names("localhost")).PEM(t))
	origin := tcptest.Serve(t, func(conn net.Conn) { c.serve(&meter{Conn: conn, in: &c.in, out: &c.out}) })
	c.proxy = serveIn(t, program, dir, fmt.Sprintf(countersText, c.clear, c.secure, origin, address(t), c.raw, c.origin2()))
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

// origin2 starts a server that speaks HTTP/2.
func (c *counting) origin2() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := textSize(fmt.Sprintf("%s %s HTTP/2.0", r.Method, r.URL.RequestURI()), r.Header) + len("host: \r\n") + len(r.Host)
		n, err := io.Copy(io.Discard, r.Body)
		c.in.Add(int64(head) + n + trailerSize(r.Trailer))
		if err != nil {
			return
		}
		body := "ok"
		if r.URL.Path == "/two/big" {
			body = strings.Repeat("x", 300000)
		}
		w.Header().Set("Date", "then")
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/two/hint" {
			w.Header().Set("Link", "x")
			w.WriteHeader(103)
			c.out.Add(int64(textSize("HTTP/2.0 103 ", w.Header())))
		}
		if r.URL.Path == "/two/trailer" {
			w.Header().Set("Trailer", "sum")
			w.WriteHeader(200)
			w.(http.Flusher).Flush() // or it finds out the length
			c.out.Add(int64(textSize("HTTP/2.0 200 ", w.Header()) + len("sum: 12\r\n")))
			io.WriteString(w, body)
			w.Header().Set("Sum", "12")
			c.out.Add(int64(len(body)))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		c.out.Add(int64(textSize("HTTP/2.0 200 ", w.Header()) + len(body)))
		io.WriteString(w, body)
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(l)
	c.t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

// textSize is the size of a head as HTTP/1 has it.
func textSize(first string, h http.Header) int {
	n := len(first) + 4
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}

// trailerSize is the size of trailers as lines.
func trailerSize(h http.Header) int64 {
	if len(h) == 0 {
		return 0
	}
	return int64(textSize("", h) - 4)
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
	h2 func(v *visit, c *http.ClientConn)
	// wire tells that client and server saw all bytes.
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
		{name: "closed", do: asks("GET", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), wire: true},
		{name: "until close", do: asks("GET", get1("/close")), wire: true},
		{name: "head", do: asks("HEAD", "HEAD /304 HTTP/1.1\r\nHost: x\r\n\r\n")},
		{name: "length", do: asks("POST", post), wire: true},
		{name: "large", do: asks("POST", large), wire: true},
		{name: "large answer", do: asks("GET", get1("/big")), wire: true},
		{name: "chunks", do: asks("POST", chunks), wire: true},
		{name: "interim", do: asks("GET", get1("/100"), get1("/a")), wire: true},
		{name: "error of the server", do: asks("GET", get1("/500")), wire: true},
		{name: "not modified", do: asks("GET", get1("/304")), wire: true},
		{name: "denied", do: asks("GET", get1("/denied")), wire: true},
		{name: "denied by the backend", do: asks("GET", get1("/bedenied")), wire: true},
		{name: "answer denied", do: asks("GET", get1("/resdenied"))},
		{name: "made", do: asks("GET", get1("/made")), wire: true},
		{name: "bad request", do: asks("GET", "GET / HTTP/1.1\r\nHost : x\r\n\r\n")},
		{name: "no server", do: asks("GET", get1("/none")), wire: true},
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
		{name: "h2 requests", h2: asks2("GET", "", "/a", "/b", "/big"), wire: true},
		{name: "h2 uploads", h2: asks2("POST", strings.Repeat("y", 100000), "/x"), wire: true},
		{name: "h2 chunks", h2: asks2("POST", strings.Repeat("y", 100000), "/chunks"), wire: true},
		{name: "h2 interim", h2: asks2("GET", "", "/100"), wire: true},
		{name: "h2 denied", h2: asks2("GET", "", "/denied", "/bedenied", "/resdenied", "/made")},
		{name: "h2 made", h2: asks2("GET", "", "/made"), wire: true},
		{name: "h2 on both sides", h2: asks2("GET", "", "/two", "/two/big", "/two?x=y"), wire: true},
		{name: "h2 on both sides, uploads", h2: asks2("POST", strings.Repeat("y", 100000), "/two", "/two/big"), wire: true},
		{name: "h2 on both sides, trailers", h2: asks2("GET", "", "/two/trailer"), wire: true},
		{name: "h2 on both sides, interim", h2: asks2("GET", "", "/two/hint"), wire: true},
		{name: "h2 server", do: asks("GET", get1("/two"), get1("/two/big")), wire: true},
		{name: "h2 server, upload", do: asks("POST", strings.Replace(large, "/x", "/two/big", 1)), wire: true},
		{name: "h2 server, chunks", do: asks("POST", strings.Replace(chunks, "/chunks", "/two", 1)), wire: true},
		{name: "h2 server, trailers", do: asks("GET", get1("/two/trailer")), wire: true},
		{name: "h2 no server", h2: asks2("GET", "", "/none")},
		{name: "h2 server leaves in the body", h2: asks2("GET", "", "/cut")},
		{name: "h2 server pauses in the body", h2: asks2("GET", "", "/pause")},
		{name: "h2 garbage of the server", h2: asks2("GET", "", "/garbage")},
		{name: "h2 client resets in the body", h2: func(_ *visit, c *http.ClientConn) {
			req, _ := http.NewRequest("GET", "https://localhost/endless", nil)
			if res, err := c.RoundTrip(req); err == nil {
				io.ReadFull(res.Body, make([]byte, 100000))
				res.Body.Close()
			}
		}},
		{name: "tcp", addr: onRaw, do: func(v *visit) { asks("GET", get1("/a"))(v); v.c.Close() }, wire: true},
		{name: "tcp large answer", addr: onRaw, do: func(v *visit) { asks("GET", get1("/big"))(v); v.c.Close() }, wire: true},
		{name: "tcp server ends", addr: onRaw, do: func(v *visit) { asks("GET", get1("/close"))(v) }, wire: true},
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
				c.in.Store(0)
				c.out.Store(0)
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
					want := map[string]int64{"bin": v.out.Load(), "bout": c.out.Load(), "reqbin": v.out.Load(), "reqbout": c.in.Load(), "resbin": c.out.Load(), "resbout": v.in.Load()}
					for _, name := range sorted(got[i]) {
						for _, col := range []string{"bin", "bout", "reqbin", "reqbout", "resbin", "resbout"} {
							if r := got[i][name]; r["stot"] != "0" && r[col] != fmt.Sprint(want[col]) {
								t.Errorf("%s %s: %s; client and server saw %d", name, col, r[col], want[col])
							}
						}
					}
				}
			}
			for _, name := range sorted(got[1]) {
				for _, col := range counted {
					a, b := got[0][name][col], got[1][name][col]
					if col == "conn_tot" && b == "" {
						continue // 3.4 has it for listeners too
					}
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
	v.in.Store(0)
	v.out.Store(0)
	v.c.in, v.c.out = new(atomic.Int64), new(atomic.Int64) // frames are not counted
	x.h2(v, cc)
}

// asks2 sends requests over HTTP/2, one after the other, and counts heads as HTTP/1
// would have them.
func asks2(method string, body string, paths ...string) func(*visit, *http.ClientConn) {
	return func(v *visit, c *http.ClientConn) {
		for _, p := range paths {
			var r io.Reader
			if body != "" {
				r = strings.NewReader(body)
			}
			req, _ := http.NewRequest(method, "https://localhost"+p, r)
			req.Header.Set("User-Agent", "x")
			req.Header.Set("Accept-Encoding", "identity")
			size := textSize(method+" "+p+" HTTP/2.0", req.Header) + len("host: localhost\r\n") + len(body)
			if body != "" {
				size += len("content-length: \r\n") + len(fmt.Sprint(len(body)))
			}
			v.out.Add(int64(size))
			hints := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				v.in.Add(int64(textSize(fmt.Sprintf("HTTP/2.0 %d ", code), http.Header(h))))
				return nil
			}}
			if res, err := c.RoundTrip(req.WithContext(httptrace.WithClientTrace(context.Background(), hints))); err == nil {
				head := textSize(fmt.Sprintf("HTTP/2.0 %d ", res.StatusCode), res.Header)
				for name := range res.Trailer {
					head += len("trailer: \r\n") + len(name)
				}
				n, _ := io.Copy(io.Discard, res.Body)
				v.in.Add(int64(head) + n + trailerSize(res.Trailer))
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
