package http1

import (
	"bytes"
	"cmp"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// ParseRequest reads the head of a request at the start of buf into req. It
// returns the length of the head, 0 when more bytes are needed, or an *[Error]
// (RFC 9112 2, 3; the manual's 1.2 and "option
// accept-unsafe-violations-in-http-request").
//
// Empty lines before the request line are passed over and counted in the
// length. Names are put in lower case in buf and folded lines are joined there;
// all slices of req point into buf. When more is needed, call again with all of
// the bytes: a long unfinished head costs one search for its end.
func ParseRequest(buf []byte, req *message.Request, lim *Limits) (n int, err error) {
	if lim == nil {
		lim = &defaults
	}
	req.Reset()
	i, f := requestLine(buf, req, lim)
	if i < 0 {
		return 0, f.err(400)
	}
	if i == 0 || len(buf)-i > quickLook && !complete(buf[i:]) {
		return 0, nil
	}
	s := seen{length: -1}
	req.Fields, i, f = parseFields(buf, i, req.Fields, &s, lim, request)
	if i < 0 {
		return 0, f.err(400)
	}
	if i == 0 {
		return 0, nil
	}
	if f := requestFraming(req, &s, lim); f.reason != "" {
		return 0, f.err(400)
	}
	if f := requestHost(req, &s, lim); f.reason != "" {
		return 0, f.err(400)
	}
	return i, nil
}

// skipEmptyLines passes over empty lines. It returns the offset of the first other
// byte, len(buf) when there is none yet, or -1 and why.
func skipEmptyLines(buf []byte) (i int, f fail) {
	for i < len(buf) && (buf[i] == '\r' || buf[i] == '\n') {
		n, f := lineEnd(buf, i, request)
		if n <= 0 {
			return cmp.Or(n, len(buf)), f
		}
		i = n
	}
	return i, fail{}
}

// skipBlanks returns the offset of the first byte from i on that is no blank.
func skipBlanks(buf []byte, i int) int {
	for i < len(buf) && isBlank(buf[i]) {
		i++
	}
	return i
}

// requestLine reads "method target version". It returns the offset after the
// line, 0 when more is needed, or -1 and why.
func requestLine(buf []byte, req *message.Request, lim *Limits) (int, fail) {
	i, f := skipEmptyLines(buf)
	if i < 0 {
		return -1, f
	}
	start := i
	for i < len(buf) && lower[buf[i]] != 0 {
		i++
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	if i == start || !isBlank(buf[i]) {
		return -1, fail{0, i, "invalid character in the method"}
	}
	req.MethodName = buf[start:i:i]
	req.Method = message.MethodOf(req.MethodName)
	if len(buf)-i > quickLook && bytes.IndexByte(buf[i:], '\n') < 0 {
		return 0, fail{} // a long target that arrives in small pieces
	}
	target := skipBlanks(buf, i)
	if i, f = requestTarget(buf, target, lim); i <= 0 {
		return i, f
	}
	req.Target = buf[target:i:i]
	if i, f = requestVersion(buf, skipBlanks(buf, i), req, lim); i <= 0 {
		return i, f
	}
	if why := checkTarget(req, lim); why != "" {
		return -1, fail{0, target, why}
	}
	return i, fail{}
}

// requestTarget returns the offset after the target at buf[i], 0 when more is
// needed, or -1 and why.
func requestTarget(buf []byte, i int, lim *Limits) (int, fail) {
	start := i
	for ; i < len(buf); i++ {
		c := buf[i]
		if c > ' ' && c < 0x7f && c != '#' {
			continue
		}
		if !lim.AcceptInvalid || c < 0x80 && c != '#' {
			break
		}
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	switch c := buf[i]; {
	case c == '#':
		return -1, fail{0, i, "fragment in the target"}
	case c != '\r' && c != '\n' && !isBlank(c):
		return -1, fail{0, i, "invalid character in the target"}
	case i == start:
		return -1, fail{0, i, "no target"}
	}
	return i, fail{}
}

// requestVersion reads the version at buf[i] and the end of the line. It returns
// the offset after it, 0 when more is needed, or -1 and why.
func requestVersion(buf []byte, i int, req *message.Request, lim *Limits) (int, fail) {
	const usual = "HTTP/1.1\r\n"
	if len(buf)-i >= len(usual) && string(buf[i:i+len(usual)]) == usual {
		req.Version = message.HTTP11
		return i + len(usual), fail{}
	}
	start := i
	for i < len(buf) && buf[i] != '\r' && buf[i] != '\n' {
		// It ends here if this is no version.
		if i-start > 32 || isBlank(buf[i]) {
			return -1, fail{0, i, "invalid version"}
		}
		i++
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	v := buf[start:i]
	i, f := lineEnd(buf, i, request)
	if i <= 0 {
		return i, f
	}
	if len(v) == 0 && lim.AcceptInvalid && req.Method == message.Get {
		req.Version = message.HTTP10 // an HTTP/0.9 request goes on as HTTP/1.0
		return i, fail{}
	}
	var ok bool
	if req.Version, ok = version(v, lim); !ok {
		return -1, fail{0, start, "invalid version"}
	}
	return i, fail{}
}

// version reads "HTTP/d.d". All that the protocol tells apart is whether it is
// 1.1 or later.
func version(v []byte, lim *Limits) (message.Version, bool) {
	if len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' {
		major, minor := v[5]-'0', v[7]-'0'
		return versionOf(int(major), int(minor)), major <= 9 && minor <= 9
	}
	if !lim.AcceptInvalid {
		return 0, false
	}
	// Any protocol name (RTSP), and any number of digits.
	i := 0
	for i < len(v) && (v[i] >= 'A' && v[i] <= 'Z') {
		i++
	}
	if i == 0 || i >= len(v) || v[i] != '/' {
		return 0, false
	}
	major, rest, ok := digits(v[i+1:])
	if !ok || len(rest) == 0 || rest[0] != '.' {
		return 0, false
	}
	minor, rest, ok := digits(rest[1:])
	return versionOf(major, minor), ok && len(rest) == 0
}

func versionOf(major, minor int) message.Version {
	if major > 1 || major == 1 && minor >= 1 {
		return message.HTTP11
	}
	return message.HTTP10
}

// digits reads a short decimal number at the start of b.
func digits(b []byte) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(b) && i < 8 && b[i] >= '0' && b[i] <= '9' {
		n = n*10 + int(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0
}

// requestFraming tells from the fields how the body is delimited (RFC 9112 6.3)
// and what becomes of the connection.
func requestFraming(req *message.Request, s *seen, lim *Limits) fail {
	te := s.te
	v11 := req.Version >= message.HTTP11
	if te != 0 && (te&teLast == 0 || te&(teTwice|teEmpty) != 0) {
		// Whose end can't be known, or that others may read otherwise.
		return fail{0, s.bodyPos, "invalid transfer-encoding"}
	}
	if !v11 && !lim.AcceptPayload && (te != 0 || s.length > 0) {
		switch req.Method {
		case message.Get, message.Head, message.Delete:
			return fail{413, s.bodyPos, "HTTP/1.0 request with a body that its method has not"}
		}
	}
	if te&teOther != 0 {
		return fail{422, s.bodyPos, "unknown transfer-encoding"}
	}
	if s.upg && !lim.AcceptInvalid && hasElement(s.upgrade, "websocket") && !base64Of(s.wsKey, 24) {
		return fail{0, s.upgPos, "websocket without a valid key"}
	}

	req.KeepAlive = !s.close && (v11 || s.keep)
	req.ContentLength = s.length
	req.Expect100 = s.expect && v11
	switch {
	case te != 0:
		req.Framing, req.ContentLength = message.Chunked, -1
		if s.length >= 0 {
			req.Del("content-length")
			req.KeepAlive = req.KeepAlive && lim.KeepInsecure
		}
		if !v11 {
			req.KeepAlive = false // RFC 9112 6.1
		}
	case s.length > 0:
		req.Framing = message.Length
	}
	switch {
	case s.upgrade == nil:
	case s.h2c:
		// A server that went along would have a tunnel in which further requests
		// pass the rules by.
		req.Del("upgrade")
		req.Del("http2-settings")
	case !s.upg, req.Framing != message.NoBody:
		// It is said to nobody (RFC 9110 7.8), or a body can't be told from what
		// follows it after the upgrade.
		req.Del("upgrade")
	default:
		req.Upgrade = s.upgrade
	}
	if req.Method == message.Connect {
		req.Framing = message.Tunnel
	}
	if s.conn && (s.close || s.keep || s.h2c) {
		stripConnection(&req.Header, s.h2c)
	}
	return fail{}
}

// base64Of tells whether b is n characters of padded base64.
func base64Of(b []byte, n int) bool {
	if len(b) != n {
		return false
	}
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '+', c == '/':
		case c == '=' && i >= n-2:
		default:
			return false
		}
	}
	return true
}
