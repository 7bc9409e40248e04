package ssl

import (
	"bytes"
	"encoding/hex"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// secrets gives the key log of a connection, nil if none is kept.
func secrets(t *transport.TLS) []byte {
	switch i := InfoOf(t); {
	case t == nil:
		return nil
	case i != nil:
		return i.Secrets
	}
	return t.Secrets()
}

// secret finds the secret of a label in a key log, and the random number of the
// client that stands in every line; both hexadecimal, nil if there is none. Any
// line is good if label is "".
func secret(log []byte, label string) (value, random []byte) {
	for len(log) > 0 {
		line, rest, _ := bytes.Cut(log, []byte{'\n'})
		log = rest
		name, values, _ := bytes.Cut(line, []byte{' '})
		if random, value, ok := bytes.Cut(values, []byte{' '}); ok && (label == "" || string(name) == label) {
			return value, random
		}
	}
	return nil, nil
}

const (
	masterLabel   = "CLIENT_RANDOM"   // the master secret, up to TLS 1.2
	exporterLabel = "EXPORTER_SECRET" // crypto/tls writes no such line
)

func init() {
	for prefix, of := range map[string]func(*stream.Scope) *transport.TLS{"ssl_fc_": (*stream.Scope).ClientTLS, "ssl_bc_": (*stream.Scope).ServerTLS} {
		for name, label := range map[string]string{
			"client_early_traffic_secret":     "CLIENT_EARLY_TRAFFIC_SECRET",
			"client_handshake_traffic_secret": "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
			"server_handshake_traffic_secret": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
			"client_traffic_secret_0":         "CLIENT_TRAFFIC_SECRET_0",
			"server_traffic_secret_0":         "SERVER_TRAFFIC_SECRET_0",
			"exporter_secret":                 exporterLabel,
			"early_exporter_secret":           "EARLY_EXPORTER_SECRET",
		} {
			sample.RegisterFetch(sample.Fetch{Name: prefix + name, Out: sample.Str, Where: sample.SessionWide, Compile: func(c *conf.Ctx, _ []string) (sample.Func, error) {
				on := DefaultsOf(c.Snap.Global).KeyLog
				if on && label == exporterLabel {
					WarnOnce(c, "'"+prefix+name+"'", "Go's crypto/tls does not tell this secret.")
				}
				return func(sc *stream.Scope, v *sample.Value, n int) bool {
					if !on || n > 0 {
						return false
					}
					b, _ := secret(secrets(of(sc)), label)
					return b != nil && v.SetStr(b)
				}, nil
			}})
		}
		where := sample.SessionWide
		if prefix == "ssl_bc_" {
			where = sample.Response
		}
		// These are there without "tune.ssl.keylog"; connections keep what they need
		// if anything asks for it.
		for name, get := range map[string]func(sc *stream.Scope, t *transport.TLS) []byte{
			"client_random": func(sc *stream.Scope, t *transport.TLS) []byte {
				_, r := secret(secrets(t), "")
				return unhex(sc, r)
			},
			"session_key": func(sc *stream.Scope, t *transport.TLS) []byte {
				k, _ := secret(secrets(t), masterLabel)
				return unhex(sc, k)
			},
			"server_random": func(_ *stream.Scope, t *transport.TLS) []byte { return t.ServerRandom() },
			"session_id":    func(_ *stream.Scope, t *transport.TLS) []byte { return sessionOf(t) },
		} {
			sample.RegisterFetch(sample.Fetch{Name: prefix + name, Out: sample.Bin, Where: where, Compile: func(c *conf.Ctx, _ []string) (sample.Func, error) {
				if !c.AtRunTime() {
					change(c.Snap.Global).KeepSecrets = true
					c.Whole() // all that speaks TLS is made otherwise
					c.TakeNothing()
				}
				return func(sc *stream.Scope, v *sample.Value, n int) bool {
					t := of(sc)
					if t == nil || n > 0 {
						return false
					}
					b := get(sc, t)
					return len(b) > 0 && bin(v, b)
				}, nil
			}})
		}
	}
}

// sessionOf identifies the session of a connection. What a server makes of it is in
// its tickets, so that it is the same each time that a client resumes.
func sessionOf(t *transport.TLS) []byte {
	if i := InfoOf(t); i != nil {
		return i.session
	}
	return t.SessionID()
}

func unhex(sc *stream.Scope, text []byte) []byte {
	b := sc.Copy(text)
	n, err := hex.Decode(b, b)
	if err != nil {
		return nil
	}
	return b[:n]
}
