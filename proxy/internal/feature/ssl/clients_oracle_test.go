package ssl_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// fetchBody makes a request under TLS on a connection of its own and gives the
// body, or "refused".
func fetchBody(t *testing.T, addr string, cfg *tls.Config) (string, tls.ConnectionState) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	s := tls.Client(c, cfg)
	if s.Handshake() != nil {
		return "refused", tls.ConnectionState{}
	}
	// In TLS 1.3 the server's verdict comes after our side of the handshake.
	fmt.Fprintf(s, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil {
		return "refused", tls.ConnectionState{}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("%s: the body: %v", addr, err)
	}
	return string(body), s.ConnectionState()
}

// alertFor gives the alert that ends a connection of a client that is not let in.
func alertFor(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	s := tls.Client(c, cfg)
	if err = s.Handshake(); err == nil {
		_, err = s.Read(make([]byte, 1)) // in TLS 1.3 it comes after our side of the handshake
	}
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return fmt.Sprintf("no alert: %v", err)
	}
	return alert.Err.Error()
}

// TestClientsLikeHAProxy shows certificates of many kinds to both programs: who is
// let in must be the same, and so must what the fetches say of it.
func TestClientsLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	root, other := certtest.NewCA(t, "root"), certtest.NewCA(t, "other")
	mid := root.CA(t, "middle")
	old := root.CA(t, "old", certtest.Expired())
	revoked := root.Issue(t, "revoked", certtest.Client())
	for name, data := range map[string][]byte{
		"site.pem": root.Issue(t, "site.test").PEM(t), "root.pem": root.CertPEM(), "mid.pem": mid.CertPEM(), "other.pem": other.CertPEM(),
		"crl.pem": root.CRL(t, revoked), "both.pem": append(root.CRL(t, revoked), mid.CRL(t)...), "oldcrl.pem": root.CRLAt(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)),
		// a folder: all authorities in it
		"cas/root.pem": root.CertPEM(), "cas/other.cer": other.CertPEM(), "cas/one.crl": root.CRL(t), "cas/.hidden.pem": []byte("junk"), "cas/notes.txt": []byte("junk"), "cas/more/mid.pem": mid.CertPEM(),
	} {
		certtest.Write(t, dir, name, data)
	}
	list := certtest.Write(t, dir, "list", []byte("site.pem [verify required ca-file root.pem] strict.test\nsite.pem [verify none] open.test\nsite.pem [ca-file other.pem] other.test\nsite.pem\n"))
	people := []struct {
		name string
		pair *certtest.Pair
	}{
		{"nobody", nil},
		{"good", root.Issue(t, "good", certtest.Client())},
		{"RSA", root.Issue(t, "rsa", certtest.Client(), certtest.RSA(2048))},
		{"below the middle", mid.Issue(t, "good", certtest.Client())},
		{"below the middle, without it", func() *certtest.Pair { p := mid.Issue(t, "good", certtest.Client()); p.Issuer = p; return p }()},
		{"stranger", other.Issue(t, "stranger", certtest.Client())},
		{"alone", certtest.SelfSigned(t, "alone", certtest.Client())},
		{"expired", root.Issue(t, "expired", certtest.Client(), certtest.Expired())},
		{"early", root.Issue(t, "early", certtest.Client(), certtest.NotYet())},
		{"below the old", old.Issue(t, "x", certtest.Client())},
		{"revoked", revoked},
		{"expired stranger", other.Issue(t, "x", certtest.Client(), certtest.Expired())},
	}
	cases := []string{
		"verify none ca-file root.pem",
		"verify optional ca-file root.pem",
		"verify required ca-file root.pem",
		"verify required ca-file other.pem",
		"verify required ca-file mid.pem",
		"verify required ca-file mid.pem ca-verify-file root.pem",
		"verify optional ca-verify-file root.pem",
		"verify required ca-file root.pem no-ca-names",
		"verify required ca-file root.pem crl-file crl.pem",
		"verify required ca-file root.pem crl-file both.pem",
		"verify required ca-file root.pem crl-file oldcrl.pem",
		"verify optional ca-file root.pem crt-ignore-err all",
		"verify optional ca-file root.pem ca-ignore-err all",
		"verify required ca-file root.pem crt-ignore-err all ca-ignore-err all",
		"verify required ca-file root.pem crt-ignore-err 10,18,9",
		"verify required ca-file root.pem ca-ignore-err 10 crt-ignore-err 20,21",
		"verify required ca-file root.pem crl-file crl.pem crt-ignore-err all ca-ignore-err all",
		"verify required ca-file cas",
		"verify required ca-file cas crl-file both.pem",
		"crt-list " + list,
		"verify required ca-file other.pem crt-list " + list,
	}
	var text strings.Builder
	fmt.Fprintf(&text, "global\n crt-base %s\n ca-base %s\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n", dir, dir)
	for i, options := range cases {
		crt := "crt site.pem"
		if strings.Contains(options, "crt-list") {
			crt = ""
		}
		fmt.Fprintf(&text, "frontend f%d\n bind {c%d} ssl alpn http/1.1 %s %s\n http-request return status 200 content-type text/plain lf-string \"used %%[ssl_c_used] has %%[ssl_fc_has_crt] verify %%[ssl_c_verify] err %%[ssl_c_err] ca %%[ssl_c_ca_err] at %%[ssl_c_ca_err_depth] %%[ssl_c_s_dn]\"\n", i, i, crt, options)
	}
	text.WriteString("frontend ready\n bind {ready}\n http-request return status 200\n")
	sides := oracle.Run(t, text.String())
	for i, options := range cases {
		names := []string{"site.test"}
		if strings.Contains(options, "crt-list") {
			names = append(names, "strict.test", "open.test", "other.test")
		}
		for _, who := range people {
			for _, name := range names {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					cfg := &tls.Config{InsecureSkipVerify: true, ServerName: name, MaxVersion: version}
					if who.pair != nil {
						cert := who.pair.TLS()
						// whatever authorities the server names
						cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
					}
					addr := fmt.Sprintf("c%d", i)
					ours, _ := fetchBody(t, sides[0].Addr(addr), cfg)
					theirs, _ := fetchBody(t, sides[1].Addr(addr), cfg)
					refused := ours == "refused"
					if refused && theirs == ours {
						ours, theirs = alertFor(t, sides[0].Addr(addr), cfg), alertFor(t, sides[1].Addr(addr), cfg)
					}
					if ours != theirs {
						t.Errorf("%s, %s as %s (%s): %s\nHAProxy: %s", options, who.name, name, tls.VersionName(version), ours, theirs)
					}
					// crypto/tls never resumes for a certificate that has expired.
					if again := resumedBody(t, sides[0].Addr(addr), cfg); !refused && again != ours && !strings.HasPrefix(who.name, "expired") {
						t.Errorf("%s, %s as %s (%s): resumed: %s\nfirst: %s", options, who.name, name, tls.VersionName(version), again, ours)
					}
				}
			}
		}
	}
}

// resumedBody makes two connections and gives what the second one, which resumes
// the session of the first, was told.
func resumedBody(t *testing.T, addr string, cfg *tls.Config) string {
	t.Helper()
	cfg = cfg.Clone()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	fetchBody(t, addr, cfg)
	body, state := fetchBody(t, addr, cfg)
	if !state.DidResume && body != "refused" {
		return "not resumed: " + body
	}
	return strings.Replace(body, "used 1 has 0", "used 1 has 1", 1)
}
