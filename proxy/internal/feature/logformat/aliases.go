package logformat

import (
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

type alias = func(dst []byte, sc *stream.Scope, f flags) []byte

// notYet are aliases of the manual that need a feature that there is not.
var notYet = map[string]string{
	"Tg": "request body timing",
}

// ofLine are the aliases that are made from the request line as it came.
var ofLine = map[string]bool{"HM": true, "HP": true, "HPO": true, "HQ": true, "HU": true, "HV": true, "r": true}

func names() []string {
	var out []string
	for n := range aliases {
		out = append(out, n)
	}
	for n := range tlsAliases {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// text appends a string, quoted and made printable.
func text(dst []byte, s string, f flags) []byte {
	if f&quoted != 0 {
		dst = append(dst, '"')
	}
	at := len(dst)
	dst = encode(append(dst, s...), at, f)
	if f&quoted != 0 {
		dst = append(dst, '"')
	}
	return dst
}

func raw(dst, b []byte, f flags) []byte {
	if f&quoted != 0 {
		dst = append(dst, '"')
	}
	at := len(dst)
	dst = encode(append(dst, b...), at, f)
	if f&quoted != 0 {
		dst = append(dst, '"')
	}
	return dst
}

func num(get func(*stream.Scope) int64) alias {
	return func(dst []byte, sc *stream.Scope, _ flags) []byte { return strconv.AppendInt(dst, get(sc), 10) }
}

// hexNum is a number that +X makes hexadecimal, four digits at least.
func hexNum(get func(*stream.Scope) int64) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		n := get(sc)
		if f&hexa == 0 {
			return strconv.AppendInt(dst, n, 10)
		}
		shift := 12
		for shift < 60 && n>>(shift+4) != 0 {
			shift += 4
		}
		for ; shift >= 0; shift -= 4 {
			dst = append(dst, upperHex[n>>shift&15])
		}
		return dst
	}
}

func str(get func(*stream.Scope) string) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte { return text(dst, get(sc), f) }
}

// part is a time between two moments in milliseconds, -1 when the later one was
// not reached.
func part(from, to func(*stream.Times) int64) alias {
	return num(func(sc *stream.Scope) int64 {
		t := times(sc)
		a, b := from(t), to(t)
		if b == 0 || a == 0 {
			return -1
		}
		return max(b-a, 0) / 1e6
	})
}

// grows is for numbers that "option logasap" logs before they are final: a "+" says
// so, of whatever the frontend logs.
func grows(a alias) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		if sc.FE != nil && sc.FE.Has(stream.LogASAP) {
			dst = append(dst, '+')
		}
		return a(dst, sc, f)
	}
}

// unserved is what there is of an exchange where a connection never had one.
var unserved stream.Stream

// exchange is the scope's stream. It must not be changed.
func exchange(sc *stream.Scope) *stream.Stream {
	if sc.Stream != nil {
		return sc.Stream
	}
	return &unserved
}

// times are the moments of the exchange, or those of a connection that has none and
// ends now. They must not be changed.
func times(sc *stream.Scope) *stream.Times {
	switch {
	case sc.Stream != nil:
		return &sc.Stream.Time
	case sc.R == nil:
		return &unserved.Time
	case sc.Sess == nil:
		return &stream.Times{Accept: sc.R.Now(), Begin: sc.R.Now(), End: sc.R.Now()}
	}
	s := sc.Sess
	return &stream.Times{Accept: s.Accepted, Begin: s.Accepted + int64(s.HandshakeMs)*1e6, End: sc.R.Now()}
}

func accept(t *stream.Times) int64  { return t.Accept }
func begin(t *stream.Times) int64   { return t.Begin }
func request(t *stream.Times) int64 { return t.Request }
func queued(t *stream.Times) int64  { return t.Queued }

// waited is the end of the queue, whether or not there was a server at it.
func waited(t *stream.Times) int64 { return max(t.Queued, t.GaveUp) }

func connected(t *stream.Times) int64 { return t.Connected }
func response(t *stream.Times) int64  { return t.Response }
func ended(t *stream.Times) int64     { return t.End }

func ip(get func(*stream.Scope) reactor.Addr) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		a := get(sc)
		if f&hexa != 0 && a.IP.Is4() { // never quoted
			b := a.IP.As4()
			for _, c := range b {
				dst = append(dst, upperHex[c>>4], upperHex[c&15])
			}
			return dst
		}
		if f&quoted != 0 {
			dst = append(dst, '"')
		}
		switch {
		case a.IsUnix():
			dst = append(dst, "unix"...)
		case a.IP.IsValid():
			dst = a.IP.AppendTo(dst)
		case f&quoted == 0:
			dst = append(dst, '-')
		}
		if f&quoted != 0 {
			dst = append(dst, '"')
		}
		return dst
	}
}

func port(get func(*stream.Scope) reactor.Addr) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		a := get(sc)
		if a.IsUnix() {
			return strconv.AppendInt(dst, int64(sc.Sess.Listener.Bind.Load().ID), 10)
		}
		if !a.IP.IsValid() {
			return append(dst, '-')
		}
		if f&hexa != 0 {
			return append(dst, upperHex[a.Port>>12], upperHex[a.Port>>8&15], upperHex[a.Port>>4&15], upperHex[a.Port&15])
		}
		return strconv.AppendUint(dst, uint64(a.Port), 10)
	}
}

// source is the client's address; of UNIX sockets, most of which have no name, it
// only matters that they are such.
func source(sc *stream.Scope) reactor.Addr {
	if sc.Sess == nil {
		return reactor.Addr{}
	}
	if a := sc.Sess.Src; a.IP.IsValid() {
		return a
	}
	return reactor.Addr{Path: "unix"}
}

func front(sc *stream.Scope) reactor.Addr {
	if sc.Sess == nil {
		return reactor.Addr{}
	}
	if !sc.Sess.IsOpen() {
		return sc.Sess.Listener.Bind.Load().Addr
	}
	return sc.Sess.Dst()
}

func serverAddr(sc *stream.Scope) reactor.Addr {
	if sc.Srv == nil {
		return reactor.Addr{}
	}
	return *sc.Srv.Addr()
}

func backSource(sc *stream.Scope) reactor.Addr { return exchange(sc).ServerSide() }

func backendName(sc *stream.Scope) string { return nameOf(sc.BE) }

func nameOf(p *stream.Proxy) string {
	if p == nil {
		return ""
	}
	return p.Name
}

func serverName(sc *stream.Scope) string {
	if sc.Srv != nil {
		return sc.Srv.Name
	}
	if st := sc.Stream; st != nil && st.Service != nil && st.Service.Name() != "" {
		return st.Service.Name()
	}
	return "<NOSRV>"
}

// moment is the time of day of a moment of the reactor's clock.
func moment(sc *stream.Scope, at int64) time.Time {
	if sc.R == nil {
		return time.Now()
	}
	return sc.R.Wall().Add(-time.Duration(sc.R.Now() - at))
}

// number is that of the scope's reactor: none runs while a configuration is read.
func number(sc *stream.Scope) int {
	if sc.R == nil {
		return len(seconds) - 1
	}
	return sc.R.Index
}

func when(get func(*stream.Times) int64, layout func(dst []byte, r int, t time.Time) []byte) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		if f&quoted != 0 {
			dst = append(dst, '"')
		}
		dst = layout(dst, number(sc), moment(sc, get(times(sc))))
		if f&quoted != 0 {
			dst = append(dst, '"')
		}
		return dst
	}
}

// second caches the text of a date for one second, for each reactor.
type second struct {
	unix  int64
	local []byte // 22/Nov/2026:23:57:38
	zone  []byte // " +0000"
	_     [64]byte
}

var seconds [64]second

func cached(r int, t time.Time) *second {
	c := &seconds[r&63]
	if u := t.Unix(); c.unix != u || c.local == nil {
		c.unix = u
		c.local = t.Local().AppendFormat(c.local[:0], "02/Jan/2006:15:04:05")
		c.zone = t.Local().AppendFormat(c.zone[:0], " -0700")
	}
	return c
}

func millis(dst []byte, t time.Time) []byte {
	ms := t.Nanosecond() / 1e6
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

func localMillis(dst []byte, r int, t time.Time) []byte {
	dst = append(dst, cached(r, t).local...)
	return millis(append(dst, '.'), t)
}

func localZone(dst []byte, r int, t time.Time) []byte {
	c := cached(r, t)
	return append(append(dst, c.local...), c.zone...)
}

func utcZone(dst []byte, _ int, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 +0000")
}

var pid = int64(os.Getpid())
var hostname, _ = os.Hostname()

// requestPart cuts the request line: method, URI, version.
func requestPart(line []byte, n int) []byte {
	if len(line) == 0 || line[0] == '<' {
		return bad
	}
	first := indexByte(line, ' ')
	last := len(line)
	for last > first+1 && line[last-1] != ' ' {
		last--
	}
	if first < 0 || last <= first+1 {
		return bad
	}
	switch n {
	case 0:
		return line[:first]
	case 1:
		return line[first+1 : last-1]
	}
	return line[last:]
}

var bad = []byte("<BADREQ>")

func indexByte(b []byte, c byte) int {
	for i, x := range b {
		if x == c {
			return i
		}
	}
	return -1
}

// secure tells whether the client's connection is under TLS, or was to be.
func secure(sc *stream.Scope) bool { return sc.Sess != nil && sc.Sess.Listener.Bind.Load().TLS != nil }

// handshake is how long it took to establish the connection, in milliseconds: of
// its first exchange only, those after it did not wait for it.
func handshake(sc *stream.Scope) int64 {
	if sc.Sess == nil || times(sc).Accept != sc.Sess.Accepted {
		return 0
	}
	return int64(sc.Sess.HandshakeMs)
}

// tlsAliases are short for fetches of the client's connection; none is what
// stands for the value while the handshake is not complete.
var tlsAliases = map[string]struct{ fetch, none string }{
	"sslc": {"ssl_fc_cipher", "(NONE)"},
	"sslv": {"ssl_fc_protocol", "TLSv1.3"},
}

// ofTLS makes one of tlsAliases.
func ofTLS(e *sample.Expr, none string) alias {
	return func(dst []byte, sc *stream.Scope, f flags) []byte {
		if !secure(sc) {
			return appendMissing(dst, f, false)
		}
		v := sample.Borrow(sc)
		defer v.Return(sc)
		if !e.Eval(sc, v) {
			return text(dst, none, f)
		}
		return raw(dst, v.Bytes, f)
	}
}

func status(sc *stream.Scope) int64 {
	st := exchange(sc)
	if st.Status == 0 && sc.Sess != nil && sc.FE.Mode == stream.HTTP && sc.Failed == nil && (st.HasRequest || !sc.Sess.H2()) {
		return -1
	}
	return int64(st.Status)
}

func dash(dst []byte, _ *stream.Scope, f flags) []byte {
	if f&quoted != 0 {
		return append(dst, `""`...)
	}
	return append(dst, '-')
}

// nothing is for captured headers, of which there are none.
func nothing(dst []byte, _ *stream.Scope, _ flags) []byte { return dst }

func termination(dst []byte, sc *stream.Scope, n int) []byte {
	t := [4]byte{'P', 'R', '-', '-'} // of a connection that is no exchange
	if st := sc.Stream; st != nil {
		t[0], t[1] = st.Term.Cause, st.Term.State
	}
	for i := range t {
		if t[i] == 0 {
			t[i] = '-'
		}
	}
	return append(dst, t[:n]...)
}

// RegisterAlias adds an alias of a feature, from an init function: get gives its
// text, which nothing is known of, or nothing.
func RegisterAlias(name string, get func(sc *stream.Scope) []byte) {
	aliases[name] = func(dst []byte, sc *stream.Scope, f flags) []byte { return unknown(dst, get(sc), f) }
}

var aliases = make(map[string]alias)

func init() {
	for name, a := range map[string]alias{
		"ci": ip(source), "cp": port(source),
		"fi": ip(front), "fp": port(front),
		"si": ip(serverAddr), "sp": port(serverAddr),
		"bi": ip(backSource), "bp": port(backSource),
		"f": str(func(sc *stream.Scope) string { return nameOf(sc.FE) }),
		"ft": func(dst []byte, sc *stream.Scope, f flags) []byte {
			if !secure(sc) {
				return text(dst, nameOf(sc.FE), f)
			}
			if f&quoted != 0 {
				dst = append(dst, '"')
			}
			at := len(dst)
			dst = encode(append(append(dst, sc.FE.Name...), '~'), at, f)
			if f&quoted != 0 {
				dst = append(dst, '"')
			}
			return dst
		},
		"b": str(backendName), "s": str(serverName),
		"B":  grows(num(func(sc *stream.Scope) int64 { return exchange(sc).ResIn })),
		"U":  num(func(sc *stream.Scope) int64 { return exchange(sc).ReqIn }),
		"ST": num(status),
		"t":  when(accept, localMillis), "tr": when(begin, localMillis),
		"T": when(accept, utcZone), "Tl": when(accept, localZone),
		"trg": when(begin, utcZone), "trl": when(begin, localZone),
		"Ts": hexNum(func(sc *stream.Scope) int64 { return moment(sc, times(sc).Accept).Unix() }),
		"ms": func(dst []byte, sc *stream.Scope, _ flags) []byte { return millis(dst, moment(sc, times(sc).Accept)) },
		"Th": num(handshake),
		"Ti": num(func(sc *stream.Scope) int64 {
			t := times(sc)
			if t.Begin == 0 || t.Accept == 0 {
				return -1
			}
			return max((t.Begin-t.Accept)/1e6-handshake(sc), 0)
		}),
		"TR": part(begin, request), "Tq": part(accept, request),
		"Tw": part(request, waited), "Tc": part(queued, connected), "Tr": part(connected, response),
		"Ta": grows(part(begin, ended)), "Tt": grows(part(accept, ended)), "Tu": grows(part(begin, ended)),
		"Td": num(func(sc *stream.Scope) int64 {
			t := times(sc)
			if t.Response == 0 {
				return -1
			}
			return max(t.End-t.Response, 0) / 1e6
		}),
		"ac": num(func(sc *stream.Scope) int64 {
			if sc.W == nil {
				return 0
			}
			return sc.W.Curr.Load()
		}),
		"fc": num(func(sc *stream.Scope) int64 {
			if sc.FE == nil || sc.FE.FE == nil {
				return 0
			}
			return sc.FE.FE.Cur.Load()
		}),
		"bc": num(func(sc *stream.Scope) int64 {
			if sc.BE == nil || sc.BE.BE == nil {
				return 0
			}
			return sc.BE.BE.Cur.Load()
		}),
		"sc": num(func(sc *stream.Scope) int64 {
			if sc.Srv == nil {
				return 0
			}
			return sc.Srv.Cur.Load()
		}),
		"rc": func(dst []byte, sc *stream.Scope, _ flags) []byte {
			st := exchange(sc)
			if st.Redispatch {
				dst = append(dst, '+')
			}
			return strconv.AppendInt(dst, int64(st.Retries), 10)
		},
		"sq": num(func(sc *stream.Scope) int64 { return exchange(sc).SrvQueue }),
		"bq": num(func(sc *stream.Scope) int64 { return exchange(sc).BackQueue }),
		"lc": hexNum(func(sc *stream.Scope) int64 {
			if sc.FE == nil || sc.FE.FE == nil {
				return 0
			}
			return sc.FE.FE.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.LogLines })
		}),
		"rt":  hexNum(func(sc *stream.Scope) int64 { return int64(sc.ID) }),
		"pid": hexNum(func(*stream.Scope) int64 { return pid }),
		"H":   str(func(*stream.Scope) string { return hostname }),
		"CC":  dash, "CS": dash,
		"hr": nothing, "hs": nothing,
		"hrl": nothing, "hsl": nothing,
		"ts":  func(dst []byte, sc *stream.Scope, _ flags) []byte { return termination(dst, sc, 2) },
		"tsc": func(dst []byte, sc *stream.Scope, _ flags) []byte { return termination(dst, sc, 4) },
		"r": func(dst []byte, sc *stream.Scope, f flags) []byte {
			line := exchange(sc).ReqLine
			if len(line) == 0 {
				line = bad
			}
			return raw(dst, line, f)
		},
		"HM": func(dst []byte, sc *stream.Scope, f flags) []byte {
			return raw(dst, requestPart(exchange(sc).ReqLine, 0), f)
		},
		"HU": func(dst []byte, sc *stream.Scope, f flags) []byte {
			return raw(dst, requestPart(exchange(sc).ReqLine, 1), f)
		},
		"HV": func(dst []byte, sc *stream.Scope, f flags) []byte {
			return raw(dst, requestPart(exchange(sc).ReqLine, 2), f)
		},
		"HP": func(dst []byte, sc *stream.Scope, f flags) []byte {
			u := requestPart(exchange(sc).ReqLine, 1)
			if i := indexByte(u, '?'); i >= 0 {
				u = u[:i]
			}
			return raw(dst, u, f)
		},
		"HPO": func(dst []byte, sc *stream.Scope, f flags) []byte {
			return raw(dst, pathOnly(requestPart(exchange(sc).ReqLine, 1)), f)
		},
		"HQ": func(dst []byte, sc *stream.Scope, f flags) []byte {
			u := requestPart(exchange(sc).ReqLine, 1)
			if string(u) == string(bad) {
				return raw(dst, u, f)
			}
			if i := indexByte(u, '?'); i >= 0 {
				return raw(dst, u[i:], f)
			}
			return raw(dst, nil, f)
		},
	} {
		aliases[name] = a
	}
}

// pathOnly is the path without scheme, host and query.
func pathOnly(u []byte) []byte {
	if string(u) == "*" {
		return nil
	}
	for i := 0; i+2 < len(u); i++ {
		if u[i] == ':' && u[i+1] == '/' && u[i+2] == '/' {
			j := i + 3
			for j < len(u) && u[j] != '/' {
				j++
			}
			u = u[j:]
			break
		}
		if u[i] == '/' {
			break
		}
	}
	if i := indexByte(u, '?'); i >= 0 {
		u = u[:i]
	}
	return u
}
