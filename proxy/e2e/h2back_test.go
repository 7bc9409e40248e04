package e2e

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"golang.org/x/net/http2"
)

// h2backConfig is given to both programs.
const h2backConfig = `global
    stats socket @DIR@/s level admin
    log @LOG@ local0
    nbthread 1

defaults
    mode http
    log global
    option httplog
    retries 1
    http-reuse never
    timeout connect 2s
    timeout client 2s
    timeout server 2s

frontend web
    bind @WEB@
    use_backend hurry if { path /hurry }
    default_backend app

backend app
    server s1 @ORIGIN@ proto h2

backend hurry
    timeout server 50ms
    server s1 @ORIGIN@ proto h2
`

// h2back is one side of the comparison: the server says whatever it is told to.
type h2back struct {
	*pair
	mu     sync.Mutex
	answer func(h *h2conn, id uint32)
	bare   bool // no settings are sent
	got    []string
}

func newH2Back(t *testing.T, path string) *h2back {
	t.Helper()
	b := &h2back{}
	origin := tcptest.Serve(t, func(c net.Conn) { b.converse(t, c) })
	b.pair = newPairOf(t, path, strings.ReplaceAll(h2backConfig, "@ORIGIN@", origin))
	return b
}

// converse is the server's end of a connection.
func (b *h2back) converse(t *testing.T, c net.Conn) {
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	b.mu.Lock()
	bare := b.bare
	b.mu.Unlock()
	h := newH2conn(t, c)
	if !bare {
		h.WriteSettings()
	}
	answered := uint32(0)
	for h.next() {
		for id, s := range h.streams {
			// A request with a body is answered when it has ended.
			if id <= answered || s.end != "END" || len(s.heads) == 0 {
				continue
			}
			answered = id
			if strings.Contains(s.heads[0], ":path: /marker") {
				h.respond(id, true, "200")
				continue
			}
			b.mu.Lock()
			b.got = append(b.got, fmt.Sprintf("{%s} %.200q", strings.Join(s.heads, "} {"), s.body))
			answer := b.answer
			b.mu.Unlock()
			answer(h, id)
		}
		if h.w.Flush() != nil {
			return
		}
	}
}

// respond sends a response's head.
func (h *h2conn) respond(id uint32, end bool, status string, fields ...string) {
	h.head(id, end, append([]string{":status", status}, fields...)...)
}

// h2answer is what the server says to a request.
type h2answer struct {
	name    string
	request string // "" for a usual GET
	say     func(h *h2conn, id uint32)
	bare    bool
	decided string
}

// as names the decision because of which forebay differs.
func (a *h2answer) as(decision string) *h2answer {
	a.decided = decision
	return a
}

// run plays a case and gives what can be seen of it.
func (b *h2back) run(a *h2answer, marker int) (out outcome) {
	b.mu.Lock()
	b.answer, b.bare, b.got = a.say, a.bare, nil
	b.mu.Unlock()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(6 * time.Second))
	request := a.request
	if request == "" {
		request = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	}
	io.WriteString(c, request)
	text, err := io.ReadAll(c)
	out.client = string(text)
	if e, is := err.(net.Error); is && e.Timeout() {
		out.client += "<HANGS>"
	}
	b.mu.Lock()
	b.bare = false
	out.server = strings.Join(b.got, "\n")
	b.mu.Unlock()
	out.log = b.log.upTo(b.t, b.addr, marker)
	return out
}

// TestH2ServerDifferential has servers of HTTP/2 say the same to forebay and to
// the distribution's HAProxy, and wants clients to get the same, and the same
// log.
func TestH2ServerDifferential(t *testing.T) {
	t.Parallel()
	haproxy := tool(t, "haproxy")
	ours, theirs := newH2Back(t, forebay), newH2Back(t, haproxy)
	answers, result := h2answers(), compare(t, h2backDecisions)
	for i := range answers {
		a := &answers[i]
		if result.skips(a.name) {
			continue
		}
		var our, their outcome
		var both sync.WaitGroup
		both.Go(func() { our = ours.run(a, i) })
		both.Go(func() { their = theirs.run(a, i) })
		both.Wait()
		if our.client == "" || their.client == "" {
			t.Fatalf("%s: forebay %q, haproxy %q", a.name, our.client, their.client)
		}
		for _, o := range []*outcome{&our, &their} {
			o.client = h2backFixes.Replace(h2backReason.ReplaceAllString(o.client, "$1\r\n"))
			o.server = h2backTarget.ReplaceAllString(o.server, ":path: $2; host: $1$3")
		}
		result.same(a.name, a.decided, our, their)
	}
	result.end()
}

// What 2.6 gets wrong in each exchange, and is not meant here: the scheme is https
// and the authority a host field unless the target is absolute, responses have no
// reason, an empty body is chunked, and chunked is said after close.
var (
	h2backTarget = regexp.MustCompile(`:scheme: https?(?:; :authority: ([^;}]*))?; :path: ([^;}]*)(?:; (?::authority|host): ([^;}]*))?`)
	h2backFixes  = strings.NewReplacer(
		"connection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "content-length: 0\r\nconnection: close\r\n\r\n",
		"transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n", "content-length: 0\r\nconnection: close\r\n\r\n",
		"connection: close\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\nconnection: close\r\n",
		"Content-length: 90\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n", "content-length: 90\r\ncache-control: no-cache\r\ncontent-type: text/html\r\nconnection: close\r\n",
	)
	h2backReason = regexp.MustCompile(`(HTTP/1\.1 \d\d\d) [A-Za-z -]*\r\n`)
)

// h2backDecisions are the differences that are meant.
var h2backDecisions = map[string]string{
	"chunked10": "clients of HTTP/1.0 get no chunks",
	"status":    "a status has three digits and is 100 or more",
	"interim":   "an interim response that ends the stream is malformed (RFC 9113 8.1); 2.6 forwards it before it says so",
	"empty":     "an empty head, and an empty name, are mistakes of the message; 2.6 ends the connection",
	"blanks":    "blanks around a value are no part of it",
	"te":        "2.6 drops te from responses; what clients of HTTP/1 make of it is theirs",
	"length":    "a content-length that an empty body does not keep makes a response malformed (RFC 9113 8.1.1)",
	"lines":     "tune.http.maxhdr is how many fields a response has; 2.6 takes twice as many over HTTP/2",
	"204":       "a 204 that has a body is logged as an error of the server",
	"head":      "an answer to HEAD is complete when its head is, whenever END_STREAM comes; 2.6 logs that it broke off",
	"push":      "a server may not switch push on (RFC 9113 6.5.2)",
	"window":    "a wrong window for a request that has been sent is of no account, and a glitch",
	"settings":  "2.6 has the connection fail to be established if the server does not speak HTTP/2; forebay has sent the request with the preface",
}

// Not among them: DATA before the response's head, at which 2.6 dies.
func h2answers() []h2answer {
	var all []h2answer
	say := func(name string, f func(h *h2conn, id uint32)) *h2answer {
		all = append(all, h2answer{name: name, say: f})
		return &all[len(all)-1]
	}
	// head is an answer of fields alone.
	head := func(name string, fields ...string) *h2answer {
		return say("head: "+name, func(h *h2conn, id uint32) { h.head(id, true, fields...) })
	}
	with := func(fields ...string) *h2answer {
		return head(fmt.Sprintf("%.80q", fields), append([]string{":status", "200"}, fields...)...)
	}
	body := func(name string, fields []string, f func(h *h2conn, id uint32)) *h2answer {
		return say("body: "+name, func(h *h2conn, id uint32) { h.respond(id, false, "200", fields...); f(h, id) })
	}
	data := func(end bool, text string) func(h *h2conn, id uint32) {
		return func(h *h2conn, id uint32) { h.WriteData(id, end, []byte(text)) }
	}

	// Requests.
	usual := data(true, "ok")
	for _, r := range []string{
		"GET /x?a=b HTTP/1.1\r\nHost: a:80\r\nX-Upper: Y\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nCookie: a=b; c=d\r\nCookie: e\r\n\r\n",
		"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n",
		"GET http://b/x?y HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", "GET https://b/x HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
		"GET http://b?y HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n", "FOO /x HTTP/1.1\r\nHost: a\r\nTE: gzip\r\nUpgrade: foo\r\nConnection: close\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\nHost: b\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "DELETE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	} {
		a := say(fmt.Sprintf("request: %.200q", r), func(h *h2conn, id uint32) { h.respond(id, false, "200"); usual(h, id) })
		a.request = r
		if strings.Contains(r, "HTTP/1.0") {
			a.as("chunked10")
		}
		say(fmt.Sprintf("request and length: %.200q", r), func(h *h2conn, id uint32) {
			h.respond(id, strings.HasPrefix(r, "HEAD"), "200", "content-length", "2")
			if !strings.HasPrefix(r, "HEAD") {
				usual(h, id)
			}
		}).request = r
	}

	// Heads.
	for _, s := range []string{"200", "204", "304", "404", "500", "599", "999"} {
		head("status "+s, ":status", s)
	}
	for _, s := range []string{"", "20", "2000", "abc", "099", "100", "101", "103", "+20", "200 OK"} {
		head("status "+s, ":status", s).as(map[string]string{"099": "status", "100": "interim", "103": "interim"}[s])
	}
	head("no status", "x", "y")
	head("no fields").as("empty")
	head("two statuses", ":status", "200", ":status", "200")
	head("late status", "x", "y", ":status", "200")
	head("path", ":status", "200", ":path", "/x")
	head("unknown pseudo-field", ":status", "200", ":foo", "x")
	with("X-Upper", "y")
	with("a b", "y")
	with("", "y").as("empty")
	with("x", "a\nb")
	with("x", "a\x00b")
	with("x", "a\rb")
	with("x", "\xff")
	with("x", " y ").as("blanks")
	with("connection", "close")
	with("transfer-encoding", "chunked")
	with("keep-alive", "5")
	with("upgrade", "foo")
	with("proxy-connection", "close")
	with("te", "gzip").as("te")
	with("host", "a")
	with("content-length", "0")
	with("content-length", "2").as("length")
	with("content-length", "x")
	with("content-length", "2", "content-length", "3")
	with("set-cookie", "a=b", "set-cookie", "c=d")
	with("cookie", "a", "cookie", "b")
	with("trailer", "x")
	with("x", strings.Repeat("v", 14000))
	with("large", strings.Repeat("w", 20000))
	var many []string
	for i := range 110 {
		many = append(many, fmt.Sprintf("x%d", i), "y")
	}
	with(many...).as("lines")
	say("answer to HEAD with a body", func(h *h2conn, id uint32) { h.respond(id, false, "200", "content-length", "2"); usual(h, id) }).request =
		"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	say("204 with a body", func(h *h2conn, id uint32) { h.respond(id, false, "204"); usual(h, id) }).as("204")
	say("304 with a length", func(h *h2conn, id uint32) { h.respond(id, true, "304", "content-length", "7") })

	late := func(h *h2conn, id uint32) { h.sync(); h.WriteData(id, true, nil); h.sync() }
	say("answer to HEAD that ends later", func(h *h2conn, id uint32) { h.respond(id, false, "200", "content-length", "2"); late(h, id) }).as("head").request =
		"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	say("204 that ends later", func(h *h2conn, id uint32) { h.respond(id, false, "204"); late(h, id) })
	say("304 that ends later", func(h *h2conn, id uint32) { h.respond(id, false, "304", "content-length", "7"); late(h, id) })
	say("empty answer that ends later", func(h *h2conn, id uint32) { h.respond(id, false, "200", "content-length", "0"); late(h, id) })

	// Interim responses.
	for _, s := range []string{"100", "102", "103", "101", "199"} {
		say("interim "+s, func(h *h2conn, id uint32) {
			h.respond(id, false, s, "link", "a")
			h.respond(id, false, "200")
			usual(h, id)
		})
	}
	say("interim and nothing else", func(h *h2conn, id uint32) { h.respond(id, false, "103"); h.WriteData(id, true, nil) }).as("interim")

	// Bodies.
	body("no length", nil, usual)
	body("length", []string{"content-length", "2"}, usual)
	body("empty", nil, data(true, ""))
	body("too short", []string{"content-length", "3"}, usual)
	body("too long", []string{"content-length", "1"}, usual)
	body("length of 0 and data", []string{"content-length", "0"}, usual)
	body("two frames and an empty one", nil, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("a"))
		h.WriteData(id, false, nil)
		h.WriteData(id, true, []byte("b"))
	})
	body("trailers", nil, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("ok"))
		h.head(id, true, "sum", "1", "x", "y")
	})
	body("trailers and a length", []string{"content-length", "2"}, func(h *h2conn, id uint32) { h.WriteData(id, false, []byte("ok")); h.head(id, true, "sum", "1") })
	body("trailers alone", nil, func(h *h2conn, id uint32) { h.head(id, true, "sum", "1") })
	body("trailers with a status", nil, func(h *h2conn, id uint32) { h.WriteData(id, false, []byte("ok")); h.head(id, true, ":status", "200") })
	body("trailers that do not end", nil, func(h *h2conn, id uint32) { h.WriteData(id, false, []byte("ok")); h.head(id, false, "sum", "1") })
	body("reset within", nil, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("ok"))
		h.WriteRSTStream(id, http2.ErrCodeInternal)
	})
	body("reset within a length", []string{"content-length", "5"}, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("ok"))
		h.WriteRSTStream(id, http2.ErrCodeCancel)
	})
	body("closed within", []string{"content-length", "5"}, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("ok"))
		h.sync()
		h.c.Close()
	})
	body("closed within no length", nil, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("ok"))
		h.sync()
		h.c.Close()
	})
	body("reset after the end", nil, func(h *h2conn, id uint32) { usual(h, id); h.WriteRSTStream(id, http2.ErrCodeNo) })
	body("GOAWAY within", nil, func(h *h2conn, id uint32) {
		h.WriteData(id, false, []byte("o"))
		h.WriteGoAway(id, http2.ErrCodeNo, nil)
		h.WriteData(id, true, []byte("k"))
	})

	// No answer.
	for _, code := range []http2.ErrCode{http2.ErrCodeNo, http2.ErrCodeCancel, http2.ErrCodeInternal, http2.ErrCodeProtocol, http2.ErrCodeHTTP11Required} {
		say(fmt.Sprintf("reset: %v", code), func(h *h2conn, id uint32) { h.WriteRSTStream(id, code) })
	}
	say("closed", func(h *h2conn, id uint32) { h.c.Close() })
	say("GOAWAY of an error", func(h *h2conn, id uint32) { h.WriteGoAway(id, http2.ErrCodeInternal, nil); h.w.Flush(); h.c.Close() })
	say("nothing", func(h *h2conn, id uint32) {}).request = "GET /hurry HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

	// Frames.
	frame := func(name string, kind http2.FrameType, flags http2.Flags, id uint32, payload string) *h2answer {
		return say("frame: "+name, func(h *h2conn, stream uint32) {
			h.WriteRawFrame(kind, flags, id, []byte(payload))
			h.respond(stream, false, "200")
			usual(h, stream)
		})
	}
	zero := string(make([]byte, 8))
	frame("PING", http2.FramePing, 0, 0, zero)
	frame("PING of 7", http2.FramePing, 0, 0, zero[:7])
	frame("SETTINGS of 5", http2.FrameSettings, 0, 0, zero[:5])
	frame("unknown setting", http2.FrameSettings, 0, 0, "\x77\x77\x00\x00\x00\x01")
	frame("ENABLE_PUSH of 1", http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x01").as("push")
	frame("MAX_FRAME_SIZE of 16383", http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x3f\xff")
	frame("PUSH_PROMISE", http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02\x82\x86\x84\x01\x01a")
	frame("HEADERS on an even stream", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, "\x88")
	frame("HEADERS on stream 0", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x88")
	frame("HEADERS on an idle stream", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 9, "\x88")
	frame("DATA on an idle stream", http2.FrameData, 0, 9, "abc")
	frame("RST_STREAM of an idle stream", http2.FrameRSTStream, 0, 9, zero[:4])
	frame("WINDOW_UPDATE by 0", http2.FrameWindowUpdate, 0, 0, zero[:4])
	frame("WINDOW_UPDATE by 0 of a stream", http2.FrameWindowUpdate, 0, 1, zero[:4]).as("window")
	frame("WINDOW_UPDATE too large", http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff")
	frame("WINDOW_UPDATE of a stream too large", http2.FrameWindowUpdate, 0, 1, "\x7f\xff\xff\xff").as("window")
	frame("PRIORITY", http2.FramePriority, 0, 1, "\x00\x00\x00\x00\x10")
	frame("unknown kind", 0x77, 0xff, 1, "what?")
	frame("frame too large", http2.FrameData, 0, 1, string(make([]byte, 16385)))
	frame("CONTINUATION of nothing", http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, "\x88")
	frame("HEADERS with an index that is not there", http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\xff\x20")
	say("head in three frames", func(h *h2conn, id uint32) {
		b := h.encode(":status", "200", "a", "b")
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:1]})
		h.WriteContinuation(id, false, b[1:3])
		h.WriteContinuation(id, true, b[3:])
		usual(h, id)
	})
	say("PING within a head", func(h *h2conn, id uint32) {
		h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.encode(":status", "200")})
		h.WritePing(false, [8]byte{})
	})
	c := say("HTTP/1", func(h *h2conn, id uint32) {
		h.w.WriteString("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
		h.w.Flush()
		h.c.Close()
	})
	c.bare, c.decided = true, "settings"
	say("no settings", func(h *h2conn, id uint32) { h.respond(id, false, "200"); usual(h, id) }).as("settings").bare = true
	return all
}
