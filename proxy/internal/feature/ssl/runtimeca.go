package ssl

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

// The words of the commands about authorities and revocation lists.
var (
	caKind = &kind[certs.CA]{
		word: "ca-file", thing: "CA file", title: "CA file", short: "CA",
		of: func(s *certs.Store) *certs.Kind[certs.CA] { return &s.CAs },
	}
	crlKind = &kind[certs.CRL]{
		word: "crl-file", thing: "CRL file", title: "CRL file", short: "CRL",
		of: func(s *certs.Store) *certs.Kind[certs.CRL] { return &s.CRLs },
	}
)

func init() {
	caKind.register()
	crlKind.register()
	runtimeapi.Register(
		runtimeapi.Command{
			Words: "set ssl ca-file", Level: runtimeapi.Admin, Usage: "<cafile> <payload>", Help: "replace a CA file",
			Payload: true, MaxPayload: maxListPayload, Run: setCA,
		},
		runtimeapi.Command{
			Words: "add ssl ca-file", Level: runtimeapi.Admin, Usage: "<cafile> <payload>", Help: "add a certificate into the CA file",
			Payload: true, MaxPayload: maxListPayload, Run: addCA,
		},
		runtimeapi.Command{
			Words: "set ssl crl-file", Level: runtimeapi.Admin, Usage: "<crlfile> <payload>", Help: "replace a CRL file",
			Payload: true, MaxPayload: maxListPayload, Run: setCRL,
		},
		runtimeapi.Command{
			Words: "show ssl ca-file", Level: runtimeapi.Operator, Usage: "[<cafile>[:<index>]]",
			Help: "display the SSL CA files used in memory, or the details of a <cafile>, or a single certificate of index <index> of a CA file <cafile>", Run: showCA,
		},
		runtimeapi.Command{
			Words: "show ssl crl-file", Level: runtimeapi.Operator, Usage: "[<crlfile>[:<index>]]",
			Help: "display the SSL CRL files used in memory, or the details of a <crlfile>, or a single CRL of index <index> of CRL file <crlfile>", Run: showCRL,
		},
	)
}

// fill puts what a payload has into the transaction about a file.
func fill[T any](c *runtimeapi.Conn, k *kind[T], verb string, args []string, parse func([]byte, *T) (*T, error)) error {
	if first(args) == "" || !c.HasPayload {
		return runtimeapi.Errorf("'%s ssl %s expects a filename and %ss as a payload\n", verb, k.word, k.short)
	}
	payload := []byte(c.Payload)
	return reserved(c, "update the "+k.thing, func(s *certs.Store) (string, error) {
		return k.set(s, args[0], func(now *T) (*T, error) {
			next, err := parse(payload, now)
			if err != nil {
				return nil, runtimeapi.Errorf("Invalid payload\nCan't update %s!\n", args[0])
			}
			return next, nil
		})
	})
}

func setCA(c *runtimeapi.Conn, args []string) error {
	return fill(c, caKind, "set", args, func(b []byte, _ *certs.CA) (*certs.CA, error) { return certs.ParseCA(b) })
}

func addCA(c *runtimeapi.Conn, args []string) error {
	return fill(c, caKind, "add", args, func(b []byte, now *certs.CA) (*certs.CA, error) {
		more, err := certs.ParseCA(b)
		if err != nil {
			return nil, err
		}
		return now.Add(more), nil
	})
}

func setCRL(c *runtimeapi.Conn, args []string) error {
	return fill(c, crlKind, "set", args, func(b []byte, _ *certs.CRL) (*certs.CRL, error) { return certs.ParseCRL(b) })
}

func showCA(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" {
		return caKind.list(c, func(ca *certs.CA) string {
			n := 0
			if ca != nil {
				n = len(ca.Certs)
			}
			return fmt.Sprintf(" - %d certificate(s)", n)
		})
	}
	e, ca, transaction, number, err := caKind.indexed(storeOf(c), args[0])
	if err != nil || ca == nil || number > len(ca.Certs) {
		return err
	}
	caKind.header(c, e, ca, transaction)
	for i, x := range ca.Certs {
		if number > 0 && number != i+1 {
			continue
		}
		if _, err := c.Write(appendCert(fmt.Appendf(nil, " \nCertificate #%d:\n", i+1), x)); err != nil {
			return err
		}
	}
	return nil
}

func showCRL(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" {
		return crlKind.list(c, func(*certs.CRL) string { return "" })
	}
	e, crl, transaction, number, err := crlKind.indexed(storeOf(c), args[0])
	if err != nil {
		return err
	}
	if err := crlKind.header(c, e, crl, transaction); err != nil || crl == nil {
		return err
	}
	for i, l := range crl.Lists {
		if number > 0 && number != i+1 {
			continue
		}
		if err := writeCRL(c, i+1, l); err != nil {
			return err
		}
	}
	return nil
}

// writeCRL prints a revocation list as HAProxy does, which has it from "openssl crl
// -text".
func writeCRL(c *runtimeapi.Conn, number int, l *x509.RevocationList) error {
	version, algorithm := crlHead(l)
	c.Printf(" \nCertificate Revocation List #%d:\nVersion %d\nSignature Algorithm: %s\nIssuer: %s\nLast Update: %s\n", number, version, algorithm,
		x509text.AppendDN(nil, l.RawIssuer), ocsp.Time(l.ThisUpdate))
	if l.NextUpdate.IsZero() {
		c.WriteString("Next Update: NONE\n")
	} else {
		c.Printf("Next Update: %s\n", ocsp.Time(l.NextUpdate))
	}
	if len(l.RevokedCertificateEntries) == 0 {
		return c.Printf("No Revoked Certificates.\n")
	}
	c.WriteString("Revoked Certificates:\n")
	for i := range l.RevokedCertificateEntries {
		r := &l.RevokedCertificateEntries[i]
		if err := c.Printf("    Serial Number: %s\n        Revocation Date: %s\n", ocsp.Number(r.SerialNumber), ocsp.Time(r.RevocationTime)); err != nil {
			return err
		}
	}
	return nil
}

// crlHead gives what crypto/x509 does not tell of a list: its version, and the
// name of its signature's algorithm (RFC 5280 5.1).
func crlHead(l *x509.RevocationList) (version int, algorithm string) {
	s := cryptobyte.String(l.RawTBSRevocationList)
	s.ReadASN1(&s, asn1.SEQUENCE)
	if s.PeekASN1Tag(asn1.INTEGER) {
		s.ReadASN1Integer(&version)
	}
	var alg cryptobyte.String
	s.ReadASN1(&alg, asn1.SEQUENCE)
	return version + 1, x509text.LongNameDER(alg)
}
