package transport

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"testing"
)

// The keys of RFC 8448 3.
func TestTrafficKeys(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	secret := unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
	aead, nonce := trafficKeys(tls.TLS_AES_128_GCM_SHA256, secret)
	if want := unhex("cf782b88dd83549aadf1e984"); !bytes.Equal(nonce, want) {
		t.Errorf("%x, want %x", nonce, want)
	}
	block, err := aes.NewCipher(unhex("9f02283b6c9c07efc26bb9f2ac92e356"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := cipher.NewGCM(block)
	if got, want := aead.Seal(nil, nonce, []byte("x"), nil), want.Seal(nil, nonce, []byte("x"), nil); !bytes.Equal(got, want) {
		t.Error("another key")
	}
	for _, suite := range []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0} {
		if aead, _ := trafficKeys(suite, secret); aead != nil {
			t.Error(tls.CipherSuiteName(suite))
		}
	}
}

// What is no alert of the kind that is meant goes out as it is.
func TestRewrite(t *testing.T) {
	clear := &refusal{instead: BadCertificate, alert: CertificateRevoked}
	for in, want := range map[string]string{
		"\x15\x03\x03\x00\x02\x02\x2a":     "\x15\x03\x03\x00\x02\x02\x2c",
		"\x15\x03\x03\x00\x02\x02\x28":     "\x15\x03\x03\x00\x02\x02\x28",
		"\x16\x03\x03\x00\x02\x02\x2a":     "\x16\x03\x03\x00\x02\x02\x2a",
		"\x15\x03\x03\x00\x03\x02\x2a\x00": "\x15\x03\x03\x00\x03\x02\x2a\x00",
		"\x15\x03":                         "\x15\x03", "": "",
	} {
		if got := clear.rewrite([]byte(in)); string(got) != want {
			t.Errorf("%x: %x, want %x", in, got, want)
		}
	}
	secret := make([]byte, 48)
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		sealed := &refusal{instead: BadCertificate, alert: CertificateRevoked}
		sealed.aead, sealed.nonce = trafficKeys(suite, secret)
		head := []byte{23, 3, 3, 0, 19}
		record := func(plain ...byte) []byte {
			return sealed.aead.Seal(bytes.Clone(head), sealed.nonce, plain, head)
		}
		in := record(2, byte(BadCertificate), alertType)
		was := bytes.Clone(in)
		if got := sealed.rewrite(in); !bytes.Equal(got, record(2, byte(CertificateRevoked), alertType)) || !bytes.Equal(in, was) {
			t.Errorf("%s: %x", tls.CipherSuiteName(suite), got)
		}
		for _, other := range [][]byte{record(2, 40, alertType), record(2, byte(BadCertificate), 22), record(1, 2, 3, 4), append(record(2, byte(BadCertificate))[:23], 1), in[:10]} {
			if got := sealed.rewrite(other); !bytes.Equal(got, other) {
				t.Errorf("%s: %x became %x", tls.CipherSuiteName(suite), other, got)
			}
		}
	}
}

// recorder is a connection that keeps what is written and answers nothing.
type recorder struct {
	net.Conn
	out bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) { return r.out.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }

func TestDotted(t *testing.T) {
	hello := func(name string) []byte {
		var r recorder
		tls.Client(&r, &tls.Config{ServerName: name}).Handshake()
		return r.out.Bytes()
	}
	plain := hello("a.example")
	if dotted(plain) {
		t.Error("no dot")
	}
	with := bytes.Replace(plain, []byte("a.example"), []byte("a.exampl."), 1)
	if !dotted(with) {
		t.Error("a dot")
	}
	for n := range with { // never beyond the end
		dotted(with[:n:n])
	}
	if dotted(bytes.Replace(with, []byte{0, 0, 0, 14, 0, 12, 0, 0, 9}, []byte{0, 0, 0, 14, 0, 12, 0, 255, 255}, 1)) {
		t.Error("a name longer than the hello")
	}
}

func FuzzDotted(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 50, 1})
	f.Fuzz(func(_ *testing.T, b []byte) { dotted(b) })
}
