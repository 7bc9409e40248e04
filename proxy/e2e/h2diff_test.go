package e2e

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// h2Config is given to both programs.
const h2Config = diffHead + `
frontend web
    bind @WEB@
    bind @H2@ proto h2
    monitor-uri /alive
    option forwardfor
    http-request deny if { path /denied }
    http-request deny deny_status 400 if { path /400 }
    http-request deny deny_status 413 if { path /413 }
    http-request deny deny_status 429 if { path /slow }
    http-request return status 200 content-type text/plain string "made here\n" hdr X-Made "by %[method]" if { path /made }
    http-request return status 204 if { path /made204 }
    http-request redirect location /new code 301 if { path /old }
    http-request redirect prefix https://other.example if { path_beg /move }
    http-request redirect scheme https code 307 if { path /secure }
    http-request return status 200 content-type text/plain lf-string "%[method]|%[path]|%[query]|%[url]|%[base]|%[hdr(host)]|%[req.hdr(:authority)]|%[req.hdr_cnt(cookie)]|%[req.ver]|%[fc_http_major]\n" if { path_beg /tell }
    http-request set-method POST if { path /turned }
    http-request set-header Host changed.example if { path /host }
    http-request set-path /other if { path /setpath }
    http-request del-header X-Drop
    http-response set-header X-Res "%[status]"
    http-response del-header Server
    http-response deny if { status 599 }
    http-response deny deny_status 503 if { status 598 }
    use_backend dead if { path /dead }
    use_backend empty if { path /empty }
    use_backend close if { path /close }
    use_backend hurry if { path /hurry }
    default_backend app

backend app
    server s1 @ORIGIN@

backend dead
    server d1 @DEAD@

backend empty

backend close
    option httpclose
    server c1 @ORIGIN@

backend hurry
    timeout server 50ms
    server c1 @ORIGIN@
`

// h2pair is one side of the comparison.
type h2pair struct {
	*pair
	h2 string
}

func newH2Pair(t *testing.T, path string) *h2pair {
	t.Helper()
	h2 := address(t)
	return &h2pair{newPairOf(t, path, strings.ReplaceAll(h2Config, "@H2@", h2)), h2}
}

// h2case is what a client says, and what the server answers to requests.
type h2case struct {
	name  string
	say   func(h *h2conn)
	reply string // "" for a usual 200
	shut  bool   // the server closes after its reply
	bare  bool   // say begins with the preface
	// decided names the decision because of which forebay is meant to differ.
	decided string
}

// as names the decision because of which forebay differs; "" is none.
func (c *h2case) as(decision string) { c.decided = decision }

// run plays a case and gives what can be seen of it.
func (p *h2pair) run(c *h2case, marker int) (out outcome) {
	p.mu.Lock()
	p.reply, p.shut, p.got = c.reply, c.shut, nil
	if c.reply == "" {
		p.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\nX-Twice: a\r\nX-Twice: b\r\n\r\nok"
	}
	p.mu.Unlock()
	var h *h2conn
	if c.bare {
		h = dialRaw(p.t, p.h2)
	} else {
		h = dialH2(p.t, p.h2)
	}
	c.say(h)
	h.awaitAnswers()
	h.w.Flush()
	// One more request tells whether the connection and its compression live.
	if !h.leaving && h.sync() && !h.leaving {
		h.get(1001, "/sentinel")
		h.awaitAnswers()
	}
	if h.leaving && h.goaway != "NO_ERROR" {
		h.drain()
	}
	h.c.Close()
	if h.closed != "" {
		for _, s := range h.streams {
			s.end = strings.TrimPrefix(s.end, "NO_ERROR") // which 2.6 sends before its GOAWAY
		}
	}
	out.client = h.String()
	out.log = p.log.upTo(p.t, p.addr, marker)
	p.mu.Lock()
	defer p.mu.Unlock()
	out.server = strings.Join(p.got, "<NEXT>")
	return out
}

// TestH2Differential has the same conversations over HTTP/2 with forebay and the
// distribution's HAProxy, and wants the same to come back, the same to reach the
// server, and the same log.
func TestH2Differential(t *testing.T) {
	t.Parallel()
	haproxy := tool(t, "haproxy")
	ours, theirs := newH2Pair(t, forebay), newH2Pair(t, haproxy)
	cases, result := h2cases(), compare(t, h2decisions)
	seen := map[string]bool{}
	for i := range cases {
		c := &cases[i]
		if seen[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		seen[c.name] = true
		if result.skips(c.name) {
			continue
		}
		var our, their outcome
		var both sync.WaitGroup
		both.Go(func() { our = ours.run(c, i) })
		both.Go(func() { their = theirs.run(c, i) })
		both.Wait()
		if our.client == "" || their.client == "" {
			t.Fatalf("%s: forebay %q, haproxy %q", c.name, our.client, their.client)
		}
		result.same(c.name, c.decided, our, their)
	}
	result.end()
}

// h2decisions are the differences that are meant.
var h2decisions = map[string]string{
	"400":       "2.6 answers some malformed requests with a 400; forebay resets the stream of each (RFC 9113 8.1.1)",
	"host":      "characters that have no place in a host are refused: put into a URI they would become something else",
	"asterisk":  "\"*\" is a path with OPTIONS only, and is logged as what it is",
	"authority": "an empty authority is none",
	"protocol":  ":protocol has no place but in an extended CONNECT (RFC 8441 4)",
	"empty":     "2.6 ends the connection for an empty head, or one whose first frame is empty, or an empty name: the first two are odd but legal",
	"blanks":    "blanks around a value are no part of it",
	"length":    "a content-length that the body does not keep makes a request malformed (RFC 9113 8.1.1), also when the body is empty or has trailers",
	"lines":     "tune.http.maxhdr is how many fields a request has; 2.6 takes twice as many over HTTP/2",
	"calm":      "a head that is too large is the client's mistake; 2.6 says INTERNAL_ERROR",
	"underway":  "frames that follow a head that is refused were on their way when the client was told; 2.6 ends the connection for them",
	"padding":   "2.6 ends the connection after DATA with padding",
	"trailers":  "malformed trailers are the client's mistake; 2.6 says INTERNAL_ERROR and forwards the request up to there. Those that speak of framing are dropped as in HTTP/1",
	"closed":    "what is wrong with frames on a stream that has ended is said of the stream where RFC 9113 5.1 lets it; of a stream that is older than others PROTOCOL_ERROR is said (5.1.1)",
	"port":      "CONNECT needs a port (RFC 9110 9.3.6)",
	"tunnel":    "a 2xx to CONNECT has no content-length (RFC 9110 9.3.6), and a tunnel lasts until both sides have ended it",
	"websocket": "the key is random, and 2.6 writes its name in capitals",
	"other":     "2.6 says 500 to an extended CONNECT that ends at once; forebay passes it on",
	"order":     "2.6 adds transfer-encoding after connection",
	"204":       "a 204 has no content-length (RFC 9110 8.6)",
	"fields":    "te and host are fields of requests, and not passed on with responses",
	"truncated": "a response that breaks off ends with a reset; 2.6 ends it as if it were complete",
	"late":      "2.6 refuses a response whose body, arrived with the head, is bad; forebay has forwarded the head by then",
	"log":       "each error that ends a connection is logged as tune.h2.log-errors says; 2.6 leaves some out",
	"extension": "a frame of an unknown kind is ignored wherever it is (RFC 9113 5.5)",
	"preface":   "a connection that does not begin as HTTP/2 does is told so; 2.6 closes it without a word",
	"tr":        "3.4 logs how long the server took also when a rule refuses its response; 2.6 says -1",
	"early":     "the rest of a request whose answer is complete is refused with NO_ERROR (RFC 9113 8.1); 2.6 says CANCEL",
}

// without gives fields but for one.
func without(name string, fields []string) []string {
	var out []string
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != name {
			out = append(out, fields[i], fields[i+1])
		}
	}
	return out
}

func h2cases() []h2case {
	var all []h2case
	// say is a conversation.
	say := func(name string, f func(h *h2conn)) *h2case {
		all = append(all, h2case{name: name, say: f})
		return &all[len(all)-1]
	}
	// head is a request that consists of fields alone.
	head := func(name string, fields ...string) *h2case {
		return say("head: "+name, func(h *h2conn) { h.head(1, true, fields...) })
	}
	// with is a usual request with more fields.
	with := func(fields ...string) *h2case {
		return head(fmt.Sprintf("%.80q", fields), usual("GET", "/x", fields...)...)
	}
	// post is a request with a body.
	post := func(name, path string, fields []string, body func(h *h2conn)) *h2case {
		return say("post: "+name, func(h *h2conn) {
			h.head(1, false, usual("POST", path, fields...)...)
			body(h)
		})
	}
	// answer is a usual request with an answer of the server's.
	answer := func(method, reply string) *h2case {
		c := say(fmt.Sprintf("answer: %s %.100q", method, reply), func(h *h2conn) { h.head(1, true, usual(method, "/x")...) })
		c.reply, c.shut = reply, true
		return c
	}
	// frame is one frame after a request was begun.
	frame := func(name string, kind http2.FrameType, flags http2.Flags, id uint32, payload string) *h2case {
		return say("frame: "+name, func(h *h2conn) {
			h.head(1, false, usual("POST", "/x")...)
			h.WriteRawFrame(kind, flags, id, []byte(payload))
			h.WriteData(1, true, []byte("abc"))
		})
	}

	// Rules, on every path that has one.
	for _, path := range []string{
		"/", "/x?a=b", "/denied", "/400", "/413", "/slow", "/made", "/made204", "/old", "/move", "/move/on?x=1", "/secure", "/secure?x=1", "/host",
		"/setpath", "/dead", "/empty", "/close", "/alive", "/alive?x", "/alivex", "/tell", "/tell?a=b", "/tell/%61?", "//x", "/%61", "/turned",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			head(method+" "+path, usual(method, path)...).as(map[string]string{"/made204": "204"}[path])
		}
	}
	for _, path := range []string{"/denied", "/413", "/made", "/old", "/alive", "/dead", "/empty", "/close", "/tell"} {
		post("whole, "+path, path, []string{"content-length", "3"}, func(h *h2conn) { h.WriteData(1, true, []byte("abc")) })
		post("no length, "+path, path, nil, func(h *h2conn) { h.WriteData(1, true, []byte("abc")) }).as(map[string]string{"/close": "order"}[path])
	}
	post("never ends, /denied", "/denied", nil, func(h *h2conn) { h.WriteData(1, false, []byte("abc")) }).as("early")

	// The parts of a request's name.
	for _, m := range []string{"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO", "get", "GE(T", "G T", "", "\x00"} {
		head("method "+m, usual(m, "/x")...).as(map[string]string{"GE(T": "400", "G T": "400"}[m])
	}
	for _, p := range []string{"", "*", "x", "x/y", "/a b", "/a#b", "/\x01", "/\x7f", "/\xff", "http://b/x", "/a\\b", "/" + strings.Repeat("x", 3000), "/a?b?c", "?a"} {
		head(fmt.Sprintf("path %.20q", p), usual("GET", p)...).as(map[string]string{"*": "asterisk", "/\x7f": "400"}[p])
	}
	head("OPTIONS *", usual("OPTIONS", "*")...).as("asterisk")
	for _, s := range []string{"https", "HTTP", "ftp", "", "1a", "a b", "a+b-c.d", "http:"} {
		decision := map[string]string{"": "400", "1a": "400", "a b": "400", "http:": "400"}[s]
		head("scheme "+s, ":method", "GET", ":scheme", s, ":path", "/x", ":authority", "a").as(decision)
		head("scheme and what rules see "+s, ":method", "GET", ":scheme", s, ":path", "/tell", ":authority", "a").as(decision)
	}
	hosts := map[string]string{"user@a": "host", "a b": "host", "a/b": "host", "a?b": "host", "a#b": "host", "\x01": "host", "a,b": "host", "\xff": "host", "a\\b": "host"}
	authorities := maps.Clone(hosts)
	authorities[""], authorities["a b"], authorities["\x01"] = "authority", "400", "400"
	for _, a := range []string{"", "a:80", "a:443", "a:", "a:b", "user@a", "[::1]", "[::1]:80", "A.Example", "a b", "a/b", "a?b", "a#b", "a,b", "\x01", "\xff", "a\x00", "a\\b"} {
		head(fmt.Sprintf("authority %q", a), ":method", "GET", ":scheme", "http", ":path", "/x", ":authority", a).as(authorities[a])
		head(fmt.Sprintf("host %q", a), ":method", "GET", ":scheme", "http", ":path", "/x", "host", a).as(hosts[a])
	}
	head("no authority", without(":authority", usual("GET", "/x"))...)
	head("no authority, and what rules see", without(":authority", usual("GET", "/tell"))...)
	head("host only, and what rules see", append(without(":authority", usual("GET", "/tell")), "host", "b")...)
	with("host", "a")
	with("host", "b")
	with("host", "")
	with("host", "a", "host", "a")
	with("host", "a", "host", "b")
	head("two hosts and no authority", append(without(":authority", usual("GET", "/x")), "host", "a", "host", "b")...)
	head("host that differs, and what rules see", usual("GET", "/tell", "host", "b")...)
	for _, p := range []string{":method", ":scheme", ":path"} {
		head("no "+p, without(p, usual("GET", "/x"))...)
		head("repeated "+p, append(usual("GET", "/x"), p, "GET")...)
		head("late "+p, append(without(p, usual("GET", "/x")), "x", "y", p, "/x")...)
	}
	head("repeated authority", append(usual("GET", "/x"), ":authority", "a")...)
	head("late authority", append(without(":authority", usual("GET", "/x")), "x", "y", ":authority", "a")...)
	head("unknown pseudo-field", append([]string{":foo", "bar"}, usual("GET", "/x")...)...)
	head("status in a request", append([]string{":status", "200"}, usual("GET", "/x")...)...)
	head("protocol without CONNECT", append([]string{":protocol", "websocket"}, usual("GET", "/x")...)...).as("protocol")
	head("no fields at all").as("empty")

	// Fields.
	with("x", "y")
	with("X-Upper", "y")
	with("x-Upper", "y")
	with("", "y").as("empty")
	with("a b", "y")
	with("a:b", "y")
	with("a(b", "y")
	with("a\x00b", "y")
	with("a\xffb", "y")
	with(":", "y")
	with("x", "")
	with("x", " y ").as("blanks")
	with("x", "\ty\t").as("blanks")
	with("x", "a\x00b")
	with("x", "a\rb")
	with("x", "a\nb")
	with("x", "a\r\nb: c")
	with("x", "a\x01b")
	with("x", "a\x7fb")
	with("x", "\xff\xfe")
	with("x", "1", "x", "2", "y", "3", "x", "4")
	with("x-drop", "1", "x-keep", "2")
	with("x-forwarded-for", "1.2.3.4")
	with("connection", "close")
	with("connection", "x")
	with("connection", "")
	with("keep-alive", "1")
	with("proxy-connection", "keep-alive")
	with("transfer-encoding", "chunked")
	with("transfer-encoding", "identity")
	with("upgrade", "h2c")
	with("upgrade", "websocket")
	with("te", "trailers")
	with("te", "gzip")
	with("te", "trailers, gzip")
	with("te", "Trailers")
	with("te", "")
	with("te", "trailers", "te", "trailers")
	with("trailer", "x")
	with("expect", "100-continue")
	with("expect", "other")
	with("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")
	with("content-length", "0")
	with("content-length", "1").as("length")
	with("content-length", "x")
	with("content-length", "")
	with("content-length", "-1")
	with("content-length", "0", "content-length", "0")
	with("cookie", "a=b")
	with("cookie", "a=b; c=d", "cookie", "e=f")
	with("cookie", "a=b", "x", "y", "cookie", "c=d", "z", "1")
	with("cookie", "")
	with("cookie", "", "cookie", "a=b")
	head("cookies, and what rules see", usual("GET", "/tell", "cookie", "c=d", "x", "y", "cookie", "a=b")...)

	// Limits.
	var many, crumbs []string
	for i := range 90 {
		many = append(many, fmt.Sprintf("x%d", i), "y")
	}
	head("90 fields", usual("GET", "/x", many...)...)
	for i := range 20 {
		many = append(many, fmt.Sprintf("z%d", i), "y")
	}
	head("110 fields", usual("GET", "/x", many...)...).as("lines")
	for i := range 60 {
		crumbs = append(crumbs, "cookie", fmt.Sprintf("c%d=v", i))
	}
	head("60 cookies", usual("GET", "/x", crumbs...)...)
	for i := range 60 {
		crumbs = append(crumbs, "cookie", fmt.Sprintf("d%d=v", i))
	}
	head("120 cookies", usual("GET", "/x", crumbs...)...)
	with("x", strings.Repeat("v", 8000))
	with("large", strings.Repeat("w", 20000)).as("calm")

	// Bodies.
	chunk := func(end bool, text string) func(h *h2conn) {
		return func(h *h2conn) { h.WriteData(1, end, []byte(text)) }
	}
	length := func(n string) []string { return []string{"content-length", n} }
	post("length kept", "/x", length("3"), chunk(true, "abc"))
	post("no length", "/x", nil, chunk(true, "abc"))
	post("empty", "/x", nil, chunk(true, ""))
	post("empty with a length of 0", "/x", length("0"), chunk(true, ""))
	post("too long", "/x", length("2"), chunk(true, "abc"))
	post("too short", "/x", length("4"), chunk(true, "abc"))
	post("too short in two frames", "/x", length("4"), func(h *h2conn) { h.WriteData(1, false, []byte("ab")); h.WriteData(1, true, nil) })
	post("length of 0 with a body", "/x", length("0"), chunk(true, "abc"))
	post("two lengths, the same", "/x", []string{"content-length", "3", "content-length", "3"}, chunk(true, "abc"))
	post("two lengths that differ", "/x", []string{"content-length", "3", "content-length", "4"}, chunk(true, "abc")).as("underway")
	post("list of lengths", "/x", length("3, 3"), chunk(true, "abc"))
	post("list of lengths that differ", "/x", length("3, 4"), chunk(true, "abc")).as("underway")
	post("signed length", "/x", length("+3"), chunk(true, "abc")).as("underway")
	post("huge length", "/x", length("18446744073709551616"), chunk(true, "abc")).as("underway")
	post("three frames", "/x", nil, func(h *h2conn) {
		h.WriteData(1, false, []byte("a"))
		h.WriteData(1, false, nil)
		h.WriteData(1, true, []byte("b"))
	})
	post("padding", "/x", length("3"), func(h *h2conn) { h.WriteDataPadded(1, true, []byte("abc"), make([]byte, 100)) }).as("padding")
	post("padding only", "/x", nil, func(h *h2conn) { h.WriteDataPadded(1, true, nil, make([]byte, 100)) }).as("padding")
	post("large", "/x", nil, func(h *h2conn) {
		for range 3 {
			h.WriteData(1, false, make([]byte, 16000))
		}
		h.WriteData(1, true, nil)
	})
	post("expects, and sends", "/x", []string{"expect", "100-continue", "content-length", "3"}, chunk(true, "abc"))
	trailers := func(fields ...string) func(h *h2conn) {
		return func(h *h2conn) {
			h.WriteData(1, false, []byte("abc"))
			h.head(1, true, fields...)
		}
	}
	post("trailers", "/x", nil, trailers("sum", "1", "x", "2"))
	post("trailers with a length", "/x", length("3"), trailers("sum", "1"))
	post("trailers that leave it too short", "/x", length("4"), trailers("sum", "1")).as("length")
	post("trailers and no body", "/x", nil, func(h *h2conn) { h.head(1, true, "sum", "1") })
	post("no trailers in the end", "/x", nil, trailers()).as("empty")
	for _, name := range []string{":path", ":status", "connection", "transfer-encoding", "content-length", "host", "Upper", "a b", "te", "cookie", "trailer", "upgrade"} {
		post("trailer "+name, "/x", nil, trailers(name, "1")).as(map[bool]string{true: "trailers"}[name != "cookie" && name != "trailer"])
	}
	post("trailer with a bad value", "/x", nil, trailers("sum", "a\nb")).as("trailers")
	post("trailers that do not end", "/x", nil, func(h *h2conn) {
		h.WriteData(1, false, []byte("abc"))
		h.head(1, false, "sum", "1")
	}).as("trailers")
	post("data after trailers", "/x", nil, func(h *h2conn) { trailers("sum", "1")(h); h.WriteData(1, true, []byte("d")) }).as("trailers")
	post("cut by the client", "/x", length("10"), func(h *h2conn) {
		h.WriteData(1, false, []byte("abc"))
		h.WriteRSTStream(1, http2.ErrCodeCancel)
		h.opened = nil
	})

	// CONNECT.
	head("CONNECT", ":method", "CONNECT", ":authority", "a:80").as("tunnel")
	head("CONNECT without a port", ":method", "CONNECT", ":authority", "a").as("port")
	head("CONNECT without an authority", ":method", "CONNECT")
	head("CONNECT with a path", ":method", "CONNECT", ":authority", "a:80", ":path", "/x")
	head("CONNECT with a scheme", ":method", "CONNECT", ":authority", "a:80", ":scheme", "http")
	head("CONNECT with a host", ":method", "CONNECT", ":authority", "a:80", "host", "b").as("tunnel")
	head("CONNECT by a host", ":method", "CONNECT", "host", "b:80")
	tunnel := say("CONNECT accepted", func(h *h2conn) {
		h.head(1, false, ":method", "CONNECT", ":authority", "a:80")
		h.WriteData(1, true, nil)
	})
	tunnel.reply, tunnel.shut = "HTTP/1.1 200 OK\r\n\r\nraw bytes", true
	tunnel = say("CONNECT ended by the server", func(h *h2conn) { h.head(1, false, ":method", "CONNECT", ":authority", "a:80") })
	tunnel.as("tunnel")
	tunnel.reply, tunnel.shut = "HTTP/1.1 200 OK\r\n\r\nraw bytes", true
	tunnel = say("CONNECT refused", func(h *h2conn) {
		h.head(1, false, ":method", "CONNECT", ":authority", "a:80")
		h.WriteData(1, true, nil)
	})
	tunnel.reply = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
	head("extended CONNECT without its authority", ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/x")
	head("extended CONNECT without its path", ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a")
	head("extended CONNECT without its scheme", ":method", "CONNECT", ":protocol", "websocket", ":path", "/x", ":authority", "a")
	head("extended CONNECT for something else", ":method", "CONNECT", ":protocol", "foo", ":scheme", "http", ":path", "/x", ":authority", "a").as("other")
	ws := say("extended CONNECT", func(h *h2conn) {
		h.head(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/x", ":authority", "a", "sec-websocket-version", "13")
		h.WriteData(1, true, nil)
	})
	ws.as("websocket")
	ws.reply, ws.shut = "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", true

	// Answers.
	for _, m := range []string{"GET", "HEAD", "POST"} {
		answer(m, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"+map[bool]string{true: "abc"}[m != "HEAD"])
		answer(m, "HTTP/1.1 204 No\r\n\r\n")
		answer(m, "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n").as("204")
		answer(m, "HTTP/1.1 304 Not\r\nContent-Length: 7\r\n\r\n")
		answer(m, "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n")
	}
	for _, fields := range []string{
		"Connection: close\r\n", "Connection: x-a\r\nX-A: b\r\n", "Keep-Alive: timeout=5\r\n", "Proxy-Connection: close\r\n", "Upgrade: h2c\r\n", "TE: gzip\r\n",
		"Trailer: X\r\n", "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n", "X-Upper-Case: Yes\r\n", "Host: a\r\n", "Server: gone\r\n", "Cookie: a\r\nCookie: b\r\n", "Content-Length: 3\r\n", "X:\r\n",
	} {
		answer("GET", "HTTP/1.1 200 OK\r\n"+fields+"Content-Length: 3\r\n\r\nabc").as(map[string]string{"TE: gzip\r\n": "fields", "Host: a\r\n": "fields"}[fields])
	}
	for _, r := range []string{
		"HTTP/1.1 200 OK\r\n\r\nuntil the end", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nConnection: x\r\nContent-Length: 4\r\n\r\n",
		"HTTP/1.1 103 Hint\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 P\r\nX: y\r\nConnection: z\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
		"nonsense\r\n\r\n", "", " ", "HTTP/1.1 200 OK\r\nbad field\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",

		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 14000) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		answer("GET", r)
	}
	answer("GET", "HTTP/1.1 599 Deny\r\nContent-Length: 2\r\n\r\nno").as("tr")
	answer("GET", "HTTP/1.1 598 Deny\r\nContent-Length: 2\r\n\r\nno").as("tr")
	answer("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").as("truncated")
	answer("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab").as("truncated")
	answer("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").as("late")
	c := say("answer: none in time", func(h *h2conn) { h.get(1, "/hurry") })
	c.reply = " "

	// Frames.
	zero := string(make([]byte, 8))
	frame("PING", http2.FramePing, 0, 0, zero)
	frame("PING of 7", http2.FramePing, 0, 0, zero[:7])
	frame("PING on a stream", http2.FramePing, 0, 1, zero)
	frame("SETTINGS on a stream", http2.FrameSettings, 0, 1, "")
	frame("SETTINGS of 5", http2.FrameSettings, 0, 0, zero[:5])
	frame("acknowledgement of 6", http2.FrameSettings, http2.FlagSettingsAck, 0, zero[:6])
	frame("acknowledgements", http2.FrameSettings, http2.FlagSettingsAck, 0, "")
	frame("unknown setting", http2.FrameSettings, 0, 0, "\x77\x77\x00\x00\x00\x01")
	frame("ENABLE_PUSH of 2", http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02")
	frame("INITIAL_WINDOW_SIZE of 2^31", http2.FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00")
	frame("MAX_FRAME_SIZE of 16383", http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x3f\xff")
	frame("MAX_FRAME_SIZE of 2^24", http2.FrameSettings, 0, 0, "\x00\x05\x01\x00\x00\x00")
	frame("HEADER_TABLE_SIZE of 0", http2.FrameSettings, 0, 0, "\x00\x01\x00\x00\x00\x00")
	frame("PUSH_PROMISE", http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02")
	frame("GOAWAY on a stream", http2.FrameGoAway, 0, 1, zero)
	frame("GOAWAY of 7", http2.FrameGoAway, 0, 0, zero[:7])
	frame("PRIORITY", http2.FramePriority, 0, 1, "\x00\x00\x00\x00\x10")
	frame("PRIORITY of 4", http2.FramePriority, 0, 1, zero[:4])
	frame("PRIORITY on stream 0", http2.FramePriority, 0, 0, zero[:5])
	frame("PRIORITY of an idle stream", http2.FramePriority, 0, 5, zero[:5])
	frame("PRIORITY on itself", http2.FramePriority, 0, 1, "\x00\x00\x00\x01\x10").as("log")
	frame("RST_STREAM of 3", http2.FrameRSTStream, 0, 1, zero[:3])
	frame("RST_STREAM on stream 0", http2.FrameRSTStream, 0, 0, zero[:4])
	frame("RST_STREAM of an idle stream", http2.FrameRSTStream, 0, 3, zero[:4]).as("log")
	frame("WINDOW_UPDATE of 3", http2.FrameWindowUpdate, 0, 0, zero[:3])
	frame("WINDOW_UPDATE by 0", http2.FrameWindowUpdate, 0, 0, zero[:4]).as("log")
	frame("WINDOW_UPDATE by 0 of a stream", http2.FrameWindowUpdate, 0, 1, zero[:4])
	frame("WINDOW_UPDATE of an idle stream", http2.FrameWindowUpdate, 0, 3, "\x00\x00\x00\x01").as("log")
	frame("WINDOW_UPDATE too large", http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff").as("log")
	frame("WINDOW_UPDATE of a stream too large", http2.FrameWindowUpdate, 0, 1, "\x7f\xff\xff\xff")
	frame("DATA on stream 0", http2.FrameData, 0, 0, "abc")
	frame("DATA of an idle stream", http2.FrameData, 0, 3, "abc").as("log")
	frame("DATA on an even stream", http2.FrameData, 0, 2, "abc").as("log")
	frame("DATA with too much padding", http2.FrameData, http2.FlagDataPadded, 1, "\x05abcd")
	frame("DATA with padding and no length of it", http2.FrameData, http2.FlagDataPadded, 1, "")
	frame("HEADERS on stream 0", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x82")
	frame("HEADERS on an even stream", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, "\x82")
	frame("HEADERS with too much padding", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPadded, 3, "\x05\x82")
	frame("HEADERS that depend on themselves", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPriority, 3, "\x00\x00\x00\x03\x01\x82")
	frame("HEADERS that end within the priority", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPriority, 3, "\x00\x00")
	frame("HEADERS with an index that is not there", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\xff\x20")
	frame("HEADERS with an index of 0", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\x80")
	frame("HEADERS with a string that is cut", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\x00\x05ab")
	frame("HEADERS with bad Huffman", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\x00\x81\xff\x00")
	frame("HEADERS with a table too large", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\x3f\xe2\x1f\x82\x86\x84")
	frame("HEADERS with a late change of the table", http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 3, "\x82\x20\x86\x84")
	frame("CONTINUATION of nothing", http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, "\x82")
	frame("CONTINUATION on stream 0", http2.FrameContinuation, http2.FlagContinuationEndHeaders, 0, "\x82")
	frame("unknown kind", 0x77, 0xff, 1, "what?")
	frame("unknown kind on an idle stream", 0x77, 0xff, 7, "what?").as("extension")
	frame("frame too large", http2.FrameData, 0, 1, string(make([]byte, 16385))).as("log")
	frame("frame with the reserved bit", http2.FrameData, 0, 1<<31|1, "abc")

	say("PING within a head", func(h *h2conn) {
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(usual("GET", "/x")...), EndStream: true})
		h.WritePing(false, [8]byte{})
		h.expect(1)
	})
	say("CONTINUATION of another stream", func(h *h2conn) {
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(usual("GET", "/x")...), EndStream: true})
		h.WriteContinuation(3, true, nil)
		h.expect(1)
	})
	say("head in three frames", func(h *h2conn) {
		b := h.encode(usual("GET", "/x", "a", "b")...)
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:3], EndStream: true})
		h.WriteContinuation(1, false, b[3:5])
		h.WriteContinuation(1, true, b[5:])
		h.expect(1)
	})
	say("head in frames of which one is empty", func(h *h2conn) {
		b := h.encode(usual("GET", "/x", "a", "b")...)
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true})
		h.WriteContinuation(1, true, b)
		h.expect(1)
	}).as("empty")
	say("head with padding and priority", func(h *h2conn) {
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(usual("GET", "/x")...), EndStream: true, EndHeaders: true, PadLength: 9,
			Priority: http2.PriorityParam{StreamDep: 5, Weight: 3, Exclusive: true}})
		h.expect(1)
	})
	say("three requests at once", func(h *h2conn) { h.get(1, "/tell?1"); h.get(3, "/tell?2"); h.get(5, "/tell?3") })
	say("stream numbers that go back", func(h *h2conn) { h.get(5, "/made"); h.awaitAnswers(); h.get(3, "/made") }).as("closed")
	say("stream numbers with gaps", func(h *h2conn) { h.get(5, "/made"); h.awaitAnswers(); h.get(99, "/made") })
	c = say("HEADERS after the end", func(h *h2conn) { h.get(1, "/hurry"); h.get(1, "/hurry") })
	c.reply, c.decided = " ", "closed"
	say("DATA after the end", func(h *h2conn) { h.get(1, "/hurry"); h.WriteData(1, true, []byte("abc")) }).reply = " "
	say("HEADERS on a closed stream", func(h *h2conn) { h.get(1, "/made"); h.awaitAnswers(); h.get(1, "/made"); h.sync() }).as("log")
	say("DATA on a closed stream", func(h *h2conn) { h.get(1, "/made"); h.awaitAnswers(); h.WriteData(1, true, []byte("abc")); h.sync() })
	say("RST_STREAM of a closed stream", func(h *h2conn) { h.get(1, "/made"); h.awaitAnswers(); h.WriteRSTStream(1, http2.ErrCodeCancel) })
	say("WINDOW_UPDATE of a closed stream", func(h *h2conn) { h.get(1, "/made"); h.awaitAnswers(); h.WriteWindowUpdate(1, 10) })
	say("DATA after a reset", func(h *h2conn) {
		h.head(1, false, usual("POST", "/x")...)
		h.WriteRSTStream(1, http2.ErrCodeCancel)
		h.WriteData(1, true, []byte("abc"))
		h.opened = nil
		h.sync()
	})
	say("HEADERS after a reset", func(h *h2conn) {
		h.head(1, false, usual("POST", "/x")...)
		h.WriteRSTStream(1, http2.ErrCodeCancel)
		h.head(1, true, "x", "y")
		h.opened = nil
		h.sync()
	}).as("closed")
	say("DATA after a malformed head", func(h *h2conn) {
		h.head(1, false, usual("POST", "/x", "connection", "x")...)
		h.WriteData(1, true, []byte("abc"))
	}).as("underway")
	say("GOAWAY of the client, and a request", func(h *h2conn) { h.WriteGoAway(0, http2.ErrCodeNo, nil); h.get(1, "/x") })
	say("windows of 0, opened later", func(h *h2conn) {
		h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		h.get(1, "/made")
		h.sync()
		h.WriteWindowUpdate(1, 4)
		h.sync()
		h.WriteWindowUpdate(1, 400)
	})

	// How a connection begins.
	start := func(name, text string) *h2case {
		c := say("start: "+name, func(h *h2conn) { h.w.WriteString(text) })
		c.bare = true
		return c
	}
	start("HTTP/1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n").as("preface")
	start("bad preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx"+strings.Repeat("x", 40)).as("preface")
	start("PING first", http2.ClientPreface+"\x00\x00\x08\x06\x00\x00\x00\x00\x00"+zero).as("preface")
	start("acknowledgement first", http2.ClientPreface+"\x00\x00\x00\x04\x01\x00\x00\x00\x00").as("preface")
	start("WINDOW_UPDATE first", http2.ClientPreface+"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01").as("preface")
	start("settings of wrong size", http2.ClientPreface+"\x00\x00\x05\x04\x00\x00\x00\x00\x00"+zero[:5])
	return all
}
