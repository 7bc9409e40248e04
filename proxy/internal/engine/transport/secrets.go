package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"io"
)

// Keep stands in the KeyLogWriter of a client's configuration: connections keep
// their secrets, see [TLS.Secrets].
var Keep io.Writer = keep{}

type keep struct{}

// Write is never called: [Conn.Client] puts a writer of the connection's own in
// its place.
func (keep) Write(p []byte) (int, error) { return len(p), nil }

// secrets are what a connection keeps of its handshake: lines of a key log, and
// what crypto/tls does not tell.
type secrets struct {
	lines []byte
	hello []byte // the first bytes that the server said
	// sessions are those of a client: what it offers to resume, and what it was
	// given.
	sessions      tls.ClientSessionCache
	offered, made *tls.ClientSessionState
}

// Write takes a line from crypto/tls.
func (s *secrets) Write(p []byte) (int, error) {
	s.lines = append(s.lines, p...)
	return len(p), nil
}

// Get implements tls.ClientSessionCache.
func (s *secrets) Get(key string) (state *tls.ClientSessionState, ok bool) {
	s.offered, ok = s.sessions.Get(key)
	return s.offered, ok
}

// Put implements tls.ClientSessionCache.
func (s *secrets) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		s.made = state
	}
	s.sessions.Put(key, state)
}

// keepSecrets gives a form of cfg for t alone if cfg asks for secrets to be kept,
// otherwise cfg itself.
func (t *TLS) keepSecrets(cfg *tls.Config) *tls.Config {
	if cfg.KeyLogWriter != Keep {
		return cfg
	}
	t.secrets = &secrets{sessions: cfg.ClientSessionCache}
	cfg = cfg.Clone()
	cfg.KeyLogWriter = t.secrets
	if cfg.ClientSessionCache != nil {
		cfg.ClientSessionCache = t.secrets
	}
	return cfg
}

// KeepServerHello lets a server keep what [TLS.ServerRandom] gives. It is for
// callbacks of the handshake; clients that keep their secrets keep it too.
func (t *TLS) KeepServerHello() { t.secrets = new(secrets) }

// Secrets are the connection's in the form of NSS's key log
// (draft-ietf-tls-keylogfile), nil if they are not kept.
func (t *TLS) Secrets() []byte {
	if t.secrets == nil {
		return nil
	}
	return t.secrets.lines
}

// maxServerHello is how much is kept of what the server says: a ServerHello up to
// its extensions, even if there was a request to retry before it.
const maxServerHello = 512

// keepHello keeps the beginning of what the server says.
func (s *secrets) keepHello(p []byte) {
	s.hello = append(s.hello, p[:min(len(p), maxServerHello-len(s.hello))]...)
}

// Where things are in the record of a ServerHello (RFC 8446 4.1.3, 5.1).
const (
	recordHead    = 5
	handshakeType = 22 // of the record
	helloType     = 2  // of the message
	randomAt      = recordHead + 4 + 2
	sessionAt     = randomAt + 32
)

// retry is what stands in place of the random number in a request to retry.
var retry = sha256.Sum256([]byte("HelloRetryRequest"))

// serverHello finds the server's random number and the session's number in what
// was kept.
func (s *secrets) serverHello() (random, session []byte) {
	for b := s.hello; len(b) > recordHead; {
		record := b[:min(len(b), recordHead+int(binary.BigEndian.Uint16(b[3:])))]
		b = b[len(record):]
		if len(record) <= sessionAt || record[0] != handshakeType || record[recordHead] != helloType {
			continue
		}
		if random = record[randomAt:sessionAt]; [32]byte(random) != retry {
			session = record[sessionAt+1:]
			return random, session[:min(len(session), int(record[sessionAt]))]
		}
	}
	return nil, nil
}

// ServerRandom is the random number of the server, nil if it is not kept.
func (t *TLS) ServerRandom() []byte {
	if t.secrets == nil {
		return nil
	}
	random, _ := t.secrets.serverHello()
	return random
}

// SessionID is what a client calls its session, nil if there is none or it is not
// kept: a hash of its ticket, as in OpenSSL, or else what the server called it.
func (t *TLS) SessionID() []byte {
	s := t.secrets
	if s == nil || t.server || !t.done {
		return nil
	}
	state := s.made
	if state == nil && t.resumed {
		state = s.offered
	}
	if state != nil {
		ticket, _, err := state.ResumptionState()
		if err != nil || len(ticket) == 0 {
			return nil
		}
		id := sha256.Sum256(ticket)
		return id[:]
	}
	if t.State().Version >= tls.VersionTLS13 {
		return nil // what stands there only looks like the number of a session
	}
	_, id := s.serverHello()
	return id
}
