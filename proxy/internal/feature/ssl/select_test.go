package ssl

import (
	"crypto/tls"
	"testing"
)

// What a client can do follows from all signatures that it names: those of TLS 1.3
// alone are enough for a certificate with an RSA key.
func TestAbilities(t *testing.T) {
	ecdsaSuites, rsaSuites := []uint16{tls.TLS_AES_128_GCM_SHA256}, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, x := range []struct {
		name       string
		schemes    []tls.SignatureScheme
		suites     []uint16
		rsa, ecdsa bool
	}{
		{"before TLS 1.2", nil, rsaSuites, true, false},
		{"both", []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PKCS1WithSHA256}, ecdsaSuites, true, true},
		{"ECDSA without suites", []tls.SignatureScheme{tls.ECDSAWithP384AndSHA384, tls.PKCS1WithSHA512}, rsaSuites, true, false},
		{"ECDSA", []tls.SignatureScheme{tls.ECDSAWithP521AndSHA512}, ecdsaSuites, false, true},
		{"PKCS1", []tls.SignatureScheme{tls.PKCS1WithSHA384}, ecdsaSuites, true, false},
		{"PSS", []tls.SignatureScheme{tls.PSSWithSHA256}, ecdsaSuites, true, false},
		{"PSS, SHA-384", []tls.SignatureScheme{tls.PSSWithSHA384}, ecdsaSuites, true, false},
		{"PSS, SHA-512", []tls.SignatureScheme{tls.PSSWithSHA512}, rsaSuites, true, false},
		{"PSS of keys that are for nothing else", []tls.SignatureScheme{0x0809, 0x080a, 0x080b}, ecdsaSuites, false, false},
		{"Ed25519", []tls.SignatureScheme{tls.Ed25519}, ecdsaSuites, false, false},
	} {
		if rsa, ecdsa := abilities(&tls.ClientHelloInfo{SignatureSchemes: x.schemes, CipherSuites: x.suites}); rsa != x.rsa || ecdsa != x.ecdsa {
			t.Errorf("%s: RSA %v, ECDSA %v", x.name, rsa, ecdsa)
		}
	}
}
