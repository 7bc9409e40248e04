package ssl

import (
	"crypto/tls"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/pki/tlserr"
)

// side is the connection that a fetch is about.
type side struct {
	prefix string // of the fetches
	where  string
	of     func(*stream.Scope) *transport.TLS // nil: in clear, or none
}

var (
	front = side{"ssl_fc", sample.SessionWide, (*stream.Scope).ClientTLS}
	back  = side{"ssl_bc", sample.Response, (*stream.Scope).ServerTLS}
)

// fetch is one of a connection under TLS.
type fetch struct {
	name string // after the prefix
	out  sample.Type
	get  func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool
}

// add registers fetches of a side.
func (s side) add(list ...fetch) {
	for _, f := range list {
		sample.RegisterFetch(sample.Fetch{Name: s.prefix + f.name, Out: f.out, Where: s.where, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				t := s.of(sc)
				return n <= 0 && t != nil && f.get(sc, t, v)
			}, nil
		}})
	}
}

// is registers a fetch that is false in clear.
func (s side) is(name string, get func(t *transport.TLS) bool) {
	sample.RegisterFetch(sample.Fetch{Name: s.prefix + name, Out: sample.Bool, Where: s.where, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool { return n <= 0 && v.SetBool(get(s.of(sc))) }, nil
	}})
}

func bin(v *sample.Value, b []byte) bool {
	v.Type, v.Bytes = sample.Bin, b
	return true
}

// done makes a fetch of what was agreed on.
func done(f func(sc *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool) func(*stream.Scope, *transport.TLS, *sample.Value) bool {
	return func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool {
		s := t.State()
		return s != nil && f(sc, s, v)
	}
}

// never is a fetch of what crypto/tls never does: NPN.
func never(*stream.Scope, *transport.TLS, *sample.Value) bool { return false }

func init() {
	for _, s := range []side{front, back} {
		s.is("", func(t *transport.TLS) bool { return t != nil })
		sample.RegisterFetch(sample.Fetch{Name: s.prefix + "_err", Out: sample.Int, Where: s.where, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				t := s.of(sc)
				if n > 0 || t == nil && !s.silent(sc) {
					return false
				}
				return v.SetInt(int64(failure(t).Code))
			}, nil
		}})
		s.is("_is_resumed", func(t *transport.TLS) bool { return t != nil && t.Resumed() })
		s.add(
			fetch{"_alg_keysize", sample.Int, done(keySize)},
			fetch{"_use_keysize", sample.Int, done(keySize)},
			fetch{"_cipher", sample.Str, done(func(_ *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool {
				name := cipherNames[s.CipherSuite]
				return name != nil && v.SetStr(name)
			})},
			fetch{"_protocol", sample.Str, done(func(_ *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool {
				name := protocolNames[s.Version]
				return name != nil && v.SetStr(name)
			})},
			fetch{"_curve", sample.Str, done(func(_ *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool {
				name := groupNames[s.CurveID]
				return name != nil && v.SetStr(name)
			})},
			fetch{"_alpn", sample.Str, func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool { return str(sc, v, t.Protocol()) }},
			fetch{"_npn", sample.Str, never},
			fetch{"_unique_id", sample.Bin, done(func(sc *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool {
				return len(s.TLSUnique) > 0 && bin(v, s.TLSUnique)
			})},
			fetch{"_err_str", sample.Str, func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool {
				code := failure(t).Code
				if code == 0 {
					return false
				}
				var buf [96]byte
				return v.SetStr(sc.Copy(code.Append(buf[:0])))
			}},
		)
	}
	front.is("_has_sni", func(t *transport.TLS) bool { return sni(t) != "" })
	front.add(
		fetch{"_sni", sample.Str, func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool { return str(sc, v, sni(t)) }},
		fetch{"_has_crt", sample.Bool, func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			s := t.State()
			return v.SetBool(s != nil && !s.DidResume && len(s.PeerCertificates) > 0)
		}},
		// crypto/tls accepts no early data.
		fetch{"_has_early", sample.Bool, func(_ *stream.Scope, _ *transport.TLS, v *sample.Value) bool { return v.SetBool(false) }},
		fetch{"_early_rcvd", sample.Bool, func(_ *stream.Scope, _ *transport.TLS, v *sample.Value) bool { return v.SetBool(false) }},
		fetch{"_crtname", sample.Str, func(sc *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			i := InfoOf(t)
			return i != nil && str(sc, v, i.Name)
		}},
	)
	back.add(fetch{"_sni", sample.Str, done(func(sc *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool { return str(sc, v, s.ServerName) })})
}

func sni(t *transport.TLS) string {
	if i := InfoOf(t); i != nil {
		return i.SNI
	}
	return ""
}

// str makes v a string, none if s is empty.
func str(sc *stream.Scope, v *sample.Value, s string) bool {
	return s != "" && v.SetText(sc, s)
}

// failure is why the handshake failed, or what ended the connection later.
func failure(t *transport.TLS) tlserr.Reason {
	switch {
	case t == nil:
		return tlserr.Reason{}
	case t.Err() == nil:
		return tlserr.OfFault(t.Fault())
	case t.IsServer():
		return tlserr.Of(t.Err(), t.Heard)
	}
	return tlserr.OfServer(t.Err())
}

// silent tells whether the client of a connection that is to be secure has not
// said anything yet: its handshake begins with its first byte.
func (s side) silent(sc *stream.Scope) bool {
	return s.prefix == front.prefix && sc.Sess != nil && sc.Sess.Listener.Bind.Load().TLS != nil
}

func keySize(_ *stream.Scope, s *tls.ConnectionState, v *sample.Value) bool {
	n := cipherBits[s.CipherSuite]
	return n > 0 && v.SetInt(n)
}
