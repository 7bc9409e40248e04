package http1

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// checkTarget looks at the form of the target (RFC 9112 3.2), and returns what
// is wrong with it.
func checkTarget(req *message.Request, lim *Limits) string {
	t := req.Target
	if req.Method == message.Connect {
		if lim.AcceptInvalid {
			return ""
		}
		host, port := splitPort(t)
		if len(host) == 0 || !validPort(port) || forbiddenInHost(host) {
			return "invalid authority"
		}
		return ""
	}
	if t[0] == '/' {
		return ""
	}
	if t[0] == '*' {
		if len(t) > 1 {
			return "invalid target"
		}
		switch req.Method {
		case message.Options, message.Patch, message.Other: // all others are about a resource
			if string(req.MethodName) != "PRI" {
				return ""
			}
			return "HTTP/2 preface"
		}
		return "a target of * that the method has not"
	}
	_, user, authority, path, ok := absolute(t)
	host, _ := splitPort(authority)
	switch {
	case !ok, len(host) == 0, len(path) > 0 && path[0] != '/':
		return "invalid target"
	case !lim.AcceptInvalid && (!validUser(user) || forbiddenInHost(authority)):
		return "invalid character in the authority"
	}
	return ""
}

// absolute takes an absolute target apart (RFC 3986 4.3). user is what comes
// before the authority's host.
func absolute(t []byte) (scheme, user, authority, path []byte, ok bool) {
	i := bytes.IndexByte(t, ':')
	if i < 1 || len(t) < i+3 || t[i+1] != '/' || t[i+2] != '/' {
		return nil, nil, nil, nil, false
	}
	for j, c := range t[:i] {
		if c|0x20 >= 'a' && c|0x20 <= 'z' || j > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.') {
			continue
		}
		return nil, nil, nil, nil, false
	}
	scheme, authority = t[:i], t[i+3:]
	if j := bytes.IndexAny(authority, "/?#"); j >= 0 {
		authority, path = authority[:j:j], authority[j:]
	}
	if j := bytes.LastIndexByte(authority, '@'); j >= 0 {
		user, authority = authority[:j], authority[j+1:]
	}
	return scheme, user, authority, path, true
}

// validUser tells whether u can be a user's name and password (RFC 3986 3.2.1):
// where others find the end of the authority they must not find it elsewhere.
func validUser(u []byte) bool {
	for _, c := range u {
		if !inAuthority[c] && c != ',' {
			return false
		}
	}
	return true
}

// splitPort cuts the port off an authority. port is nil when there is no colon.
func splitPort(a []byte) (host, port []byte) {
	for i := len(a) - 1; i >= 0; i-- {
		switch c := a[i]; {
		case c == ':':
			return a[:i:i], a[i+1:]
		case c < '0' || c > '9':
			if c == ']' || port == nil && bytes.IndexByte(a[:i], ':') < 0 {
				return a, nil
			}
			if j := bytes.LastIndexByte(a[:i], ':'); j >= 0 && bytes.IndexByte(a[j:], ']') < 0 {
				return a[:j:j], a[j+1:]
			}
			return a, nil
		}
	}
	return a, nil
}

// validPort tells whether p is a number from 1 to 65535.
func validPort(p []byte) bool {
	n, ok := number(p)
	return ok && n > 0 && n < 65536
}

// forbiddenInHost tells whether a host, with or without a port, has characters
// that none has (RFC 3986 3.2.2), which might make something else of it in a URI,
// or a comma, which might be between two hosts.
func forbiddenInHost(h []byte) bool {
	open := false
	for i, c := range h {
		switch {
		case inAuthority[c]:
		case c == '[' && i == 0:
			open = true
		case c == ']' && open && (i == len(h)-1 || h[i+1] == ':'):
			open = false
		default:
			return true
		}
	}
	return open
}

// requestHost finds the authority of the request, holds the host field against
// it (RFC 9112 3.2.2), and takes a default port out of both (RFC 9110 4.2.3).
func requestHost(req *message.Request, s *seen, lim *Limits) fail {
	if s.hasHost {
		req.Host = s.host
		if !lim.AcceptInvalid && forbiddenInHost(s.host) {
			return fail{0, s.hostPos, "invalid character in the host"}
		}
	}
	if req.Target[0] == '/' || req.Target[0] == '*' {
		return fail{}
	}
	var scheme, authority []byte
	if req.Method == message.Connect {
		authority = req.Target
	} else {
		scheme, _, authority, _, _ = absolute(req.Target)
	}
	if s.hasHost && !lim.AcceptInvalid && !sameAuthority(scheme, authority, s.host) {
		return fail{0, s.hostPos, "host differs from the target"}
	}
	req.Host = authority
	normalize(req, scheme, authority, s.hasHost)
	return fail{}
}

// normalize takes a default or empty port out of an absolute target and writes
// the host field alike; in a CONNECT only the host field loses it, since there
// the target's port is what it is about.
func normalize(req *message.Request, scheme, authority []byte, hasHost bool) {
	if len(scheme) == 0 {
		if i := req.Next("host", 0); i >= 0 {
			if host, port := splitPort(req.Fields[i].Value); defaultPort(nil, port) {
				req.Fields[i].Value = host
			}
		}
		return
	}
	host, port := splitPort(authority)
	if len(host) == len(authority) || !defaultPort(scheme, port) && (len(port) > 0 || !known(scheme)) {
		return
	}
	// What is before the port moves over it, in the buffer.
	t := req.Target
	cut := len(authority) - len(host)
	end := len(scheme) + 3
	if i := bytes.IndexAny(t[end:], "/?#"); i >= 0 {
		end += i
	} else {
		end = len(t)
	}
	copy(t[cut:end], t[:end-cut])
	req.Target = t[cut:]
	req.Host = t[end-len(host) : end : end]
	if hasHost {
		req.Fields[req.Next("host", 0)].Value = req.Host
	}
}

// known tells of schemes that have a default port here.
func known(scheme []byte) bool {
	return message.EqualFold(scheme, "http") || message.EqualFold(scheme, "https")
}

// sameAuthority compares an authority with a host field: they may differ in
// case, and in the default port of the scheme. In a CONNECT there is no scheme
// and the ports of http and https count as such.
func sameAuthority(scheme, authority, host []byte) bool {
	if bytes.EqualFold(authority, host) {
		return true
	}
	ah, ap := splitPort(authority)
	hh, hp := splitPort(host)
	if !bytes.EqualFold(ah, hh) {
		return false
	}
	switch {
	case len(ap) == 0:
		return len(hp) == 0 || defaultPort(scheme, hp)
	case len(hp) == 0:
		return defaultPort(scheme, ap)
	}
	return false
}

func defaultPort(scheme, port []byte) bool {
	switch string(port) {
	case "80":
		return len(scheme) == 0 || message.EqualFold(scheme, "http")
	case "443":
		return len(scheme) == 0 || message.EqualFold(scheme, "https")
	}
	return false
}
