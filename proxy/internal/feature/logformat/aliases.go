package logformat

import (
	"os"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// notYet are aliases of the manual that need a feature that there is not.
var notYet = map[string]string{
	"Tg": "request body timing",
}

// write gives what appends the value of an alias.
func write(a *stream.Alias) func(dst []byte, sc *stream.Scope, f flags) []byte {
	switch {
	case a.Int != nil && a.Hex:
		return func(dst []byte, sc *stream.Scope, f flags) []byte {
			if f&hexa != 0 {
				return appendHex(dst, a.Int(sc))
			}
			return strconv.AppendInt(dst, a.Int(sc), 10)
		}
	case a.Int != nil && a.Grows:
		return func(dst []byte, sc *stream.Scope, _ flags) []byte {
			if sc.FE != nil && sc.FE.Has(stream.LogASAP) { // whatever it is that is logged
				dst = append(dst, '+')
			}
			return strconv.AppendInt(dst, a.Int(sc), 10)
		}
	case a.Int != nil:
		return func(dst []byte, sc *stream.Scope, _ flags) []byte { return strconv.AppendInt(dst, a.Int(sc), 10) }
	case a.Addr != nil && a.Port:
		return func(dst []byte, sc *stream.Scope, f flags) []byte { return appendPort(dst, sc, a.Addr(sc), f) }
	case a.Addr != nil:
		return func(dst []byte, sc *stream.Scope, f flags) []byte { return appendIP(dst, a.Addr(sc), f) }
	case a.Field != nil && a.Form == stream.Braces:
		return func(dst []byte, sc *stream.Scope, f flags) []byte { return braced(dst, sc, a.Field, f) }
	case a.Field != nil:
		return func(dst []byte, sc *stream.Scope, f flags) []byte { return spaced(dst, sc, a.Field, f) }
	}
	return texts[a.Form](a.Append)
}

// texts are the ways to write a text.
var texts = map[stream.Form]func(func([]byte, *stream.Scope) []byte) func([]byte, *stream.Scope, flags) []byte{
	stream.Text: func(get func([]byte, *stream.Scope) []byte) func([]byte, *stream.Scope, flags) []byte {
		return func(dst []byte, sc *stream.Scope, f flags) []byte {
			dst = quote(dst, f)
			at := len(dst)
			return quote(encode(get(dst, sc), at, f, ofLines), f)
		}
	},
	stream.Clean: func(get func([]byte, *stream.Scope) []byte) func([]byte, *stream.Scope, flags) []byte {
		return func(dst []byte, sc *stream.Scope, f flags) []byte { return quote(get(quote(dst, f), sc), f) }
	},
	stream.Plain: func(get func([]byte, *stream.Scope) []byte) func([]byte, *stream.Scope, flags) []byte {
		return func(dst []byte, sc *stream.Scope, _ flags) []byte { return get(dst, sc) }
	},
	stream.Known: func(get func([]byte, *stream.Scope) []byte) func([]byte, *stream.Scope, flags) []byte {
		return func(dst []byte, sc *stream.Scope, f flags) []byte {
			before := len(dst)
			dst = quote(dst, f)
			at := len(dst)
			dst = get(dst, sc)
			if len(dst) == at {
				return appendMissing(dst[:before], f, false)
			}
			return quote(encodeControls(dst, at, f, '#'), f)
		}
	},
}

// braced appends "{a|b}", one quoted word, unless the list is empty.
func braced(dst []byte, sc *stream.Scope, field func(*stream.Scope, int) ([]byte, bool), f flags) []byte {
	v, ok := field(sc, 0)
	if !ok {
		return dst
	}
	dst = append(quote(dst, f), '{')
	for n := 1; ok; n++ {
		if n > 1 {
			dst = append(dst, '|')
		}
		at := len(dst)
		dst = encode(append(dst, v...), at, f, ofValues)
		v, ok = field(sc, n)
	}
	return quote(append(dst, '}'), f)
}

// spaced appends each value of a list, quoted if that is asked for.
func spaced(dst []byte, sc *stream.Scope, field func(*stream.Scope, int) ([]byte, bool), f flags) []byte {
	for n := 0; ; n++ {
		v, ok := field(sc, n)
		switch {
		case !ok:
			return dst
		case n > 0:
			dst = append(dst, ' ')
		}
		if v == nil && f&quoted == 0 {
			dst = append(dst, '-')
			continue
		}
		dst = quote(dst, f)
		at := len(dst)
		dst = quote(encode(append(dst, v...), at, f, ofValues), f)
	}
}

// quote appends a quotation mark where there is to be one.
func quote(dst []byte, f flags) []byte {
	if f&quoted != 0 {
		return append(dst, '"')
	}
	return dst
}

// appendHex appends a number of four digits at least.
func appendHex(dst []byte, n int64) []byte {
	shift := 12
	for shift < 60 && n>>(shift+4) != 0 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, upperHex[n>>shift&15])
	}
	return dst
}

func appendIP(dst []byte, a reactor.Addr, f flags) []byte {
	if f&hexa != 0 && a.IP.Is4() { // never quoted
		b := a.IP.As4()
		for _, c := range b {
			dst = append(dst, upperHex[c>>4], upperHex[c&15])
		}
		return dst
	}
	dst = quote(dst, f)
	switch {
	case a.IsUnix():
		dst = append(dst, "unix"...)
	case a.IP.IsValid():
		dst = a.IP.AppendTo(dst)
	case f&quoted == 0:
		dst = append(dst, '-')
	}
	return quote(dst, f)
}

func appendPort(dst []byte, sc *stream.Scope, a reactor.Addr, f flags) []byte {
	switch {
	case a.IsUnix():
		return strconv.AppendInt(dst, int64(sc.Sess.Listener.Bind.Load().ID), 10)
	case !a.IP.IsValid():
		return append(dst, '-')
	case f&hexa != 0:
		return append(dst, upperHex[a.Port>>12], upperHex[a.Port>>8&15], upperHex[a.Port>>4&15], upperHex[a.Port&15])
	}
	return strconv.AppendUint(dst, uint64(a.Port), 10)
}

var (
	pid         = int64(os.Getpid())
	hostname, _ = os.Hostname()
)

// What is nobody's: the process.
func init() {
	stream.RegisterAlias(
		stream.Alias{Name: "H", Append: func(dst []byte, _ *stream.Scope) []byte { return append(dst, hostname...) }},
		stream.Alias{Name: "pid", Hex: true, Int: func(*stream.Scope) int64 { return pid }},
	)
}
