package ssl_test

import (
	"bufio"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// compared are the expressions whose values must be the same in both programs.
var compared = []string{
	"ssl_fc", "ssl_fc_alg_keysize", "ssl_fc_use_keysize", "ssl_fc_cipher", "ssl_fc_protocol", "ssl_fc_alpn", "ssl_fc_npn", "ssl_fc_has_sni", "ssl_fc_sni",
	"ssl_fc_has_crt", "ssl_fc_has_early", "ssl_fc_is_resumed", "ssl_fc_err", "ssl_fc_err,hex", "ssl_fc_err_str", "fc_err", "fc_err_str", "fc_http_major",
	"ssl_fc_cipherlist_bin,hex", "ssl_fc_cipherlist_bin(0),hex", "ssl_fc_cipherlist_bin(1),hex", "ssl_fc_cipherlist_str", "ssl_fc_cipherlist_str(1)", "ssl_fc_cipherlist_xxh",
	"ssl_fc_extlist_bin,hex", "ssl_fc_extlist_bin(1),hex", "ssl_fc_eclist_bin,hex", "ssl_fc_eclist_bin(1),hex", "ssl_fc_ecformats_bin,hex", "ssl_fc_protocol_hello_id",
	"ssl_c_used", "ssl_c_verify", "ssl_c_err", "ssl_c_ca_err", "ssl_c_ca_err_depth",
	"ssl_c_der,hex", "ssl_c_sha1,hex", "ssl_c_serial,hex", "ssl_c_version", "ssl_c_key_alg", "ssl_c_sig_alg", "ssl_c_notbefore", "ssl_c_notafter",
	"ssl_c_s_dn", "ssl_c_i_dn", "ssl_c_s_dn(CN)", "ssl_c_s_dn(cn)", "ssl_c_s_dn(OU,2)", "ssl_c_s_dn(OU,-1)", "ssl_c_s_dn(OU,-2)", "ssl_c_s_dn(OU,9)", "ssl_c_s_dn(OU,0)", "ssl_c_s_dn(L)",
	"ssl_c_s_dn(,0,rfc2253)", "ssl_c_i_dn(,0,rfc2253)", "ssl_c_s_dn(1.2.3.4.5)", "ssl_c_s_dn(CN,1,rfc2253)", "ssl_c_chain_der,hex",
	"ssl_f_der,hex", "ssl_f_sha1,hex", "ssl_f_serial,hex", "ssl_f_version", "ssl_f_key_alg", "ssl_f_sig_alg", "ssl_f_notbefore", "ssl_f_notafter", "ssl_f_s_dn", "ssl_f_i_dn(CN)",
	"ssl_c_sha1,base64",
}

// odd makes a subject of attributes with tags that crypto/x509 would not choose.
func odd(t *testing.T) certtest.Option {
	t.Helper()
	type set = []pkix.AttributeTypeAndValue
	attr := func(v any, id ...int) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: id, Value: v}
	}
	der, err := asn1.Marshal(pkix.RDNSequence{
		set{attr("FR", 2, 5, 4, 6)}, set{attr(`Ex, "a" + b\c; <d> =e`, 2, 5, 4, 10)},
		set{attr("one", 2, 5, 4, 11)}, set{attr("two", 2, 5, 4, 11), attr("42", 2, 5, 4, 5)},
		set{attr(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("#Zoë 漢字 ")}, 2, 5, 4, 3)},
		set{attr(asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte("\x00Z\x00o\x00\xeb")}, 2, 5, 4, 13)},
		set{attr(asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte("Zo\xeb")}, 2, 5, 4, 4)},
		set{attr("x", 1, 2, 3, 4, 5)}, set{attr(asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("a@b.c")}, 1, 2, 840, 113549, 1, 9, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return certtest.Template(func(c *x509.Certificate) { c.RawSubject = der })
}

// TestFetchesLikeHAProxy sends the same requests with the same certificates to
// both programs and compares what the fetches say.
func TestFetchesLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "Root", certtest.RSA(2048))
	ca := root.CA(t, "Issuing")
	unknown := certtest.NewCA(t, "Unknown")
	clients := map[string]*certtest.Pair{
		"none":         nil,
		"usual":        root.Issue(t, "client", certtest.Client()),
		"intermediate": ca.Issue(t, "below", certtest.Client(), certtest.Serial(255)),
		"RSA":          root.Issue(t, "rsa", certtest.RSA(2048), certtest.Serial(0x1234)),
		"odd":          root.Issue(t, "odd", odd(t), certtest.ECDSA(elliptic.P384())),
		"Ed25519":      root.Issue(t, "ed", certtest.Ed25519()),
		"expired":      root.Issue(t, "old", certtest.Expired()),
		"self-signed":  certtest.SelfSigned(t, "self"),
		"no issuer":    unknown.Issue(t, "lost"),
		"long life":    root.Issue(t, "long", certtest.Valid(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)), certtest.Template(func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(0xab), 128) })),
		"next century": root.Issue(t, "century", certtest.Valid(time.Date(1999, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC))),
	}
	certtest.Write(t, dir, "ecdsa.pem", root.Issue(t, "ecdsa.test").PEM(t))
	certtest.Write(t, dir, "rsa.pem", root.Issue(t, "rsa.test", certtest.RSA(2048), odd(t)).PEM(t))
	certtest.Write(t, dir, "ca.pem", root.CertPEM())
	var text strings.Builder
	fmt.Fprintf(&text, `global
 crt-base %[1]s
 ca-base %[1]s
 tune.ssl.capture-buffer-size 128
defaults
 mode http
 timeout connect 20s
 timeout server 20s
 timeout client 20s
frontend f
 bind {ec} ssl crt ecdsa.pem ca-file ca.pem verify optional crt-ignore-err all ca-ignore-err all alpn http/1.1
 bind {rsa} ssl crt rsa.pem ca-file ca.pem verify optional crt-ignore-err all ca-ignore-err all alpn http/1.1
 bind {clear}
 http-request return status 200
`, dir)
	for i, e := range compared {
		fmt.Fprintf(&text, " http-after-response set-header x%d \"<%%[%s]>\"\n", i, e)
	}
	text.WriteString("frontend ready\n bind {ready}\n http-request return status 200\n")
	sides := oracle.Run(t, text.String())
	get := func(side *oracle.Side, bind string, cfg *tls.Config) []string {
		return fields(t, side, bind, cfg, len(compared))
	}
	same := func(what, bind string, cfg *tls.Config) {
		ours, theirs := get(sides[0], bind, cfg), get(sides[1], bind, cfg)
		for i, e := range compared {
			if ours[i] != theirs[i] {
				t.Errorf("%s, %s, %s: %s, HAProxy: %s", what, bind, e, ours[i], theirs[i])
			}
		}
	}
	same("clear", "clear", nil)
	for name, c := range clients {
		for _, bind := range []string{"ec", "rsa"} {
			cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "A.example"}
			if c != nil {
				own := c.TLS()
				cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
			}
			// TLS_AES_128_GCM_SHA256 is what crypto/tls chooses, OpenSSL would take
			// another one: the versions below have one suite in common.
			cfg.MaxVersion = tls.VersionTLS12
			cfg.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
			same(name+", TLS 1.2", bind, cfg)
		}
	}
	plain := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	same("no name, ALPN", "ec", plain)
}

// TestNamesInConditionsLikeHAProxy matches the names that clients ask for.
func TestNamesInConditionsLikeHAProxy(t *testing.T) {
	dir := t.TempDir()
	certtest.Write(t, dir, "a.pem", certtest.SelfSigned(t, "a.test").PEM(t))
	sides := oracle.Run(t, fmt.Sprintf(`global
 crt-base %s
defaults
 mode http
 timeout client 20s
frontend f
 bind {f} ssl crt a.pem
 acl ours ssl_fc_sni_end -i .ours.example
 http-request return status 200 hdr x0 ours if ours
 http-request return status 200 hdr x0 pattern if { ssl_fc_sni_reg ^[a-c]+\.example$ }
 http-request return status 200 hdr x0 other
frontend ready
 bind {ready}
 http-request return status 200
`, dir))
	for name, want := range map[string]string{"www.ours.example": "ours", "WWW.OURS.EXAMPLE": "ours", "abc.example": "pattern", "abcd.example": "other", "ours.example": "other"} {
		for _, side := range sides {
			if got := fields(t, side, "f", &tls.Config{InsecureSkipVerify: true, ServerName: name}, 1)[0]; got != want {
				t.Errorf("%s, %s: %q, want %q", side.Name, name, got, want)
			}
		}
	}
}

// fields gives the fields x0, x1 … of the response to a request. The client is in
// clear if cfg is nil.
func fields(t *testing.T, side *oracle.Side, bind string, cfg *tls.Config, n int) []string {
	t.Helper()
	return requestOver(t, side, bind, func(c net.Conn) net.Conn {
		if cfg != nil {
			c = tls.Client(c, cfg)
		}
		return c
	}, n)
}

// requestOver does the same over what a function makes of the connection.
func requestOver(t *testing.T, side *oracle.Side, bind string, over func(net.Conn) net.Conn, n int) []string {
	t.Helper()
	c, err := net.Dial("tcp", side.Addr(bind))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	c = over(c)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: name.example\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s, %s: %v", side.Name, bind, err)
	}
	io.Copy(io.Discard, res.Body) // tickets come before the end
	out := make([]string, n)
	for i := range out {
		out[i] = res.Header.Get(fmt.Sprintf("x%d", i))
	}
	return out
}

// comparedBack are the same of connections to servers.
var comparedBack = []string{
	"ssl_bc", "ssl_bc_alg_keysize", "ssl_bc_use_keysize", "ssl_bc_cipher", "ssl_bc_protocol", "ssl_bc_alpn", "ssl_bc_npn", "ssl_bc_is_resumed", "ssl_bc_err", "ssl_bc_err_str",
	"bc_err", "bc_err_str", "bc_http_major", "ssl_s_der,hex", "ssl_s_sha1,hex", "ssl_s_serial,hex", "ssl_s_version", "ssl_s_key_alg", "ssl_s_sig_alg", "ssl_s_notbefore", "ssl_s_notafter",
	"ssl_s_s_dn", "ssl_s_i_dn(CN)", "ssl_s_s_dn(,0,rfc2253)", "ssl_s_chain_der,hex",
}

// TestServerFetchesLikeHAProxy does the same with fetches of servers.
func TestServerFetchesLikeHAProxy(t *testing.T) {
	root := certtest.NewCA(t, "Root", certtest.RSA(2048))
	own := root.CA(t, "Issuing").Issue(t, "server.test", odd(t)).TLS()
	origin := func(cfg *tls.Config) string {
		cfg.Certificates = []tls.Certificate{own}
		l, err := tls.Listen("tcp4", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		return l.Addr().String()
	}
	suite := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
	servers := map[string]string{
		"tls12": origin(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: suite}) + " ssl verify none",
		"alpn":  origin(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: suite, NextProtos: []string{"http/1.1"}}) + " ssl verify none alpn http/1.1",
		"clear": oracle.Origin(t),
	}
	var text strings.Builder
	text.WriteString("global\n nbthread 1\ndefaults\n mode http\n timeout connect 20s\n timeout server 20s\n timeout client 20s\n http-reuse never\n")
	for name, server := range servers {
		fmt.Fprintf(&text, "listen %s\n bind {%s}\n server s %s\n", name, name, server)
		for i, e := range comparedBack {
			fmt.Fprintf(&text, " http-response set-header x%d \"<%%[%s]>\"\n", i, e)
		}
	}
	text.WriteString("frontend ready\n bind {ready}\n http-request return status 200\n")
	sides := oracle.Run(t, strings.ReplaceAll(text.String(), "tls12", "tlsa"))
	for _, name := range []string{"tlsa", "alpn", "clear"} {
		for range 2 { // the second one resumes
			ours, theirs := fields(t, sides[0], name, nil, len(comparedBack)), fields(t, sides[1], name, nil, len(comparedBack))
			for i, e := range comparedBack {
				if ours[i] != theirs[i] {
					t.Errorf("%s, %s: %s, HAProxy: %s", name, e, ours[i], theirs[i])
				}
			}
		}
	}
}
