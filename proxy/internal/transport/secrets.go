package transport

import (
	"crypto/tls"
	"io"
)

// Keep stands in the KeyLogWriter of a client's configuration: connections keep
// their secrets, see [TLS.Secrets].
var Keep io.Writer = keep{}

type keep struct{}

// Write is never called: [Conn.Client] puts a writer of the connection's own in
// its place.
func (keep) Write(p []byte) (int, error) { return len(p), nil }

// secrets are lines of a key log.
type secrets struct{ lines []byte }

// Write takes a line from crypto/tls.
func (s *secrets) Write(p []byte) (int, error) {
	s.lines = append(s.lines, p...)
	return len(p), nil
}

// keepSecrets gives a form of cfg for t alone if cfg asks for secrets to be kept,
// otherwise cfg itself.
func (t *TLS) keepSecrets(cfg *tls.Config) *tls.Config {
	if cfg.KeyLogWriter != Keep {
		return cfg
	}
	t.secrets = new(secrets)
	cfg = cfg.Clone()
	cfg.KeyLogWriter = t.secrets
	return cfg
}

// Secrets are the connection's in the form of NSS's key log
// (draft-ietf-tls-keylogfile), nil if they are not kept.
func (t *TLS) Secrets() []byte {
	if t.secrets == nil {
		return nil
	}
	return t.secrets.lines
}
