package ssl

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// accepted are the signatures that crypto/tls accepts from a peer, always.
var accepted = []tls.SignatureScheme{
	tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
	tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512,
	tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
	tls.Ed25519,
}

// signatureNames are the names of SSL_CTX_set1_sigalgs(3), in lower case; 0 for
// those that crypto/tls does not have.
var signatureNames = map[string]tls.SignatureScheme{
	"rsa_pss_rsae_sha256": tls.PSSWithSHA256, "rsa_pss_rsae_sha384": tls.PSSWithSHA384, "rsa_pss_rsae_sha512": tls.PSSWithSHA512,
	"rsa-pss+sha256": tls.PSSWithSHA256, "rsa-pss+sha384": tls.PSSWithSHA384, "rsa-pss+sha512": tls.PSSWithSHA512,
	"pss+sha256": tls.PSSWithSHA256, "pss+sha384": tls.PSSWithSHA384, "pss+sha512": tls.PSSWithSHA512,
	"rsa_pkcs1_sha256": tls.PKCS1WithSHA256, "rsa_pkcs1_sha384": tls.PKCS1WithSHA384, "rsa_pkcs1_sha512": tls.PKCS1WithSHA512,
	"rsa+sha256": tls.PKCS1WithSHA256, "rsa+sha384": tls.PKCS1WithSHA384, "rsa+sha512": tls.PKCS1WithSHA512,
	"ecdsa_secp256r1_sha256": tls.ECDSAWithP256AndSHA256, "ecdsa_secp384r1_sha384": tls.ECDSAWithP384AndSHA384, "ecdsa_secp521r1_sha512": tls.ECDSAWithP521AndSHA512,
	"ecdsa+sha256": tls.ECDSAWithP256AndSHA256, "ecdsa+sha384": tls.ECDSAWithP384AndSHA384, "ecdsa+sha512": tls.ECDSAWithP521AndSHA512,
	"ed25519": tls.Ed25519,

	"ed448": 0, "rsa_pss_pss_sha256": 0, "rsa_pss_pss_sha384": 0, "rsa_pss_pss_sha512": 0,
	"rsa_pkcs1_sha1": 0, "rsa_pkcs1_sha224": 0, "rsa+sha1": 0, "rsa+sha224": 0, "rsa+md5": 0,
	"ecdsa_sha1": 0, "ecdsa_sha224": 0, "ecdsa+sha1": 0, "ecdsa+sha224": 0,
	"dsa_sha1": 0, "dsa_sha224": 0, "dsa_sha256": 0, "dsa+sha1": 0, "dsa+sha224": 0, "dsa+sha256": 0, "dsa+sha384": 0, "dsa+sha512": 0,
	"ecdsa_brainpoolp256r1tls13_sha256": 0, "ecdsa_brainpoolp384r1tls13_sha384": 0, "ecdsa_brainpoolp512r1tls13_sha512": 0,
	"mldsa44": 0, "mldsa65": 0, "mldsa87": 0,
}

// signatures reads both lists of signature algorithms: one is about what we sign
// ourselves, which can be chosen, the other about what the peer may sign with,
// which crypto/tls has no setting for.
func (o *Options) signatures(p *Params, warn func(string, ...any)) error {
	own, peers := "sigalgs", "client-sigalgs"
	ownText, peersText := o.SigAlgs, o.ClientSigAlgs
	if o.Server {
		own, peers, ownText, peersText = peers, own, peersText, ownText
	}
	if ownText != "" {
		list, err := signatureList(own, ownText, warn)
		if err != nil {
			return err
		}
		p.Signatures = list
	}
	if peersText == "" {
		return nil
	}
	list, err := signatureList(peers, peersText, warn)
	if err != nil {
		return err
	}
	var lack []string
	for _, s := range accepted {
		if !slices.Contains(list, s) {
			lack = append(lack, s.String())
		}
	}
	if len(lack) > 0 {
		return fmt.Errorf("unable to set %s to '%s': Go's crypto/tls cannot refuse signatures of a peer by %s", listName(peers), peersText, strings.Join(lack, ", "))
	}
	return nil
}

func listName(word string) string {
	if word == "client-sigalgs" {
		return "SSL Client Signature Algorithm list"
	}
	return "SSL Signature Algorithm list"
}

func signatureList(word, text string, warn func(string, ...any)) ([]tls.SignatureScheme, error) {
	var list []tls.SignatureScheme
	var left []string
	for _, name := range strings.Split(text, ":") {
		optional := strings.HasPrefix(name, "?") // ignore it if unknown
		name = strings.TrimPrefix(name, "?")
		s, known := signatureNames[strings.ToLower(name)]
		switch {
		case s != 0 && !slices.Contains(list, s):
			list = append(list, s)
		case s != 0, optional:
		case known:
			left = append(left, name)
		default:
			return nil, fmt.Errorf("unable to set %s to '%s': unknown algorithm '%s'", listName(word), text, name)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("unable to set %s to '%s': none of them is available in Go's crypto/tls", listName(word), text)
	}
	if len(left) > 0 {
		warn("signature algorithms that Go's crypto/tls does not have are left out: %s.", strings.Join(left, ", "))
	}
	return list, nil
}
