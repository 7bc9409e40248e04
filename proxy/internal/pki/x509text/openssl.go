package x509text

import (
	"bytes"
	"encoding/asn1"
)

// AppendSpaced appends a name as "openssl … -nameopt oneline" does: "C = FR, O =
// Example, CN = a". Values with special characters are put into quotes.
func AppendSpaced(dst, name []byte) []byte {
	var a attribute
	n, set := 0, -1
	for w := walk(name); n < maxAttributes && w.next(&a); n++ {
		switch set {
		case -1:
		case a.set:
			dst = append(dst, " + "...)
		default:
			dst = append(dst, ", "...)
		}
		set = a.set
		dst = append(appendName(dst, a.id), " = "...)
		dst = appendQuoted(dst, appendValue(nil, &a))
	}
	return dst
}

// appendQuoted turns the escapes of special characters in v into quotes around
// all of it.
func appendQuoted(dst, v []byte) []byte {
	var plain []byte
	quote := false
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && bytes.IndexByte([]byte("+,;<> #"), v[i+1]) >= 0 {
			quote = true
			i++
		}
		plain = append(plain, v[i])
	}
	if !quote {
		return append(dst, plain...)
	}
	return append(append(append(dst, '"'), plain...), '"')
}

// longNames are OpenSSL's long names of the algorithms of signatures.
var longNames = map[string]string{
	"1.2.840.113549.1.1.4": "md5WithRSAEncryption", "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
	"1.2.840.113549.1.1.10": "rsassaPss",
	"1.2.840.113549.1.1.11": "sha256WithRSAEncryption", "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
	"1.2.840.113549.1.1.13": "sha512WithRSAEncryption", "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
	"1.2.840.10045.4.1": "ecdsa-with-SHA1", "1.2.840.10045.4.3.1": "ecdsa-with-SHA224", "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
	"1.2.840.10045.4.3.3": "ecdsa-with-SHA384", "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
	"1.3.101.112": "ED25519", "1.3.101.113": "ED448",
}

// LongName is OpenSSL's long name of the algorithm of a signature, its number if
// it has none here.
func LongName(id asn1.ObjectIdentifier) string {
	if s := longNames[id.String()]; s != "" {
		return s
	}
	return id.String()
}

// LongNameDER is LongName of an AlgorithmIdentifier's contents.
func LongNameDER(alg []byte) string {
	var id asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(alg, &id); err != nil {
		return ""
	}
	return LongName(id)
}
