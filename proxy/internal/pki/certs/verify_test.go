package certs_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// TestVerifyLikeOpenSSL verifies chains here and with the openssl program, with all
// errors ignored: both must find the same ones, in the same order.
func TestVerifyLikeOpenSSL(t *testing.T) {
	root, other := certtest.NewCA(t, "root"), certtest.NewCA(t, "other root")
	mid := root.CA(t, "middle")
	low := mid.CA(t, "low")
	narrow := root.CA(t, "narrow", certtest.Template(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }))
	wide := narrow.CA(t, "too deep")
	old := root.CA(t, "old", certtest.Expired())
	oldRoot := certtest.NewCA(t, "old root", certtest.Expired())
	leaf := mid.Issue(t, "leaf", certtest.Client())
	alone := certtest.SelfSigned(t, "alone", certtest.Client())
	serverOnly := root.Issue(t, "server", certtest.Template(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
	notCA := leaf.Issue(t, "below a leaf", certtest.Client())
	revoked := root.Issue(t, "revoked", certtest.Client())
	constrained := root.CA(t, "constrained", certtest.Template(func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"good.test"}
	}))
	critical := root.Issue(t, "critical", certtest.Client(), certtest.Template(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	}))
	// signed by a key that is not the one of the authority of that name
	fake := certtest.NewCA(t, "root", certtest.Template(func(c *x509.Certificate) { c.SubjectKeyId = root.Cert.SubjectKeyId }))
	forged := fake.Issue(t, "forged", certtest.Client())
	now := time.Now()
	rootCRL := root.CRL(t, revoked)
	for _, x := range []struct {
		name  string
		roots []*certtest.Pair
		chain []*certtest.Pair
		crl   []byte
	}{
		{"one step", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, nil},
		{"two steps", []*certtest.Pair{root}, []*certtest.Pair{leaf, mid}, nil},
		{"three steps, in disorder, with the root", []*certtest.Pair{root}, []*certtest.Pair{low.Issue(t, "deep", certtest.Client()), root, low, mid}, nil},
		{"no intermediate", []*certtest.Pair{root}, []*certtest.Pair{leaf}, nil},
		{"no root", []*certtest.Pair{other}, []*certtest.Pair{leaf, mid}, nil},
		{"unknown root sent along", []*certtest.Pair{other}, []*certtest.Pair{leaf, mid, root}, nil},
		{"only the intermediate is trusted", []*certtest.Pair{mid}, []*certtest.Pair{leaf}, nil},
		{"self-signed", []*certtest.Pair{root}, []*certtest.Pair{alone}, nil},
		{"self-signed and trusted", []*certtest.Pair{root, alone}, []*certtest.Pair{alone}, nil},
		{"expired", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client(), certtest.Expired())}, nil},
		{"not yet valid", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client(), certtest.NotYet())}, nil},
		{"expired intermediate", []*certtest.Pair{root}, []*certtest.Pair{old.Issue(t, "a", certtest.Client()), old}, nil},
		{"expired root", []*certtest.Pair{oldRoot}, []*certtest.Pair{oldRoot.Issue(t, "a", certtest.Client(), certtest.Expired())}, nil},
		{"self-signed and expired", []*certtest.Pair{root}, []*certtest.Pair{certtest.SelfSigned(t, "x", certtest.Client(), certtest.Expired())}, nil},
		{"for servers", []*certtest.Pair{root}, []*certtest.Pair{serverOnly}, nil},
		{"below a leaf", []*certtest.Pair{root}, []*certtest.Pair{notCA, leaf, mid}, nil},
		{"too deep", []*certtest.Pair{root}, []*certtest.Pair{wide.Issue(t, "a", certtest.Client()), wide, narrow}, nil},
		{"critical extension", []*certtest.Pair{root}, []*certtest.Pair{critical}, nil},
		{"constrained, allowed", []*certtest.Pair{root}, []*certtest.Pair{constrained.Issue(t, "a.good.test", certtest.Client()), constrained}, nil},
		{"constrained, not allowed", []*certtest.Pair{root}, []*certtest.Pair{constrained.Issue(t, "a.bad.test", certtest.Client()), constrained}, nil},
		{"forged", []*certtest.Pair{root}, []*certtest.Pair{forged}, nil},
		{"not revoked", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, rootCRL},
		{"revoked", []*certtest.Pair{root}, []*certtest.Pair{revoked}, rootCRL},
		{"no list of the intermediate", []*certtest.Pair{root}, []*certtest.Pair{leaf, mid}, rootCRL},
		{"all lists", []*certtest.Pair{root}, []*certtest.Pair{leaf, mid}, append(mid.CRL(t), rootCRL...)},
		{"old list", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, root.CRLAt(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour))},
		{"list of the future", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, root.CRLAt(t, now.Add(24*time.Hour), now.Add(48*time.Hour))},
		{"forged list", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, fake.CRL(t)},
		{"not revoked, version 1", []*certtest.Pair{root}, []*certtest.Pair{root.Issue(t, "a", certtest.Client())}, versionOne(t, root, rootCRL)},
		{"revoked, version 1", []*certtest.Pair{root}, []*certtest.Pair{revoked}, versionOne(t, root, rootCRL)},
		{"forged list, version 1", []*certtest.Pair{root}, []*certtest.Pair{revoked}, versionOne(t, fake, rootCRL)},
		{"revoked and expired", []*certtest.Pair{root}, []*certtest.Pair{revoked}, append(root.CRLAt(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour), revoked), []byte{}...)},
	} {
		var roots []*x509.Certificate
		var trusted, sent []byte
		for _, p := range x.roots {
			roots = append(roots, p.Cert)
			trusted = append(trusted, p.CertPEM()...)
		}
		var peer []*x509.Certificate
		for i, p := range x.chain {
			peer = append(peer, p.Cert)
			if i > 0 {
				sent = append(sent, p.CertPEM()...)
			}
		}
		v := certs.Verification{Roots: certs.NewCA(roots), Usage: x509.ExtKeyUsageClientAuth, Now: now}
		dir := t.TempDir()
		args := []string{"verify", "-purpose", "sslclient", "-trusted", certtest.Write(t, dir, "roots", trusted)}
		if len(sent) > 0 {
			args = append(args, "-untrusted", certtest.Write(t, dir, "chain", sent))
		}
		if x.crl != nil {
			crl, err := certs.ParseCRL(x.crl)
			if err != nil {
				t.Fatal(err)
			}
			v.CRLs = crl
			args = append(args, "-crl_check_all", "-CRLfile", certtest.Write(t, dir, "crl", x.crl))
		}
		args = append(args, certtest.Write(t, dir, "leaf", x.chain[0].CertPEM()))
		var found []string
		v.Verify(peer, func(code, depth int) bool {
			found = append(found, fmt.Sprintf("%d@%d", code, depth))
			return true
		})
		first := ""
		if code := v.Verify(peer, func(code, depth int) bool { first = fmt.Sprintf("%d@%d", code, depth); return false }); (code != certs.OK) != (first != "") {
			t.Errorf("%s: gave %d after %s", x.name, code, first)
		}
		if len(found) > 0 && first != found[0] || len(found) == 0 && first != "" {
			t.Errorf("%s: stops at %s, all are %v", x.name, first, found)
		}
		out, _ := exec.Command("openssl", args...).CombinedOutput()
		var theirs []string
		for _, m := range regexp.MustCompile(`error (\d+) at (\d+) depth lookup`).FindAllStringSubmatch(string(out), -1) {
			theirs = append(theirs, m[1]+"@"+m[2])
		}
		// The program goes on after some errors only: what it has must be the beginning.
		if len(theirs) > len(found) || strings.Join(found[:len(theirs)], " ") != strings.Join(theirs, " ") || len(theirs) == 0 && len(found) > 0 {
			t.Errorf("%s: %v, openssl: %v\n%s", x.name, found, theirs, out)
		}
	}
}

// versionOne makes a list of version 1 of one of version 2, signed by p.
func versionOne(t *testing.T, p *certtest.Pair, list []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(list)
	l, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	in := cryptobyte.String(l.RawTBSRevocationList)
	var version int
	if !in.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Integer(&version) {
		t.Fatal("not a list of version 2")
	}
	var parts []cryptobyte.String
	for !in.Empty() && !in.PeekASN1Tag(cbasn1.Tag(0).ContextSpecific().Constructed()) {
		var part cryptobyte.String
		var tag cbasn1.Tag
		if !in.ReadAnyASN1Element(&part, &tag) {
			t.Fatal("not a list")
		}
		parts = append(parts, part)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, part := range parts {
			b.AddBytes(part)
		}
	})
	tbs := b.BytesOrPanic()
	sum := sha256.Sum256(tbs)
	signature, err := p.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	b = cryptobyte.Builder{}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddBytes(parts[0]) // the algorithm
		b.AddASN1BitString(signature)
	})
	der := b.BytesOrPanic()
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestTrustSettings: certificates with OpenSSL's settings of what they are trusted
// for are refused with a way out, those of the same name without any are taken.
func TestTrustSettings(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	for _, x := range []struct {
		settings []byte
		want     string
	}{
		{nil, ""},
		{[]byte{0x30, 0}, "'openssl x509' writes it without them"},
	} {
		text := pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(ca.Cert.Raw[:len(ca.Cert.Raw):len(ca.Cert.Raw)], x.settings...)})
		_, err := certs.ParseCA(text)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("settings %x: %v", x.settings, err)
		}
	}
}
