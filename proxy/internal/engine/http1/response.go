package http1

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// ParseResponse reads the head of a response at the start of buf into res, as
// [ParseRequest] does for requests. method is that of the request: it decides
// with the status whether there is a body (RFC 9112 6.3).
//
// 1xx responses are heads like others and have no body. A 101 makes the
// connection a tunnel, and must say "connection: upgrade"; whether an upgrade
// was asked for at all is the caller's to check.
func ParseResponse(buf []byte, res *message.Response, method message.Method, lim *Limits) (n int, err error) {
	if lim == nil {
		lim = &defaults
	}
	res.Reset()
	i, f := statusLine(buf, res, lim)
	if i < 0 {
		return 0, f.err(502)
	}
	if i == 0 || len(buf)-i > quickLook && !complete(buf[i:]) {
		return 0, nil
	}
	s := seen{length: -1}
	res.Fields, i, f = parseFields(buf, i, res.Fields, &s, lim, response)
	if i < 0 {
		return 0, f.err(502)
	}
	if i == 0 {
		return 0, nil
	}
	if f := responseFraming(res, &s, method, lim); f.reason != "" {
		return 0, f.err(502)
	}
	return i, nil
}

// statusLine reads "version status reason". It returns the offset after the line, 0
// when more is needed, or -1 and why.
func statusLine(buf []byte, res *message.Response, lim *Limits) (int, fail) {
	i, f := skipEmptyLines(buf)
	if i < 0 {
		return -1, f
	}
	if i, f = statusVersion(buf, i, res, lim); i <= 0 {
		return i, f
	}
	if i, f = statusCode(buf, skipBlanks(buf, i), res, lim); i <= 0 {
		return i, f
	}
	return statusReason(buf, skipBlanks(buf, i), res, lim)
}

// statusVersion returns the offset after the version at buf[i], 0 when more is
// needed, or -1 and why.
func statusVersion(buf []byte, i int, res *message.Response, lim *Limits) (int, fail) {
	const usual = "HTTP/1.1 "
	if len(buf)-i >= len(usual) && string(buf[i:i+len(usual)]) == usual {
		res.Version = message.HTTP11
		return i + len(usual), fail{}
	}
	start := i
	for i < len(buf) && buf[i] > ' ' {
		if i-start > 32 {
			return -1, fail{0, i, "invalid version"}
		}
		i++
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	var ok bool
	if res.Version, ok = version(buf[start:i], lim); !ok || !isBlank(buf[i]) {
		return -1, fail{0, start, "invalid version"}
	}
	return i, fail{}
}

// statusCode returns the offset after the status at buf[i], 0 when more is needed,
// or -1 and why.
func statusCode(buf []byte, i int, res *message.Response, lim *Limits) (int, fail) {
	start, n := i, 0
	for i < len(buf) && buf[i] >= '0' && buf[i] <= '9' {
		if n = n*10 + int(buf[i]-'0'); n > 65535 {
			return -1, fail{0, start, "invalid status"}
		}
		i++
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	c := buf[i]
	ended := isBlank(c) || c == '\r' || c == '\n'
	long := i-start == 3 || i-start > 3 && lim.AcceptInvalid
	if !ended || !long || n < 100 {
		return -1, fail{0, start, "invalid status"}
	}
	res.Status = n
	return i, fail{}
}

// statusReason reads the reason at buf[i] and the end of the line. It returns the
// offset after it, 0 when more is needed, or -1 and why.
func statusReason(buf []byte, i int, res *message.Response, lim *Limits) (int, fail) {
	start := i
	i = plain(buf, i)
	for i < len(buf) && buf[i] == 0 {
		if !lim.AcceptInvalid {
			return -1, fail{0, i, "NUL in the reason"}
		}
		i = plain(buf, i+1)
	}
	if i >= len(buf) {
		return 0, fail{}
	}
	res.Reason = buf[start:i:i]
	return lineEnd(buf, i, response)
}

// responseFraming tells from status, method and fields how the body is
// delimited (RFC 9112 6.3) and what becomes of the connection.
func responseFraming(res *message.Response, s *seen, method message.Method, lim *Limits) fail {
	v11 := res.Version >= message.HTTP11
	te := s.te
	if lim.AcceptInvalid {
		te &^= teEmpty | teTwice
		if te == teSeen {
			te = 0 // nothing but empty ones
		}
	}
	if te != 0 && (te&teLast == 0 || te&(teTwice|teEmpty|teOther) != 0) {
		return fail{0, s.bodyPos, "invalid transfer-encoding"}
	}
	res.KeepAlive = !s.close && (v11 || s.keep)
	res.ContentLength = s.length
	if te != 0 {
		res.ContentLength = -1
		if s.length >= 0 {
			res.Del("content-length")
			res.KeepAlive = res.KeepAlive && lim.KeepInsecure
		}
		if !v11 {
			res.KeepAlive = false
		}
	}
	if s.upg {
		res.Upgrade = s.upgrade
	} else if s.upgrade != nil {
		res.Del("upgrade") // RFC 9110 7.8: it is said to nobody
	}
	switch {
	case res.Status == 101:
		if !s.upg {
			return fail{0, s.upgPos, "101 without connection: upgrade"}
		}
		if !lim.AcceptInvalid && hasElement(s.upgrade, "websocket") && !base64Of(s.wsAcc, 28) {
			return fail{0, s.upgPos, "websocket without a valid accept"}
		}
		res.Framing = message.Tunnel
	case res.Status < 200, res.Status == 204, res.Status == 304, method == message.Head:
		res.Framing = message.NoBody
	case method == message.Connect && res.Status < 300:
		res.Framing = message.Tunnel
	case te != 0:
		res.Framing = message.Chunked
	case s.length > 0:
		res.Framing = message.Length
	case s.length < 0:
		res.Framing = message.Close
		res.KeepAlive = false
	}
	if s.conn && (s.close || s.keep) {
		stripConnection(&res.Header, false)
	}
	return fail{}
}
