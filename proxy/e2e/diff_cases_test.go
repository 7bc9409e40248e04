package e2e

import "strings"

// diffCase is a request, and what the server answers it.
type diffCase struct {
	send  string
	reply string // "" for a usual 200
	// shut makes the server close after its reply, and cut the client after its
	// request; without cut another request follows, which tells whether the
	// connection is kept.
	shut, cut bool
	// decided names the decision because of which forebay is meant to differ.
	decided string
}

// decisions are the differences that are meant.
var decisions = map[string]string{
	"nul":       "3.4 refuses NUL in values (manual: accept-unsafe-violations-in-http-request) and in the extensions of chunks; 2.6 does not",
	"host":      "blanks, slashes and, as by 3.4, commas and backslashes in a host are refused: put into a URI it would become something else",
	"coding":    "the coding is always written as chunked; 2.6 forwards the spelling it read",
	"lf":        "3.4 refuses LF without CR in the syntax of chunks; some agents read on over one, which would hide a chunk",
	"target":    "3.4 takes * as the target of OPTIONS and of methods that it does not know",
	"upgrade":   "3.4 drops an upgrade that the connection field does not name, and one to HTTP/2",
	"zeros":     "3.4 forwards a length without zeros before it",
	"comma":     "3.4 refuses a transfer-encoding that ends with a comma",
	"drain":     "forebay closes after an answer of its own to a chunked request whose body it has not forwarded; 2.6 drains what has arrived",
	"redirect":  "2.6 closes after a redirect of a request with a body; forebay has read the body and keeps the connection",
	"tunnel":    "a 2xx to CONNECT has no content-length (RFC 9110 9.3.6); and both sides of a tunnel time out at once, which makes it c or s",
	"version":   "the log shows the version as it was understood: a higher minor version, or 2.0 in HTTP/1 framing, is handled as 1.1",
	"fields422": "2.6 sends its 422 in another spelling, and without saying that it closes",
	"body":      "2.6 reads what has arrived of the body with the head, and refuses both; forebay has handled the head by then. If the body comes later, 2.6 does the same",
	"late":      "as for requests: 2.6 refuses a response whose body, arrived with the head, is bad; forebay has forwarded the head by then",
	"chunked10": "chunks are taken out for clients of HTTP/1.0; 2.6 sends them, and the client cannot read them",
	"large":     "3.4 answers 431 to a head that is too large; 2.6 says 400",
	"tr":        "3.4 logs how long the server took also when a rule refuses its response; 2.6 says -1",
	"number":    "a length of 2^63 or more is refused; 2.6 wraps around and forwards the text",
}

func diffCases() []diffCase {
	var all []diffCase
	ask := func(requests ...string) {
		for _, r := range requests {
			all = append(all, diffCase{send: r})
		}
	}
	decided := func(decision string, requests ...string) {
		for _, r := range requests {
			all = append(all, diffCase{send: r, decided: decision})
		}
	}
	line := func(l string) string { return l + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	with := func(fields string) string { return "GET /x HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" }
	post := func(path, fields, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
	}

	// Rules, on every path that has one.
	for _, path := range []string{
		"/", "/x?a=b", "/denied", "/slow", "/made", "/tea", "/nothere", "/old", "/move", "/move/on?x=1", "/secure", "/secure?x=1", "/lf/a", "/cookie",
		"/cookie/x?y", "/api/1", "/api/", "/api", "/host", "/beg", "/dead", "/empty", "/close", "/srvclose", "/backdeny", "/alive", "/alive?x", "/alivex",
		"/post", "//api/", "/%61pi/", "/API/", "http://b/api/x", "http://a/",
	} {
		ask(line("GET "+path), line("HEAD "+path))
	}
	for _, path := range []string{"/denied", "/made", "/old", "/alive", "/post", "/dead", "/api/"} {
		body, drain := "", ""
		switch path {
		case "/old":
			body = "redirect"
		case "/denied", "/made", "/alive", "/dead":
			drain = "drain"
		}
		decided(body, post(path, "Content-Length: 3\r\n", "abc"))
		decided(drain, post(path, "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"))
		ask("GET "+path+" HTTP/1.0\r\n\r\n",
			"GET "+path+" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	ask(with("X-Vip: YES\r\n"), with("X-Vip: no\r\nX-Vip: yes\r\n"), with("X-Drop: 1\r\nx-drop: 2\r\nX-Keep: 3\r\n"), with("X-Forwarded-For: 1.2.3.4\r\n"),
		"GET /beg HTTP/1.1\r\nHost: a\r\nX-Re1: a\r\nX-Re2: b\r\nX-R: c\r\n\r\n", "GET /backdeny HTTP/1.1\r\nHost: a\r\nX-Key: secret\r\n\r\n",
		"GET /secure HTTP/1.1\r\nHost: a:8080\r\n\r\n", "GET /secure HTTP/1.0\r\n\r\n", with("Cookie: a=b\r\nCookie: c=d\r\n"))

	// Methods, targets, versions.
	for _, l := range []string{"PUT /", "DELETE /", "OPTIONS *", "PATCH /", "TRACE /", "FOO /", "get /", "GE(T /", "GET foo", "GET /a b", "GET /a#b", "GET /\x01", "GET /\xff",
		"GET  /", " GET /", "\r\nGET /", "GET /" + strings.Repeat("x", 3000)} {
		ask(line(l))
	}
	decided("tunnel", line("CONNECT a:443"))
	decided("target", line("GET *"), line("HEAD *"))
	decided("version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n")
	for _, v := range []string{"HTTP/1", "http/1.1", "HTTP/1.1x", "FOO/1.1", ""} {
		ask("GET / " + v + "\r\nHost: a\r\n\r\n")
	}
	ask("GET /\r\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\nHost: a\n\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "garbage\r\n\r\n", "GET / HTTP/1.1\r\n\r\n")

	// Fields.
	for _, f := range []string{"Foo : 1\r\n", "Foo\r\n", ": 1\r\n", "F oo: 1\r\n", "Foo: a\x01b\r\n", "Foo: a\r\n b\r\n", "Foo:\r\n", "Foo:  a  b  \r\n", "Foo: \xff\r\n", "Foo: 1\r\nfOO: 2\r\n",
		"F\x00: 1\r\n", "Foo: a\rb\r\n", "Host: b\r\n", "Host: a\r\n", "Expect: 100-continue\r\n", "TE: trailers\r\nConnection: TE\r\n", "Keep-Alive: 5\r\n",
		"Connection: keep-alive, X-Foo\r\nX-Foo: 1\r\n", "Connection: close\r\n", "Proxy-Connection: close\r\n", "Connection: upgrade\r\nUpgrade: foo\r\n",
		strings.Repeat("X: y\r\n", 99), strings.Repeat("X: y\r\n", 101), "Foo: " + strings.Repeat("x", 12000) + "\r\n"} {
		ask(with(f))
	}
	all = append(all, diffCase{send: with("Foo: a\x00b\r\n"), decided: "nul"}, diffCase{send: with("Foo: " + strings.Repeat("x", 17000) + "\r\n"), decided: "large"})
	decided("upgrade", with("Upgrade: foo\r\n"), with("Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"))
	decided("host", with(" Foo: 1\r\n")) // which continues the host
	for _, h := range []string{"a b", "a/b", "u@a", "a,b", "a\\b"} {
		all = append(all, diffCase{send: "GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n", decided: "host"})
	}

	// Framing, and ways to smuggle.
	for _, f := range []struct{ fields, body string }{
		{"Content-Length: 3\r\n", "abc"}, {"Content-Length: 0\r\n", ""}, {"", ""}, {"Content-Length: 3\r\nContent-Length: 3\r\n", "abc"}, {"Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"},
		{"Content-Length: 3, 3\r\n", "abc"}, {"Content-Length: 3, 4\r\n", "abc"}, {"Content-Length: +3\r\n", "abc"}, {"Content-Length: -3\r\n", "abc"}, {"Content-Length: 0x3\r\n", "abc"},
		{"Content-Length: 3 \r\n", "abc"}, {"Content-Length: 3a\r\n", "abc"}, {"Content-Length: \r\n", ""}, {"Content-Length : 3\r\n", "abc"},
		{"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"}, {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "1\r\na\r\n0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"}, {"Transfer-Encoding: gzip\r\n", ""}, {"Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"}, {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"}, {"Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n"}, {"Transfer-Encoding: identity\r\n", ""}, {"Transfer-Encoding : chunked\r\n", "0\r\n\r\n"},
	} {
		ask(post("/p", f.fields, f.body))
	}
	decided("zeros", post("/p", "Content-Length: 003\r\n", "abc"))
	decided("comma", post("/p", "Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"))
	decided("fields422", post("/p", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"))
	for _, b := range []string{
		" 3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "g\r\nabc\r\n0\r\n\r\n", "\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n",
		"ffffffffffffffffff\r\nabc\r\n", "-1\r\nabc\r\n",
	} {
		decided("body", post("/c", "Transfer-Encoding: chunked\r\n", b))
	}
	for _, b := range []string{
		"3\r\nabc\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\n\r\n", "03\r\nabc\r\n00\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "A\r\n0123456789\r\n0\r\n\r\n",
	} {
		ask(post("/c", "Transfer-Encoding: chunked\r\n", b))
	}
	all = append(all,
		diffCase{send: post("/c", "Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"), decided: "coding"},
		diffCase{send: post("/c", "Transfer-Encoding: chunked\r\n", "3;x\nabc\r\n0\r\n\r\n"), decided: "lf"},
		diffCase{send: post("/c", "Transfer-Encoding: chunked\r\n", "3\nabc\n0\n\n"), decided: "lf"},
		diffCase{send: post("/c", "Transfer-Encoding: chunked\r\n", "3\r\nab\r\n0\r\n\r\n"), decided: "lf"},
		diffCase{send: post("/c", "Transfer-Encoding: chunked\r\n", "3;\x00\r\nabc\r\n0\r\n\r\n"), decided: "nul"},
		diffCase{send: post("/c", "Content-Length: 18446744073709551619\r\n", "abc"), decided: "number"},
		diffCase{send: with("Content-Length: 3\r\n") + "abc"},
		diffCase{send: "GET / HTTP/1.1\r\nHost", cut: true},
		diffCase{send: "", cut: true},
		diffCase{send: "\r\n", cut: true},
		diffCase{send: line("GET /1") + line("GET /2") + line("GET /3")}, // pipelined
		diffCase{send: line("GET /1") + line("GET /denied")},
		diffCase{send: line("GET /1") + "garbage\r\n\r\n"},
		diffCase{send: post("/1", "Content-Length: 3\r\n", "abc") + line("GET /2")},
	)

	// Responses.
	reply := func(r string, old string) {
		all = append(all, diffCase{send: line("GET /r"), reply: r, shut: true}, diffCase{send: line("HEAD /r"), reply: r, shut: true}, diffCase{send: "GET /r HTTP/1.0\r\n\r\n", reply: r, shut: true, decided: old})
	}
	reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "chunked10")
	reply("HTTP/1.1 200 OK\r\n\r\nuntil the end", "")
	reply("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "")
	reply("HTTP/1.0 200 OK\r\n\r\nok", "")
	reply("HTTP/1.1 204 No Content\r\n\r\n", "")
	reply("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", "")
	reply("HTTP/1.1 404 Nowhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "")
	one := func(r string) { all = append(all, diffCase{send: line("GET /r"), reply: r, shut: true}) }
	for _, r := range []string{
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 OK\r\n\r\n", "garbage\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nFoo : x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nFoo\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "HTTP/1.1 200 OK\r\nContent-",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 17000) + "\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nraw",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trail: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\nKeep-Alive: x\r\n\r\n",
	} {
		one(r)
	}
	all = append(all, diffCase{send: line("GET /r"), reply: "HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", shut: true, decided: "tr"})
	all = append(all, diffCase{send: line("GET /r"), reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", shut: true, decided: "late"})
	for _, path := range []string{"/api/x", "/close", "/srvclose"} {
		all = append(all, diffCase{send: line("GET " + path), reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"})
	}
	all = append(all,
		diffCase{send: "GET /backdeny HTTP/1.1\r\nHost: a\r\nX-Key: secret\r\n\r\n", reply: "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", decided: "tr"},
	)
	return all
}
