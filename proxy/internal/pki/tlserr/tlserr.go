package tlserr

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// Numbers of connection errors (manual, fc_err_str).
const (
	Empty     = 24 // the peer left before it said anything complete
	Abort     = 25
	Timeout   = 26
	TooMany   = 27
	CAFail    = 30 // a certificate above the peer's own was not accepted
	CertFail  = 31 // the peer's own was not
	WrongHost = 32 // the server's is not for the name that it has to have
	WrongName = 33 // the same, of the name that was asked for
	Handshake = 34
	Fatal     = 43 // after the handshake
)

// Code is an error number of OpenSSL 3; 0: none.
type Code uint32

const (
	libSSL   Code = 20 << 23
	internal      = libSSL | 0xC0103 // ERR_R_INTERNAL_ERROR
	alerts        = 1000             // reasons from here on are alerts of the peer
)

// Reasons of libssl (sslerr.h).
const (
	rBadSignature       = 123
	rVerifyFailed       = 134
	rDigestCheck        = 149
	rProxyRequest       = 155
	rHTTPRequest        = 156
	rLengthMismatch     = 159
	rNoSharedCipher     = 193
	rPacketTooLong      = 198
	rNoPeerCertificate  = 199
	rCallbackFailed     = 234
	rNoALPN             = 235
	rUnexpectedMessage  = 244
	rBinder             = 253
	rUnsupportedVersion = 258
	rWrongVersion       = 267
	rDecryptionFailed   = 281
	rUnexpectedEOF      = 294
	rBadCompression     = 341
	rInappropriate      = 373
	rBadKeyShare        = 108
	rNoKeyShare         = 101
	rBadExtension       = 110
	rMissingSigAlgs     = 112
	rNoSigAlg           = 118
	rExcessive          = 152
	rWrongSignature     = 370
	rKeyTooSmall        = 399
)

var reasons = map[Code]string{
	rNoKeyShare:         "no suitable key share",
	rBadKeyShare:        "bad key share",
	rBadExtension:       "bad extension",
	rMissingSigAlgs:     "missing sigalgs extension",
	rNoSigAlg:           "no suitable signature algorithm",
	rBadSignature:       "bad signature",
	rVerifyFailed:       "certificate verify failed",
	rDigestCheck:        "digest check failed",
	rExcessive:          "excessive message size",
	rProxyRequest:       "https proxy request",
	rHTTPRequest:        "http request",
	rLengthMismatch:     "length mismatch",
	rNoSharedCipher:     "no shared cipher",
	rPacketTooLong:      "packet length too long",
	rNoPeerCertificate:  "peer did not return a certificate",
	rCallbackFailed:     "callback failed",
	rNoALPN:             "no application protocol",
	rUnexpectedMessage:  "unexpected message",
	rBinder:             "binder does not verify",
	rUnsupportedVersion: "unsupported protocol",
	rWrongVersion:       "wrong version number",
	rDecryptionFailed:   "decryption failed or bad record mac",
	rUnexpectedEOF:      "unexpected eof while reading",
	rBadCompression:     "invalid compression algorithm",
	rWrongSignature:     "wrong signature type",
	rInappropriate:      "inappropriate fallback",
	rKeyTooSmall:        "ee key too small",
	alerts + 10:         "sslv3 alert unexpected message",
	alerts + 20:         "sslv3 alert bad record mac",
	alerts + 21:         "tlsv1 alert decryption failed",
	alerts + 22:         "tlsv1 alert record overflow",
	alerts + 30:         "sslv3 alert decompression failure",
	alerts + 40:         "sslv3 alert handshake failure",
	alerts + 41:         "sslv3 alert no certificate",
	alerts + 42:         "sslv3 alert bad certificate",
	alerts + 43:         "sslv3 alert unsupported certificate",
	alerts + 44:         "sslv3 alert certificate revoked",
	alerts + 45:         "sslv3 alert certificate expired",
	alerts + 46:         "sslv3 alert certificate unknown",
	alerts + 47:         "sslv3 alert illegal parameter",
	alerts + 48:         "tlsv1 alert unknown ca",
	alerts + 49:         "tlsv1 alert access denied",
	alerts + 50:         "tlsv1 alert decode error",
	alerts + 51:         "tlsv1 alert decrypt error",
	alerts + 60:         "tlsv1 alert export restriction",
	alerts + 70:         "tlsv1 alert protocol version",
	alerts + 71:         "tlsv1 alert insufficient security",
	alerts + 80:         "tlsv1 alert internal error",
	alerts + 86:         "tlsv1 alert inappropriate fallback",
	alerts + 90:         "tlsv1 alert user cancelled",
	alerts + 100:        "tlsv1 alert no renegotiation",
	alerts + 109:        "tlsv13 alert missing extension",
	alerts + 110:        "tlsv1 unsupported extension",
	alerts + 111:        "tlsv1 certificate unobtainable",
	alerts + 112:        "tlsv1 unrecognized name",
	alerts + 113:        "tlsv1 bad certificate status response",
	alerts + 114:        "tlsv1 bad certificate hash value",
	alerts + 115:        "tlsv1 alert unknown psk identity",
	alerts + 116:        "tlsv13 alert certificate required",
	alerts + 120:        "tlsv1 alert no application protocol",
	0xC0103:             "internal error",
}

// Append appends the code as OpenSSL writes it: the number, the library and the
// reason.
func (c Code) Append(dst []byte) []byte {
	const digits = "0123456789ABCDEF"
	dst = append(dst, "error:"...)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, digits[c>>shift&15])
	}
	dst = append(dst, ":SSL routines::"...)
	if s, ok := reasons[c&(1<<23-1)]; ok {
		return append(dst, s...)
	}
	return append(dst, "unknown"...)
}

// Verdict is an error of the verification of a certificate.
type Verdict interface {
	error
	// Verdict gives OpenSSL's number of the error (X509_V_ERR_…) and where in the
	// chain it is, 0 for the peer's own certificate.
	Verdict() (code, depth int)
}

// Misnamed is such an error that may be about the name in a server's certificate.
type Misnamed interface {
	// WrongName tells whether the certificate is good, but another host's, and
	// whether the server was asked for the name that it should have.
	WrongName() (wrong, asked bool)
}

// Reason is why a handshake failed.
type Reason struct {
	ID   int // the connection error
	Code Code
}

// texts are what errors of crypto/tls contain that have no type of their own,
// and what OpenSSL says instead. The first that matches counts.
var texts = []struct {
	text   string
	reason Code
}{
	{"no cipher suite supported by both", rNoSharedCipher},
	{"no supported elliptic curves offered", rNoSharedCipher},
	{"cannot be used with the selected cipher suite", rNoSharedCipher},
	{"client offered only unsupported versions", rUnsupportedVersion},
	{"client offered TLS version older", rUnsupportedVersion},
	{"unsupported SSLv2 handshake", rUnsupportedVersion},
	{"used the legacy version field", rUnsupportedVersion},
	{"didn't provide a certificate", rNoPeerCertificate},
	{"no certificates configured", rCallbackFailed},
	{"no key exchanges supported by both", rNoKeyShare},
	{"key share", rBadKeyShare},
	{"any of the certificate's signature algorithms", rNoSigAlg},
	{"the certificate custom signature algorithms", rNoSigAlg},
	{"key size too small for supported signature", rNoSigAlg},
	{"missing signature_algorithms", rMissingSigAlgs},
	{"unsupported application protocols", rNoALPN},
	{"inappropriate protocol fallback", rInappropriate},
	{"uncompressed connections", rBadCompression},
	{"compression methods", rBadCompression},
	{"used with invalid signature algorithm", rWrongSignature},
	{"invalid signature by", rBadSignature},
	{"invalid client finished", rDigestCheck},
	{"Finished message is incorrect", rDigestCheck},
	{"PSK binder", rBinder},
	{"received unexpected handshake message", rUnexpectedMessage},
	{"exceeds maximum of", rExcessive},
	{"oversized record", rPacketTooLong},
	{"received record with version", rWrongVersion},
	{"RSA key larger than", rVerifyFailed},
	{"failed to parse", rVerifyFailed},
	{"extension", rBadExtension},
}

// localAlerts are the reasons of errors that crypto/tls tells by the alert only
// that it sent.
var localAlerts = map[uint64]Code{
	10: rUnexpectedMessage,
	20: rDecryptionFailed,
	22: rPacketTooLong,
	42: rVerifyFailed,
	50: rLengthMismatch,
	51: rDecryptionFailed,
	70: rUnsupportedVersion,
	47: rBadExtension,
}

// Of tells why a handshake failed. begun tells that the peer's first message was
// complete.
func Of(err error, begun bool) Reason {
	if err == nil {
		return Reason{} // before what allocates
	}
	var verdict Verdict
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &verdict):
		if _, depth := verdict.Verdict(); depth > 0 {
			return Reason{CAFail, libSSL | rVerifyFailed}
		}
		return Reason{CertFail, libSSL | rVerifyFailed}
	case errors.Is(err, reactor.ErrTimeout) || errors.Is(err, os.ErrDeadlineExceeded):
		return Reason{Timeout, 0}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, reactor.ErrClosed):
		if begun {
			return Reason{Handshake, libSSL | rUnexpectedEOF}
		}
		return Reason{Empty, 0}
	case errors.As(err, &header):
		return Reason{Handshake, libSSL | ofHeader(header)}
	case errors.As(err, &op):
		if n, ok := alertOf(op.Err); ok {
			return Reason{Handshake, ofAlert(op.Op, n)}
		}
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		return Reason{Handshake, 0}
	}
	return Reason{Handshake, ofText(err.Error())}
}

// OfServer tells why a handshake with a server failed. Other than of clients, all
// is a failure of the handshake that is not about names.
func OfServer(err error) Reason {
	r := Of(err, true)
	if r.ID != CAFail && r.ID != CertFail {
		return r
	}
	r.ID = Handshake
	var name Misnamed
	if errors.As(err, &name) {
		switch wrong, asked := name.WrongName(); {
		case wrong && asked:
			r.ID = WrongName
		case wrong:
			r.ID = WrongHost
		}
	}
	return r
}

// OfFault tells what ended a connection after its handshake: see
// [transport.TLS.Fault].
func OfFault(err error) Reason {
	if err == nil {
		return Reason{}
	}
	return Reason{Fatal, Of(err, true).Code}
}

// ofHeader tells what came in place of a record.
func ofHeader(e tls.RecordHeaderError) Code {
	if c := ofText(e.Msg); c != internal {
		return c & (1<<23 - 1)
	}
	switch h := string(e.RecordHeader[:]); {
	case strings.HasPrefix(h, "GET ") || strings.HasPrefix(h, "POST ") || strings.HasPrefix(h, "HEAD ") || strings.HasPrefix(h, "PUT "):
		return rHTTPRequest
	case strings.HasPrefix(h, "CONNE"):
		return rProxyRequest
	}
	return rWrongVersion
}

// alertOf gives the number of an alert. Its type is crypto/tls's own.
func alertOf(err error) (uint64, bool) {
	if err == nil {
		return 0, false
	}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return v.Uint(), true
}

func ofAlert(op string, n uint64) Code {
	if op == "remote error" {
		return libSSL | (alerts + Code(n))
	}
	if c, ok := localAlerts[n]; ok {
		return libSSL | c
	}
	return internal
}

func ofText(text string) Code {
	for _, t := range texts {
		if strings.Contains(text, t.text) {
			return libSSL | t.reason
		}
	}
	return internal
}
