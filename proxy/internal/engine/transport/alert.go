package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// Alert is an alert of TLS (RFC 8446 6).
type Alert uint8

// Alerts that the proxy sends in place of what crypto/tls would.
const (
	BadCertificate         Alert = 42
	UnsupportedCertificate Alert = 43
	CertificateRevoked     Alert = 44
	CertificateExpired     Alert = 45
	CertificateUnknown     Alert = 46
	UnknownCA              Alert = 48
	DecodeError            Alert = 50
	DecryptError           Alert = 51
	UnrecognizedName       Alert = 112
)

// refusal is the alert that a server means to send instead of one that crypto/tls
// sends.
type refusal struct {
	instead, alert Alert
	aead           cipher.AEAD // of TLS 1.3, nil for what is sent in clear
	nonce          []byte      // of the first record
}

// Refuse makes the alert that ends the handshake say why. It is for
// VerifyConnection of a server, whose state it is given, and its error is to
// follow. secret is what crypto/tls wrote to its KeyLogWriter as
// SERVER_TRAFFIC_SECRET_0, for TLS 1.3: what it sends is encrypted by then, and is
// made anew. Where that cannot be, the alert stays as it is.
func (t *TLS) Refuse(alert Alert, state *tls.ConnectionState, secret []byte) {
	r := &refusal{instead: BadCertificate, alert: alert} // which it says to all that is refused
	if state.Version >= tls.VersionTLS13 {
		if r.aead, r.nonce = trafficKeys(state.CipherSuite, secret); r.aead == nil {
			return
		}
	}
	t.wire.refusal = r
}

// rewrite gives the record to be sent in the place of one that crypto/tls made.
func (r *refusal) rewrite(record []byte) []byte {
	const length = 2 // of an alert: its level, and what it says
	if r.aead == nil {
		if len(record) != recordHead+length || record[0] != alertType || Alert(record[recordHead+1]) != r.instead {
			return record
		}
		return append(append([]byte(nil), record[:recordHead+1]...), byte(r.alert))
	}
	if len(record) != recordHead+length+1+r.aead.Overhead() {
		return record
	}
	// It is the first record under its keys. That nobody has seen it is what allows
	// another one with the same nonce.
	head := record[:recordHead]
	plain, err := r.aead.Open(nil, r.nonce, record[recordHead:], head)
	if err != nil || len(plain) != length+1 || plain[length] != alertType || Alert(plain[1]) != r.instead {
		return record
	}
	plain[1] = byte(r.alert)
	return r.aead.Seal(append([]byte(nil), head...), r.nonce, plain, head)
}

// alertType is the type of records that carry alerts.
const alertType = 21

// trafficKeys gives what records of TLS 1.3 are sealed with (RFC 8446 7.3) and
// the nonce of the first one, nil for a suite that is not known.
func trafficKeys(suite uint16, secret []byte) (cipher.AEAD, []byte) {
	var h func() hash.Hash = sha256.New
	size := 16
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
	case tls.TLS_AES_256_GCM_SHA384:
		h, size = sha512.New384, 32
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		size = chacha20poly1305.KeySize
	default:
		return nil, nil
	}
	expand := func(label string, n int) []byte {
		label = "tls13 " + label
		info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
		b, err := hkdf.Expand(h, secret, string(append(append(info, label...), 0)), n)
		if err != nil {
			return nil
		}
		return b
	}
	key := expand("key", size)
	var aead cipher.AEAD
	var err error
	if suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		aead, err = chacha20poly1305.New(key)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		return nil, nil
	}
	return aead, expand("iv", aead.NonceSize())
}

// dotted tells whether the beginning of a ClientHello asks for a name with a dot
// at its end, as far as it can be seen.
func dotted(b []byte) bool {
	// skip leaves out what a length of n bytes is told of.
	skip := func(n int) bool {
		if len(b) < n {
			return false
		}
		size := 0
		for _, c := range b[:n] {
			size = size<<8 | int(c)
		}
		if b = b[n:]; len(b) < size {
			return false
		}
		b = b[size:]
		return true
	}
	const fixed = recordHead + 4 + 2 + 32 // up to the number of the session
	if len(b) < fixed || b[0] != handshakeType || b[recordHead] != clientHello {
		return false
	}
	b = b[fixed:]
	if !skip(1) || !skip(2) || !skip(1) || len(b) < 2 { // session, suites, compression
		return false
	}
	for b = b[2:]; len(b) >= 4; {
		if binary.BigEndian.Uint16(b) != serverName {
			if b = b[2:]; !skip(2) {
				return false
			}
			continue
		}
		// A list of names, of which there is one, of type 0.
		if b = b[4:]; len(b) < 5 {
			return false
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		return b[2] == 0 && n > 0 && len(b) >= 5+n && b[5+n-1] == '.'
	}
	return false
}

const (
	clientHello = 1 // type of the message
	serverName  = 0 // type of the extension
)
