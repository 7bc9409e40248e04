package x509text

import (
	"bytes"
	"crypto/x509"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// AppendTime appends a time as YYMMDDhhmmssZ, two digits a year. false: it is none
// of this century, which the form cannot tell.
func AppendTime(dst []byte, t time.Time) ([]byte, bool) {
	t = t.UTC()
	if y := t.Year(); y < 2000 || y > 2099 {
		return dst, false
	}
	return t.AppendFormat(dst, "060102150405Z"), true
}

// KeyAlgorithm is OpenSSL's short name of the algorithm of a certificate's key
// ("rsaEncryption", "id-ecPublicKey"), "" if it has none.
func KeyAlgorithm(c *x509.Certificate) string {
	s := cryptobyte.String(c.RawSubjectPublicKeyInfo)
	if !s.ReadASN1(&s, asn1.SEQUENCE) {
		return ""
	}
	return algorithm(s)
}

// SignatureAlgorithm is the same of the algorithm of its signature
// ("RSA-SHA256").
func SignatureAlgorithm(c *x509.Certificate) string {
	s := cryptobyte.String(c.Raw)
	if !s.ReadASN1(&s, asn1.SEQUENCE) || !s.SkipASN1(asn1.SEQUENCE) {
		return ""
	}
	return algorithm(s)
}

// algorithm names the AlgorithmIdentifier that s begins with.
func algorithm(s cryptobyte.String) string {
	var id cryptobyte.String
	if !s.ReadASN1(&s, asn1.SEQUENCE) || !s.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
		return ""
	}
	return names[string(id)]
}

// AppendSerial appends the digits of a certificate's serial number, without its
// sign.
func AppendSerial(dst []byte, c *x509.Certificate) []byte {
	var buf [64]byte
	n := (c.SerialNumber.BitLen() + 7) / 8
	if n == 0 {
		return append(dst, 0)
	}
	if n > len(buf) {
		return append(dst, c.SerialNumber.Bytes()...)
	}
	return append(dst, c.SerialNumber.FillBytes(buf[:n])...)
}

// maxNames bounds the alternative names that are listed.
const maxNames = 4096

// AppendSAN appends a certificate's alternative names as "DNS:a, IP Address:…", in
// their order.
func AppendSAN(dst []byte, c *x509.Certificate) []byte {
	var list cryptobyte.String
	for i := range c.Extensions {
		e := &c.Extensions[i]
		if len(e.Id) == 4 && e.Id[0] == 2 && e.Id[1] == 5 && e.Id[2] == 29 && e.Id[3] == 17 {
			list = e.Value
		}
	}
	if !list.ReadASN1(&list, asn1.SEQUENCE) {
		return dst
	}
	for n := 0; n < maxNames && len(list) > 0; n++ {
		var v cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1(&v, &tag) {
			break
		}
		if n > 0 {
			dst = append(dst, ", "...)
		}
		switch tag & 0x1f {
		case 0:
			dst = appendOther(dst, v)
		case 1:
			dst = append(append(dst, "email:"...), v...)
		case 2:
			dst = append(append(dst, "DNS:"...), v...)
		case 3:
			dst = append(dst, "X400Name:<unsupported>"...)
		case 4:
			dst = appendOneLine(append(dst, "DirName:"...), v)
		case 5:
			dst = append(dst, "EdiPartyName:<unsupported>"...)
		case 6:
			dst = append(append(dst, "URI:"...), v...)
		case 7:
			dst = appendIP(append(dst, "IP Address:"...), v)
		case 8:
			dst = appendNumbers(append(dst, "Registered ID:"...), v)
		}
	}
	return dst
}

// others are the kinds of other names that OpenSSL names, by their identifiers.
var others = map[string]string{
	string(identifier("1.3.6.1.4.1.311.20.2.3")): "UPN",
	string(identifier("1.3.6.1.5.5.7.8.5")):      "XmppAddr",
	string(identifier("1.3.6.1.5.5.7.8.7")):      "SRVName",
	string(identifier("1.3.6.1.5.5.7.8.8")):      "NAIRealm",
	string(identifier("1.3.6.1.5.5.7.8.9")):      "SmtpUTF8Mailbox",
}

// appendOther appends a name of another kind (RFC 5280 4.2.1.6) as OpenSSL 3 does:
// "othername: UPN::a@example.com". There is only something to show of text.
func appendOther(dst []byte, v cryptobyte.String) []byte {
	var id, value cryptobyte.String
	var tag asn1.Tag
	dst = append(dst, "othername: "...)
	if !v.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !v.ReadASN1(&v, asn1.Tag(0).ContextSpecific().Constructed()) || !v.ReadAnyASN1(&value, &tag) {
		return append(dst, "<unsupported>"...)
	}
	if name, ok := others[string(id)]; ok {
		dst = append(dst, name...)
	} else {
		dst = appendNumbers(dst, id)
	}
	dst = append(dst, "::"...)
	if tag != asn1.UTF8String && tag != asn1.IA5String || bytes.IndexByte(value, 0) >= 0 {
		return append(dst, "<unsupported>"...)
	}
	return append(dst, value...)
}

// appendIP appends an address, IPv6 as OpenSSL does: eight numbers, none left out.
func appendIP(dst, v []byte) []byte {
	switch len(v) {
	case 4:
		return netip.AddrFrom4([4]byte(v)).AppendTo(dst)
	case 16:
		for i := 0; i < 16; i += 2 {
			if i > 0 {
				dst = append(dst, ':')
			}
			n := uint64(v[i])<<8 | uint64(v[i+1])
			var buf [4]byte
			for _, c := range strconv.AppendUint(buf[:0], n, 16) {
				if 'a' <= c {
					c -= 'a' - 'A'
				}
				dst = append(dst, c)
			}
		}
		return dst
	}
	return append(dst, "<invalid>"...)
}
