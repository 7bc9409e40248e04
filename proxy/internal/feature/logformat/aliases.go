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

type alias = func(dst []byte, st *stream.Stream, f flags) []byte

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

func num(get func(*stream.Stream) int64) alias {
	return func(dst []byte, st *stream.Stream, _ flags) []byte { return strconv.AppendInt(dst, get(st), 10) }
}

// hexNum is a number that +X makes hexadecimal, four digits at least.
func hexNum(get func(*stream.Stream) int64) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		n := get(st)
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

func str(get func(*stream.Stream) string) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte { return text(dst, get(st), f) }
}

// part is a time between two moments in milliseconds, -1 when the later one was
// not reached.
func part(from, to func(*stream.Times) int64) alias {
	return num(func(st *stream.Stream) int64 {
		a, b := from(&st.Time), to(&st.Time)
		if b == 0 || a == 0 {
			return -1
		}
		return max(b-a, 0) / 1e6
	})
}

// grows is for numbers that "option logasap" logs before they are final: a "+" says
// so, of whatever the frontend logs.
func grows(a alias) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		if st.FE.Has(stream.LogASAP) {
			dst = append(dst, '+')
		}
		return a(dst, st, f)
	}
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

func ip(get func(*stream.Stream) reactor.Addr) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		a := get(st)
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

func port(get func(*stream.Stream) reactor.Addr) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		a := get(st)
		if a.IsUnix() {
			return strconv.AppendInt(dst, int64(st.Sess.Listener.Bind.Load().ID), 10)
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
func source(st *stream.Stream) reactor.Addr {
	if a := st.Sess.Src; a.IP.IsValid() {
		return a
	}
	return reactor.Addr{Path: "unix"}
}

func front(st *stream.Stream) reactor.Addr {
	if !st.Sess.IsOpen() {
		return st.Sess.Listener.Bind.Load().Addr
	}
	return st.Sess.Dst()
}

func serverAddr(st *stream.Stream) reactor.Addr {
	if st.Srv == nil {
		return reactor.Addr{}
	}
	return *st.Srv.Addr()
}

func backSource(st *stream.Stream) reactor.Addr { return st.ServerSide() }

func backendName(st *stream.Stream) string { return st.BE.Name }

func serverName(st *stream.Stream) string {
	if st.Srv == nil {
		return "<NOSRV>"
	}
	return st.Srv.Name
}

// moment is the time of day of a moment of the reactor's clock.
func moment(st *stream.Stream, at int64) time.Time {
	return st.R.Wall().Add(-time.Duration(st.R.Now() - at))
}

func when(get func(*stream.Times) int64, layout func(dst []byte, r int, t time.Time) []byte) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		if f&quoted != 0 {
			dst = append(dst, '"')
		}
		dst = layout(dst, st.R.Index, moment(st, get(&st.Time)))
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
func secure(st *stream.Stream) bool { return st.Sess.Listener.Bind.Load().TLS != nil }

// handshake is how long it took to establish the connection, in milliseconds: of
// its first exchange only, those after it did not wait for it.
func handshake(st *stream.Stream) int64 {
	if st.Time.Accept != st.Sess.Accepted {
		return 0
	}
	return int64(st.Sess.HandshakeMs)
}

// tlsAliases are short for fetches of the client's connection; none is what
// stands for the value while the handshake is not complete.
var tlsAliases = map[string]struct{ fetch, none string }{
	"sslc": {"ssl_fc_cipher", "(NONE)"},
	"sslv": {"ssl_fc_protocol", "TLSv1.3"},
}

// ofTLS makes one of tlsAliases.
func ofTLS(e *sample.Expr, none string) alias {
	return func(dst []byte, st *stream.Stream, f flags) []byte {
		if !secure(st) {
			return appendMissing(dst, f, false)
		}
		v := sample.Borrow(st)
		defer v.Return(st)
		if !e.Eval(st, v) {
			return text(dst, none, f)
		}
		return raw(dst, v.Bytes, f)
	}
}

func status(st *stream.Stream) int64 {
	if st.Status == 0 && st.FE.Mode == stream.HTTP && st.Sess.ErrID == 0 && (st.HasRequest || !st.Sess.H2()) {
		return -1
	}
	return int64(st.Status)
}

func dash(dst []byte, _ *stream.Stream, f flags) []byte {
	if f&quoted != 0 {
		return append(dst, `""`...)
	}
	return append(dst, '-')
}

// nothing is for captured headers, of which there are none.
func nothing(dst []byte, _ *stream.Stream, _ flags) []byte { return dst }

func termination(dst []byte, st *stream.Stream, n int) []byte {
	t := [4]byte{st.Term.Cause, st.Term.State, '-', '-'}
	for i := range t {
		if t[i] == 0 {
			t[i] = '-'
		}
	}
	return append(dst, t[:n]...)
}

var aliases map[string]alias

func init() {
	aliases = map[string]alias{
		"ci": ip(source), "cp": port(source),
		"fi": ip(front), "fp": port(front),
		"si": ip(serverAddr), "sp": port(serverAddr),
		"bi": ip(backSource), "bp": port(backSource),
		"f": str(func(st *stream.Stream) string { return st.FE.Name }),
		"ft": func(dst []byte, st *stream.Stream, f flags) []byte {
			if !secure(st) {
				return text(dst, st.FE.Name, f)
			}
			if f&quoted != 0 {
				dst = append(dst, '"')
			}
			at := len(dst)
			dst = encode(append(append(dst, st.FE.Name...), '~'), at, f)
			if f&quoted != 0 {
				dst = append(dst, '"')
			}
			return dst
		},
		"b": str(backendName), "s": str(serverName),
		"B":  grows(num(func(st *stream.Stream) int64 { return st.BytesOut })),
		"U":  num(func(st *stream.Stream) int64 { return st.BytesIn }),
		"ST": num(status),
		"t":  when(accept, localMillis), "tr": when(begin, localMillis),
		"T": when(accept, utcZone), "Tl": when(accept, localZone),
		"trg": when(begin, utcZone), "trl": when(begin, localZone),
		"Ts": hexNum(func(st *stream.Stream) int64 { return moment(st, st.Time.Accept).Unix() }),
		"ms": func(dst []byte, st *stream.Stream, _ flags) []byte { return millis(dst, moment(st, st.Time.Accept)) },
		"Th": num(handshake),
		"Ti": num(func(st *stream.Stream) int64 {
			if st.Time.Begin == 0 || st.Time.Accept == 0 {
				return -1
			}
			return max((st.Time.Begin-st.Time.Accept)/1e6-handshake(st), 0)
		}),
		"TR": part(begin, request), "Tq": part(accept, request),
		"Tw": part(request, waited), "Tc": part(queued, connected), "Tr": part(connected, response),
		"Ta": grows(part(begin, ended)), "Tt": grows(part(accept, ended)), "Tu": grows(part(begin, ended)),
		"Td": num(func(st *stream.Stream) int64 {
			if st.Time.Response == 0 {
				return -1
			}
			return max(st.Time.End-st.Time.Response, 0) / 1e6
		}),
		"ac": num(func(st *stream.Stream) int64 { return st.W.Curr.Load() }),
		"fc": num(func(st *stream.Stream) int64 { return st.FE.FE.Cur.Load() }),
		"bc": num(func(st *stream.Stream) int64 {
			if st.BE.BE == nil {
				return 0
			}
			return st.BE.BE.Cur.Load()
		}),
		"sc": num(func(st *stream.Stream) int64 {
			if st.Srv == nil {
				return 0
			}
			return st.Srv.Cur.Load()
		}),
		"rc": func(dst []byte, st *stream.Stream, _ flags) []byte {
			if st.Redispatch {
				dst = append(dst, '+')
			}
			return strconv.AppendInt(dst, int64(st.Retries), 10)
		},
		"sq": num(func(st *stream.Stream) int64 { return st.SrvQueue }),
		"bq": num(func(st *stream.Stream) int64 { return st.BackQueue }),
		"lc": hexNum(func(st *stream.Stream) int64 {
			return st.FE.FE.Counters.Sum(func(c *stream.FrontCounters) *counter.Int { return &c.LogLines })
		}),
		"rt":  hexNum(func(st *stream.Stream) int64 { return int64(st.ID) }),
		"pid": hexNum(func(*stream.Stream) int64 { return pid }),
		"H":   str(func(*stream.Stream) string { return hostname }),
		"CC":  dash, "CS": dash,
		"hr": nothing, "hs": nothing,
		"hrl": nothing, "hsl": nothing,
		"ts":  func(dst []byte, st *stream.Stream, _ flags) []byte { return termination(dst, st, 2) },
		"tsc": func(dst []byte, st *stream.Stream, _ flags) []byte { return termination(dst, st, 4) },
		"r": func(dst []byte, st *stream.Stream, f flags) []byte {
			if len(st.ReqLine) == 0 {
				return raw(dst, bad, f)
			}
			return raw(dst, st.ReqLine, f)
		},
		"ID": uniqueID,
		"HM": func(dst []byte, st *stream.Stream, f flags) []byte { return raw(dst, requestPart(st.ReqLine, 0), f) },
		"HU": func(dst []byte, st *stream.Stream, f flags) []byte { return raw(dst, requestPart(st.ReqLine, 1), f) },
		"HV": func(dst []byte, st *stream.Stream, f flags) []byte { return raw(dst, requestPart(st.ReqLine, 2), f) },
		"HP": func(dst []byte, st *stream.Stream, f flags) []byte {
			u := requestPart(st.ReqLine, 1)
			if i := indexByte(u, '?'); i >= 0 {
				u = u[:i]
			}
			return raw(dst, u, f)
		},
		"HPO": func(dst []byte, st *stream.Stream, f flags) []byte {
			return raw(dst, pathOnly(requestPart(st.ReqLine, 1)), f)
		},
		"HQ": func(dst []byte, st *stream.Stream, f flags) []byte {
			u := requestPart(st.ReqLine, 1)
			if string(u) == string(bad) {
				return raw(dst, u, f)
			}
			if i := indexByte(u, '?'); i >= 0 {
				return raw(dst, u[i:], f)
			}
			return raw(dst, nil, f)
		},
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
