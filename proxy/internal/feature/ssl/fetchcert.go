package ssl

import (
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

// peer gives the certificates that the other side of a connection has shown, its
// own first. Resumed sessions remember them.
func peer(t *transport.TLS) []*x509.Certificate {
	if s := t.State(); s != nil {
		return s.PeerCertificates
	}
	return nil
}

// certOf finds the certificate that a fetch is about, nil if there is none.
type certOf func(sc *stream.Scope) *x509.Certificate

func clientCert(sc *stream.Scope) *x509.Certificate {
	if t := sc.ClientTLS(); t != nil {
		if list := peer(t); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

func serverCert(sc *stream.Scope) *x509.Certificate {
	if t := sc.ServerTLS(); t != nil {
		if list := peer(t); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// clientRoot is the authority that the client's certificate comes from, if it was
// accepted without an error.
func clientRoot(sc *stream.Scope) *x509.Certificate {
	i := InfoOf(sc.ClientTLS())
	if i == nil || i.clients == nil || i.CErr != 0 || i.CAErr != 0 {
		return nil
	}
	if list := peer(sc.ClientTLS()); i.root == nil && len(list) > 0 {
		check := certs.Verification{Roots: i.clients.roots, Now: sc.Wall()}
		i.root = check.Root(list)
	}
	return i.root
}

// servedCert is the frontend's own certificate.
func servedCert(sc *stream.Scope) *x509.Certificate {
	if i := InfoOf(sc.ClientTLS()); i != nil && i.Cert != nil {
		return i.Cert.Leaf
	}
	return nil
}

// add registers a fetch of a certificate.
func (of certOf) add(name string, out sample.Type, get func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool) {
	sample.RegisterFetch(sample.Fetch{Name: name, Out: out, Where: sample.SessionWide, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			c := of(sc)
			return c != nil && n <= 0 && get(sc, c, v)
		}, nil
	}})
}

func init() {
	for prefix, of := range map[string]certOf{"ssl_c_": clientCert, "ssl_f_": servedCert, "ssl_s_": serverCert} {
		of.add(prefix+"der", sample.Bin, func(_ *stream.Scope, c *x509.Certificate, v *sample.Value) bool { return bin(v, c.Raw) })
		of.add(prefix+"sha1", sample.Bin, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			sum := sha1.Sum(c.Raw)
			return bin(v, sc.Copy(sum[:]))
		})
		of.add(prefix+"serial", sample.Bin, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			var buf [32]byte
			return bin(v, sc.Copy(x509text.AppendSerial(buf[:0], c)))
		})
		of.add(prefix+"version", sample.Int, func(_ *stream.Scope, c *x509.Certificate, v *sample.Value) bool { return v.SetInt(int64(c.Version)) })
		of.add(prefix+"key_alg", sample.Str, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			return str(sc, v, x509text.KeyAlgorithm(c))
		})
		of.add(prefix+"sig_alg", sample.Str, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			return str(sc, v, x509text.SignatureAlgorithm(c))
		})
		of.add(prefix+"notbefore", sample.Str, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			var buf [16]byte
			b, ok := x509text.AppendTime(buf[:0], c.NotBefore)
			return ok && v.SetStr(sc.Copy(b))
		})
		of.add(prefix+"notafter", sample.Str, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
			var buf [16]byte
			b, ok := x509text.AppendTime(buf[:0], c.NotAfter)
			return ok && v.SetStr(sc.Copy(b))
		})
		of.addDN(prefix+"s_dn", func(c *x509.Certificate) []byte { return c.RawSubject })
		of.addDN(prefix+"i_dn", func(c *x509.Certificate) []byte { return c.RawIssuer })
	}
	certOf(clientCert).add("ssl_c_san", sample.Str, func(sc *stream.Scope, c *x509.Certificate, v *sample.Value) bool {
		var buf [1024]byte
		b := x509text.AppendSAN(buf[:0], c)
		return len(b) > 0 && v.SetStr(sc.Copy(b))
	})
	certOf(clientRoot).addDN("ssl_c_r_dn", func(c *x509.Certificate) []byte { return c.RawSubject })

	addChain("ssl_c_chain_der", (*stream.Scope).ClientTLS, 1) // OpenSSL leaves the client's own out
	addChain("ssl_s_chain_der", (*stream.Scope).ServerTLS, 0)

	results := side{"ssl_c", sample.SessionWide, (*stream.Scope).ClientTLS}
	results.add(
		fetch{"_used", sample.Bool, func(_ *stream.Scope, t *transport.TLS, v *sample.Value) bool { return v.SetBool(len(peer(t)) > 0) }},
		fetch{"_err", sample.Int, func(_ *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			i := InfoOf(t)
			return v.SetInt(int64(i.result().own))
		}},
		fetch{"_ca_err", sample.Int, func(_ *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			return v.SetInt(int64(InfoOf(t).result().above))
		}},
		fetch{"_ca_err_depth", sample.Int, func(_ *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			return v.SetInt(int64(InfoOf(t).result().depth))
		}},
		fetch{"_verify", sample.Int, func(_ *stream.Scope, t *transport.TLS, v *sample.Value) bool {
			return t.Done() && v.SetInt(int64(InfoOf(t).result().last))
		}},
	)
	sample.RegisterConverter(sample.Converter{Name: "x509_v_err_str", In: sample.Int, Out: sample.Str, Compile: func(*conf.Ctx, []string) (sample.Convert, error) {
		return errorName, nil
	}})
}

// result is what the verification of a client found wrong and ignored.
type result struct{ own, above, depth, last int }

func (i *Info) result() result {
	if i == nil {
		return result{}
	}
	return result{i.CErr, i.CAErr, i.CADepth, i.Verify}
}

// constants are the names of errors by number.
var constants = func() map[int64][]byte {
	m := map[int64][]byte{certs.OK: []byte("X509_V_OK")}
	for name, n := range errorNames {
		m[int64(n)] = []byte(name)
	}
	return m
}()

// errorName is the converter x509_v_err_str.
func errorName(sc *stream.Scope, v *sample.Value) bool {
	if name := constants[v.Int]; name != nil {
		return v.SetStr(name)
	}
	var buf [24]byte
	return v.SetStr(sc.Copy(strconv.AppendInt(buf[:0], v.Int, 10)))
}

// addChain registers a fetch of the certificates that the other side sent, from
// one on.
func addChain(name string, of func(*stream.Scope) *transport.TLS, from int) {
	sample.RegisterFetch(sample.Fetch{Name: name, Out: sample.Bin, Where: sample.SessionWide, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			t := of(sc)
			if t == nil || n > 0 || t.Resumed() {
				return false
			}
			list, size := peer(t), 0
			list = list[min(from, len(list)):]
			for _, c := range list {
				size += len(c.Raw)
			}
			if size == 0 {
				return false
			}
			b := make([]byte, 0, size)
			for _, c := range list {
				b = append(b, c.Raw...)
			}
			return bin(v, b)
		}, nil
	}})
}

const dnArgs = "[string,integer,string]"

// addDN registers a fetch of a distinguished name: "(<entry>,<occurrence>,<form>)".
func (of certOf) addDN(name string, get func(*x509.Certificate) []byte) {
	sample.RegisterFetch(sample.Fetch{Name: name, Args: dnArgs, Out: sample.Str, Where: sample.SessionWide, Compile: func(_ *conf.Ctx, args []string) (sample.Func, error) {
		entry, nth, form := "", 1, ""
		if len(args) > 0 {
			entry = args[0]
		}
		if len(args) > 1 && args[1] != "" {
			var err error
			if nth, err = strconv.Atoi(args[1]); err != nil {
				return nil, errors.New("the occurrence is not a number")
			}
		}
		if len(args) > 2 {
			form = args[2]
		}
		if form != "" && form != "rfc2253" {
			return nil, errors.New("only rfc2253 or a blank value are currently supported as the format argument.")
		}
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			c := of(sc)
			if c == nil || n > 0 {
				return false
			}
			dn := get(c)
			if entry != "" {
				b := x509text.Entry(dn, entry, nth)
				return b != nil && v.SetStr(b)
			}
			var buf [512]byte
			if form == "" {
				return v.SetStr(sc.Copy(x509text.AppendDN(buf[:0], dn)))
			}
			b := x509text.AppendRFC2253(buf[:0], dn)
			return len(b) > 0 && v.SetStr(sc.Copy(b))
		}, nil
	}})
}
