package ssl

import (
	"crypto/tls"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// What was negotiated with the client, for log formats. "none" is what stands for
// it as long as the handshake is not complete.
func init() {
	for _, a := range []struct {
		name, none string
		get        func(*tls.ConnectionState) []byte
	}{
		{"sslc", "(NONE)", func(s *tls.ConnectionState) []byte { return cipherNames[s.CipherSuite] }},
		{"sslv", "TLSv1.3", func(s *tls.ConnectionState) []byte { return protocolNames[s.Version] }},
	} {
		stream.RegisterAlias(stream.Alias{Name: a.name, Form: stream.Known, Append: func(dst []byte, sc *stream.Scope) []byte {
			if sc.Sess == nil || sc.Sess.Listener.Bind.Load().TLS == nil {
				return dst
			}
			if t := sc.ClientTLS(); t != nil && t.State() != nil {
				if name := a.get(t.State()); name != nil {
					return append(dst, name...)
				}
			}
			return append(dst, a.none...)
		}})
	}
}
