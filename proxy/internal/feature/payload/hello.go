package payload

import (
	"encoding/binary"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// Extensions of TLS that are looked at (RFC 6066, 8422, 8446, 7301, 5077).
const (
	extServerName = 0
	extGroups     = 10
	extSigAlgs    = 13
	extALPN       = 16
	extTicket     = 35
	extKeyShare   = 51
)

func init() {
	type get = func(sc *stream.Scope, v *sample.Value, h *clientHello) bool
	of := func(f get) func(*conf.Ctx, []string) (sample.Func, error) {
		return plain(func(sc *stream.Scope, v *sample.Value) bool {
			p, _ := sc.Received(false)
			h, ok, more := parseHello(p)
			if more {
				sc.MayChange()
			}
			return ok && f(sc, v, &h)
		})
	}
	list := func(f func(h *clientHello) []byte) get {
		return func(sc *stream.Scope, v *sample.Value, h *clientHello) bool {
			if b := f(h); b != nil {
				v.Type, v.Bytes = sample.Bin, b
				return true
			}
			return false
		}
	}
	name := of(func(_ *stream.Scope, v *sample.Value, h *clientHello) bool {
		b := h.serverName()
		return b != nil && v.SetStr(b)
	})
	for _, n := range []string{"req.ssl_sni", "req_ssl_sni"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Str, Where: inRequest, Needs: ofRequest, Compile: name})
	}
	for _, n := range []string{"req.ssl_hello_type", "req_ssl_hello_type"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Int, Where: inRequest, Needs: ofRequest, Compile: plain(helloType(request))})
	}
	for _, n := range []string{"res.ssl_hello_type", "rep_ssl_hello_type"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Int, Where: inResponse, Needs: ofResponse, Compile: plain(helloType(response))})
	}
	for _, n := range []string{"req.ssl_ver", "req_ssl_ver"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Int, Where: inRequest, Needs: ofRequest, Compile: plain(version)})
	}
	sample.RegisterFetch(
		sample.Fetch{Name: "req.ssl_alpn", Out: sample.Str, Where: inRequest, Needs: ofRequest, Compile: of(func(_ *stream.Scope, v *sample.Value, h *clientHello) bool {
			b := h.protocol()
			return b != nil && v.SetStr(b)
		})},
		sample.Fetch{Name: "req.ssl_ec_ext", Out: sample.Bool, Where: inRequest, Needs: ofRequest, Compile: of(func(_ *stream.Scope, v *sample.Value, h *clientHello) bool {
			_, there := h.extension(extGroups)
			return there && v.SetBool(true)
		})},
		sample.Fetch{Name: "req.ssl_st_ext", Out: sample.Int, Where: inRequest, Needs: ofRequest, Compile: of(func(_ *stream.Scope, v *sample.Value, h *clientHello) bool {
			switch b, there := h.extension(extTicket); {
			case len(b) > 0:
				return v.SetInt(2)
			case there:
				return v.SetInt(1)
			}
			return v.SetInt(0)
		})},
		sample.Fetch{Name: "req.ssl_cipherlist", Out: sample.Bin, Where: sample.Connection, Needs: ofRequest, Compile: of(list(func(h *clientHello) []byte { return h.ciphers }))},
		sample.Fetch{Name: "req.ssl_supported_groups", Out: sample.Bin, Where: sample.Connection, Needs: ofRequest, Compile: of(list(func(h *clientHello) []byte { return h.numbers(extGroups) }))},
		sample.Fetch{Name: "req.ssl_sigalgs", Out: sample.Bin, Where: sample.Connection, Needs: ofRequest, Compile: of(list(func(h *clientHello) []byte { return h.numbers(extSigAlgs) }))},
		sample.Fetch{Name: "req.ssl_keyshare_groups", Out: sample.Bin, Where: sample.Connection, Needs: ofRequest, Compile: of(func(sc *stream.Scope, v *sample.Value, h *clientHello) bool {
			v.Type = sample.Bin
			v.Bytes = h.keyShares(sc)
			return v.Bytes != nil
		})},
	)
}

// clientHello is the parts of a ClientHello (RFC 8446 4.1.2), slices of the buffer.
type clientHello struct{ ciphers, extensions []byte }

// handshake is the type of a record of TLS, and of the message, that a hello is in.
const (
	recordHandshake = 22
	messageHello    = 1
)

// reader takes fields off the front of bytes; bad tells that they were too few.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.p) {
		r.bad, n = true, len(r.p)
	}
	b := r.p[:n:n]
	r.p = r.p[n:]
	return b
}

func (r *reader) number(bytes int) (n int) {
	for _, b := range r.take(bytes) {
		n = n<<8 | int(b)
	}
	return n
}

// sized takes what has its length in front of it.
func (r *reader) sized(bytes int) []byte { return r.take(r.number(bytes)) }

// parseHello reads a ClientHello in a record of TLS. more tells that what is there may
// become one.
func parseHello(p []byte) (h clientHello, ok, more bool) {
	const least = 43 // what a hello has without extensions, and a bit
	switch {
	case len(p) > 0 && p[0] != recordHandshake, len(p) > 1 && p[1] < 3:
		return h, false, false
	case len(p) < 5:
		return h, false, true
	}
	record := int(binary.BigEndian.Uint16(p[3:]))
	if record < least {
		return h, false, false
	}
	if len(p) < 5+record {
		return h, false, len(p) < 6 || p[5] == messageHello
	}
	r := reader{p: p[5:]}
	if r.number(1) != messageHello {
		return h, false, false
	}
	if r.p = r.sized(3); r.bad {
		return h, false, true
	}
	r.take(2 + 32) // version, random
	r.sized(1)     // session
	h.ciphers = r.sized(2)
	r.sized(1) // compression
	if !r.bad && len(r.p) > 0 {
		h.extensions = r.sized(2)
	}
	return h, !r.bad && h.extensions != nil, false // older ones have nothing to tell
}

// extension gives the content of an extension, and whether it is there.
func (h *clientHello) extension(number int) ([]byte, bool) {
	for r := (reader{p: h.extensions}); len(r.p) > 0 && !r.bad; {
		n, b := r.number(2), r.sized(2)
		if n == number && !r.bad {
			return b, true
		}
	}
	return nil, false
}

// numbers gives an extension that is one list, nil if it is not there.
func (h *clientHello) numbers(number int) []byte {
	b, there := h.extension(number)
	r := reader{p: b}
	if list := r.sized(2); there && !r.bad {
		return list
	}
	return nil
}

// serverName gives the name that the client wants to talk to, nil if it said none.
func (h *clientHello) serverName() []byte {
	r := reader{p: h.numbers(extServerName)}
	for len(r.p) > 0 && !r.bad {
		kind, name := r.number(1), r.sized(2)
		if kind == 0 && !r.bad {
			return name
		}
	}
	return nil
}

// protocol gives the first of those that the client offers, nil if there is none.
func (h *clientHello) protocol() []byte {
	r := reader{p: h.numbers(extALPN)}
	if b := r.sized(1); len(b) > 0 && !r.bad {
		return b
	}
	return nil
}

// keyShares gives the groups that the client sent a key of, nil if there is none.
func (h *clientHello) keyShares(sc *stream.Scope) []byte {
	b := sc.Scratch()
	for r := (reader{p: h.numbers(extKeyShare)}); len(r.p) > 0; {
		group := r.take(2)
		if r.sized(2); r.bad {
			break
		}
		b = append(b, group...)
	}
	if len(b) == 0 {
		sc.Drop(b)
		return nil
	}
	return sc.Keep(b)
}

// isRecord tells whether a byte begins a record of SSLv3 and later.
func isRecord(b byte) bool { return 20 <= b && b <= 23 || b == 255 }

// helloType is the type of a whole handshake message: 1 for a ClientHello, 2 for a
// ServerHello.
func helloType(of side) func(sc *stream.Scope, v *sample.Value) bool {
	return func(sc *stream.Scope, v *sample.Value) bool {
		p, ok := sc.Received(of(sc))
		switch {
		case !ok || len(p) > 0 && !isRecord(p[0]):
			return false
		case len(p) < 9:
			sc.MayChange()
			return false
		case p[1] < 3 || binary.BigEndian.Uint16(p[3:]) < 4:
			return false
		}
		r := reader{p: p[6:]}
		if r.sized(3); r.bad {
			sc.MayChange()
			return false
		}
		return v.SetInt(int64(p[5]))
	}
}

// version is the version in a hello of SSLv2, or in a message of a later handshake.
func version(sc *stream.Scope, v *sample.Value) bool {
	p, ok := sc.Received(false)
	if !ok {
		return false
	}
	var n int
	var more bool
	if len(p) > 0 && !isRecord(p[0]) {
		n, ok, more = versionSSL2(p)
	} else {
		n, ok, more = versionTLS(p)
	}
	if more {
		sc.MayChange()
	}
	return ok && v.SetInt(int64(n))
}

// number makes one number of a version's two.
func number(b []byte) int { return int(b[0])<<16 | int(b[1]) }

func versionTLS(p []byte) (n int, ok, more bool) {
	if len(p) < 11 {
		return 0, false, true
	}
	record := int(binary.BigEndian.Uint16(p[3:]))
	if p[1] < 3 || record < 6 || record > 1<<14+2048 {
		return 0, false, false
	}
	whole := len(p) >= 5+record
	return number(p[9:]), whole, !whole
}

// versionSSL2 reads a hello of SSLv2, whose header has two bytes, or three.
func versionSSL2(p []byte) (n int, ok, more bool) {
	head, padding := 2, 0
	if p[0]&0x80 == 0 {
		head = 3
	}
	if len(p) <= head {
		return 0, false, true
	}
	size := int(p[0]&0x7f)<<8 | int(p[1])
	if head == 3 {
		size, padding = int(p[0]&0x3f)<<8|int(p[1]), int(p[2])
	}
	if p[head] != messageHello {
		return 0, false, false
	}
	r := reader{p: p[head+1:]}
	v := r.take(2)
	ciphers, session, challenge := r.number(2), r.number(2), r.number(2)
	if r.bad {
		return 0, false, true
	}
	rest := ciphers + session + challenge
	if ciphers%3 != 0 || session != 0 && session != 16 || challenge < 16 || challenge > 32 || size != 9+rest {
		return 0, false, false
	}
	whole := len(r.p) >= rest+padding
	return number(v), whole, !whole
}
