package ocsp

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

var statusNames = []string{"successful", "malformedrequest", "internalerror", "trylater", "(UNKNOWN)", "sigrequired", "unauthorized"}

var reasonNames = []string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation", "certificateHold",
	"(UNKNOWN)", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

func nameIn(names []string, n int) string {
	if n < 0 || n >= len(names) {
		return "(UNKNOWN)"
	}
	return names[n]
}

// Time writes a time as OpenSSL's ASN1_TIME_print does.
func Time(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }

// Text gives the response in words, as "openssl ocsp -resp_text" does, but for
// certificates in it: they are in PEM only. Empty lines have a space, because an
// empty line ends a reply of the Runtime socket.
func (r *Response) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "OCSP Response Data:\n    OCSP Response Status: %s (0x%x)\n", nameIn(statusNames, r.Status), r.Status)
	if r.Status != 0 {
		return b.Bytes()
	}
	d := &r.basic.Data
	fmt.Fprintf(&b, "    Response Type: Basic OCSP Response\n    Version: %d (0x%x)\n    Responder Id: %s\n    Produced At: %s\n    Responses:\n",
		d.Version+1, d.Version, responder(d.ResponderID), Time(d.ProducedAt))
	for i := range d.Responses {
		writeSingle(&b, &d.Responses[i])
	}
	if len(d.Extensions) > 0 {
		b.WriteString("    Response Extensions:\n")
		for _, e := range d.Extensions {
			writeExtension(&b, e.Id, e.Critical, e.Value, 8)
		}
	}
	name := x509text.LongName(r.basic.SignatureAlgorithm.Algorithm)
	fmt.Fprintf(&b, "    Signature Algorithm: %s\n    Signature Value:", name)
	for i, c := range r.basic.Signature.Bytes {
		switch {
		case i%18 == 0 && i > 0:
			b.WriteString(":\n        ")
		case i%18 == 0:
			b.WriteString("\n        ")
		default:
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", c)
	}
	b.WriteByte('\n')
	for _, c := range r.basic.Certificates {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.FullBytes})
	}
	return b.Bytes()
}

func writeSingle(b *bytes.Buffer, s *single) {
	hash := s.ID.Hash.Algorithm.String()
	for _, h := range hashes {
		if h.id.Equal(s.ID.Hash.Algorithm) {
			hash = h.name
		}
	}
	fmt.Fprintf(b, "    Certificate ID:\n      Hash Algorithm: %s\n      Issuer Name Hash: %X\n      Issuer Key Hash: %X\n      Serial Number: %s\n",
		hash, s.ID.NameHash, s.ID.KeyHash, serial(s.ID.Serial))
	switch {
	case bool(s.Good):
		b.WriteString("    Cert Status: good\n")
	case bool(s.Unknown):
		b.WriteString("    Cert Status: unknown\n")
	default:
		fmt.Fprintf(b, "    Cert Status: revoked\n    Revocation Time: %s\n", Time(s.Revoked.Time))
		if n := int(s.Revoked.Reason); n > 0 { // "unspecified" is what a missing one says too
			fmt.Fprintf(b, "    Revocation Reason: %s (0x%x)\n", nameIn(reasonNames, n), n)
		}
	}
	fmt.Fprintf(b, "    This Update: %s\n", Time(s.ThisUpdate))
	if !s.NextUpdate.IsZero() {
		fmt.Fprintf(b, "    Next Update: %s\n", Time(s.NextUpdate))
	}
	if len(s.Extensions) > 0 {
		b.WriteString("        Response Single Extensions:\n")
		for _, e := range s.Extensions {
			writeExtension(b, e.Id, e.Critical, e.Value, 12)
		}
	}
	b.WriteString(" \n")
}

// extensionNames are OpenSSL's of the extensions of RFC 6960 4.4.
var extensionNames = map[string]string{
	"1.3.6.1.5.5.7.48.1.2":    "OCSP Nonce",
	"1.3.6.1.5.5.7.48.1.3":    "OCSP CRL ID",
	"1.3.6.1.5.5.7.48.1.6":    "OCSP Archive Cutoff",
	"1.3.6.1.4.1.11129.2.4.5": "CT Certificate SCTs",
}

func writeExtension(b *bytes.Buffer, id asn1.ObjectIdentifier, critical bool, value []byte, indent int) {
	name := extensionNames[id.String()]
	if name == "" {
		name = id.String()
	}
	mark := ""
	if critical {
		mark = "critical"
	}
	fmt.Fprintf(b, "%*s%s: %s\n%*s%X\n", indent, "", name, mark, indent+4, "", value)
}

// responder names who made a response: by name, or by the hash of its key.
func responder(id asn1.RawValue) string {
	switch id.Tag {
	case 1:
		return string(x509text.AppendSpaced(nil, id.Bytes))
	case 2:
		var hash []byte
		if _, err := asn1.Unmarshal(id.Bytes, &hash); err == nil {
			return fmt.Sprintf("%X", hash)
		}
	}
	return ""
}

// Serial writes a certificate's number as OpenSSL does.
func Serial(c *x509.Certificate) string { return serial(c.SerialNumber) }

// Number is Serial for a number that stands in a list.
func Number(n *big.Int) string { return serial(n) }
