package stream

import "bytes"

var bad = []byte("<BADREQ>")

// The request line and its parts.
func init() {
	for name, part := range map[string]func(line []byte) []byte{
		"r": func(line []byte) []byte {
			if len(line) == 0 {
				return bad
			}
			return line
		},
		"HM":  func(line []byte) []byte { return requestPart(line, 0) },
		"HU":  func(line []byte) []byte { return requestPart(line, 1) },
		"HV":  func(line []byte) []byte { return requestPart(line, 2) },
		"HP":  func(line []byte) []byte { path, _, _ := bytes.Cut(requestPart(line, 1), question); return path },
		"HPO": func(line []byte) []byte { return pathOnly(requestPart(line, 1)) },
		"HQ": func(line []byte) []byte {
			u := requestPart(line, 1)
			if i := bytes.IndexByte(u, '?'); i >= 0 {
				return u[i:]
			}
			if string(u) == string(bad) {
				return u
			}
			return nil
		},
	} {
		RegisterAlias(Alias{Name: name, Line: true, Append: func(dst []byte, sc *Scope) []byte { return append(dst, part(sc.exchange().ReqLine)...) }})
	}
}

var question = []byte("?")

// requestPart cuts the request line: method, URI, version.
func requestPart(line []byte, n int) []byte {
	if len(line) == 0 || line[0] == '<' {
		return bad
	}
	method, rest, ok := bytes.Cut(line, blank)
	switch {
	case !ok:
		return bad
	case n == 0:
		return method
	}
	// A line that was cut ("tune.http.logurilen") may end anywhere.
	uri, version := rest, http09
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		uri = rest[:i]
		if i+1 < len(rest) {
			version = rest[i+1:]
		}
	}
	if n == 1 {
		return uri
	}
	return version
}

var blank, http09 = []byte(" "), []byte("HTTP/0.9")

// pathOnly is the path without scheme, host and query.
func pathOnly(u []byte) []byte {
	if string(u) == "*" {
		return nil
	}
	if i := bytes.Index(u, []byte("://")); i >= 0 && bytes.IndexByte(u[:i], '/') < 0 {
		u = u[i+len("://"):]
		if i = bytes.IndexByte(u, '/'); i < 0 {
			return nil
		}
		u = u[i:]
	}
	path, _, _ := bytes.Cut(u, question)
	return path
}
