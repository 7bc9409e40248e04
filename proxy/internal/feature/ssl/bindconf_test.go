package ssl_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// badFiles writes certificates and files that are wrong in many ways.
func badFiles(t *testing.T) (dir string) {
	dir = t.TempDir()
	ca := certtest.NewCA(t, "ca")
	a, b := ca.Issue(t, "a.test"), ca.Issue(t, "b.test")
	key := a.KeyPEM(t)
	for name, text := range map[string]string{
		"a.pem": string(a.PEM(t)), "b.pem": string(b.PEM(t)), "ca.pem": string(ca.CertPEM()), "ca-key.pem": string(ca.PEM(t)), "crl.pem": string(ca.CRL(t)),
		"mismatch.pem": string(a.CertPEM()) + string(b.KeyPEM(t)),
		"nokey.pem":    string(a.CertPEM()), "onlykey.pem": string(key), "junk.pem": "junk\n", "empty.pem": "",
		"badchain.pem": string(a.CertPEM()) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + string(key),
		"beside.pem":   string(a.CertPEM()), "beside.pem.key": string(key),
		"badsctl.pem": string(a.PEM(t)), "badsctl.pem.sctl": "junk",
		"badocsp.pem": string(a.PEM(t)), "badocsp.pem.ocsp": "junk",
		"bundle.pem.rsa": string(ca.Issue(t, "a.test", certtest.RSA(2048)).PEM(t)), "bundle.pem.ecdsa": string(a.PEM(t)),
		"dir/a.pem": string(a.PEM(t)), "dir/b.pem": string(b.CertPEM()), "dir/b.pem.key": string(b.KeyPEM(t)), "dir/.x": "junk",
		"badir/a.pem": string(a.PEM(t)), "badir/b.pem": "junk",
		"empty/.x":  "",
		"good.list": "a.pem\nb.pem [alpn h2 ca-file ca.pem verify optional] x.test !y.test\n", "bad.list": "a.pem\nb.pem [foo]\n",
		"missing.list": "nothing.pem\n", "wrong.list": "a.pem [ca-file nothing verify required]\n", "empty.list": "# nothing\n", "nolf.list": "a.pem",
		"noca.list": "a.pem\nb.pem [verify optional]\n", "ca.list": "a.pem [ca-file ca.pem]\nb.pem [verify none]\n", "nocipher.list": "a.pem\n\nb.pem [ciphers NOPE]\n",
		"twokeys.list": "beside.pem [key onlykey.pem] x.test\nbeside.pem [key b.pem] y.test\n", "onekey.list": "beside.pem [key onlykey.pem] x.test\nbeside.pem [key onlykey.pem alpn h2] y.test\nbeside.pem\n",
		"k48": strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 48))+"\n", 3),
		"k80": strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 80))+"\n", 4),
		"few": base64.StdEncoding.EncodeToString(make([]byte, 48)) + "\n", "mixed": base64.StdEncoding.EncodeToString(make([]byte, 48)) + "\n" + base64.StdEncoding.EncodeToString(make([]byte, 80)) + "\n",
	} {
		certtest.Write(t, dir, name, []byte(text))
	}
	return dir
}

// TestBindErrorsLikeHAProxy loads lines in both programs: they must agree, and what
// is refused must be refused in the same words.
func TestBindErrorsLikeHAProxy(t *testing.T) {
	dir := badFiles(t)
	for _, x := range []struct {
		options string
		want    string // in our messages; "": it loads
		differs string // why HAProxy 2.6 says something else, or why the words are others
	}{
		{options: "ssl crt a.pem"},
		{options: "ssl", want: "Proxy 'fe': no SSL certificate specified for bind '127.0.0.1:0' at [t.cfg:10] (use 'crt')."},
		{options: "crt a.pem"},
		{options: "crt junk.pem", want: "unable to load certificate from file 'DIR/junk.pem'."},
		{options: "ssl crt mismatch.pem", want: "inconsistencies between private key and certificate loaded 'DIR/mismatch.pem'."},
		{options: "ssl crt nokey.pem", want: "No Private Key found in 'DIR/nokey.pem.key'."},
		{options: "ssl crt onlykey.pem", want: "unable to load certificate from file 'DIR/onlykey.pem'."},
		{options: "ssl crt junk.pem", want: "unable to load certificate from file 'DIR/junk.pem'."},
		{options: "ssl crt empty.pem", want: "unable to load certificate from file 'DIR/empty.pem'."},
		{options: "ssl crt badchain.pem", want: "unable to load certificate chain from file 'DIR/badchain.pem'", differs: "the reason is told"},
		{options: "ssl crt nothing.pem", want: "unable to stat SSL certificate from file 'DIR/nothing.pem' : No such file or directory."},
		{options: "ssl crt beside.pem"},
		{options: "ssl crt bundle.pem"},
		{options: "ssl crt dir"},
		{options: "ssl crt badir", want: "unable to load certificate from file 'DIR/badir/b.pem'."},
		{options: "ssl crt empty", want: "no SSL certificate specified for bind '127.0.0.1:0' at [t.cfg:10] (use 'crt')."},
		{options: "ssl crt empty strict-sni"},
		{options: "ssl strict-sni"},
		{options: "ssl crt badsctl.pem", want: "'DIR/badsctl.pem.sctl' is present but cannot be read or parsed.", differs: "2.6 doubles the extension and has a stray quote"},
		{options: "ssl crt badocsp.pem", want: "'DIR/badocsp.pem.ocsp' is present and activates OCSP but it is impossible to compute the OCSP certificate ID (maybe the issuer could not be found).", differs: "2.6 has a stray quote"},
		{options: "ssl crt", want: "'crt' : missing certificate location"},
		{options: "ssl crt-list", want: "'crt-list' : missing certificate location"},
		{options: "ssl crt-list nothing", want: "'crt-list' : cannot open file 'nothing' : No such file or directory"},
		{options: "ssl crt-list DIR/good.list"},
		{options: "ssl crt-list DIR/bad.list", want: "'crt-list' : parsing [DIR/bad.list:2]: unknown ssl keyword foo"},
		{options: "ssl crt-list DIR/missing.list", want: "'crt-list' : parsing [DIR/missing.list:1]: unable to stat SSL certificate from file 'DIR/nothing.pem' : No such file or directory.", differs: "the line is told"},
		{options: "ssl crt-list DIR/wrong.list", want: "'crt-list' : parsing [DIR/wrong.list:1]: 'ca-file' : unable to load DIR/nothing", differs: "the line is told"},
		{options: "ssl crt-list DIR/noca.list", want: "Proxy 'fe': verify is enabled but no CA file specified for bind '127.0.0.1:0' at [t.cfg:10]."},
		{options: "ssl crt-list DIR/noca.list ca-file ca.pem"},
		{options: "ssl crt-list DIR/noca.list", want: "parsing [DIR/noca.list:2]: Proxy 'fe': verify", differs: "the line is told"},
		{options: "ssl verify required crt-list DIR/ca.list", want: "Proxy 'fe': verify is enabled but no CA file specified for bind '127.0.0.1:0' at [t.cfg:10]."},
		{options: "ssl verify required crt-list DIR/ca.list ca-file ca.pem"},
		{options: "ssl crt-list DIR/nocipher.list", want: "parsing [DIR/nocipher.list:3]: unable to set SSL cipher list to 'NOPE'", differs: "the line is told"},
		{options: "ssl crt-list DIR/twokeys.list", want: "parsing [DIR/twokeys.list:2]: 'DIR/beside.pem' is already defined with incompatible parameters: different parameter 'key' : previously 'DIR/onlykey.pem' vs 'DIR/b.pem'.", differs: "2.6 knows no files in lists"},
		{options: "ssl crt beside.pem crt-list DIR/onekey.list", want: "parsing [DIR/onekey.list:1]: 'DIR/beside.pem' is already defined with incompatible parameters: different parameter 'key' : previously '' vs 'DIR/onlykey.pem'.", differs: "2.6 knows no files in lists"},
		{options: "ssl crt-list DIR/onekey.list", differs: "2.6 knows no files in lists"},
		{options: "ssl crt-list DIR/empty.list", want: "no SSL certificate specified for bind '127.0.0.1:0' at [t.cfg:10] (use 'crt')."},
		{options: "ssl crt-list DIR/nolf.list", want: "parsing [DIR/nolf.list:1]: Missing LF on last line, file might have been truncated at position 6."},
		{options: "ssl crt a.pem ca-file ca.pem"},
		{options: "ssl crt a.pem ca-file", want: "'ca-file' : missing CAfile path"},
		{options: "ssl crt a.pem ca-file nothing", want: "'ca-file' : unable to load DIR/nothing"},
		{options: "ssl crt a.pem ca-file junk.pem", want: "'ca-file' : unable to load DIR/junk.pem"},
		{options: "ssl crt a.pem ca-verify-file nothing", want: "'ca-verify-file' : unable to load DIR/nothing"},
		{options: "ssl crt a.pem crl-file nothing", want: "'crl-file' : unable to load DIR/nothing"},
		{options: "ssl crt a.pem crl-file junk.pem verify required ca-file ca.pem", want: "'crl-file' : unable to load DIR/junk.pem"},
		{options: "ssl crt a.pem crl-file crl.pem verify required ca-file ca.pem"},
		{options: "ssl crt a.pem ca-file DIR/dir verify optional"},
		{options: "ssl crt a.pem ca-file @system-ca verify optional", differs: "2.6 does not have it on bind lines"},
		{options: "ssl crt a.pem verify", want: "'verify' : missing verify method"},
		{options: "ssl crt a.pem verify x", want: "'verify' : unknown verify method 'x', only 'none', 'optional', and 'required' are supported"},
		{options: "ssl crt a.pem verify required", want: "Proxy 'fe': verify is enabled but no CA file specified for bind '127.0.0.1:0' at [t.cfg:10]."},
		{options: "ssl crt a.pem verify optional ca-verify-file ca.pem", differs: ""},
		{options: "ssl crt a.pem crt-ignore-err", want: "'crt-ignore-err' : missing error IDs list"},
		{options: "ssl crt a.pem crt-ignore-err 10,all", want: "'crt-ignore-err' : ID '", differs: "the word is told, not the number 0"},
		{options: "ssl crt a.pem crt-ignore-err 1000", want: "'crt-ignore-err' : ID '1000' out of range (1..94) in error IDs list '1000'"},
		{options: "ssl crt a.pem ca-ignore-err all crt-ignore-err 10,18"},
		{options: "ssl crt a.pem ca-ignore-err X509_V_ERR_CERT_HAS_EXPIRED", differs: "2.6 knows no names"},
		{options: "ssl crt a.pem alpn", want: "'alpn' : missing the comma-delimited ALPN protocol suite"},
		{options: "ssl crt a.pem alpn h2,,x"},
		{options: "ssl crt a.pem npn http/1.1", want: "'npn' : NPN is not available", differs: "HAProxy has it"},
		{options: "ssl crt a.pem allow-0rtt", want: "'allow-0rtt' : early data is not available", differs: "HAProxy has it"},
		{options: "ssl crt a.pem tls-ticket-keys", want: "'tls-ticket-keys' : missing TLS ticket keys file path"},
		{options: "ssl crt a.pem tls-ticket-keys nothing", want: "'nothing' : unable to load ssl tickets keys file"},
		{options: "ssl crt a.pem tls-ticket-keys DIR/k48"},
		{options: "ssl crt a.pem tls-ticket-keys DIR/k80"},
		{options: "ssl crt a.pem tls-ticket-keys DIR/few", want: "please supply at least 3 keys in the tls-tickets-file"},
		{options: "ssl crt a.pem tls-ticket-keys DIR/mixed", want: "wrong sized key on line 2"},
		{options: "ssl crt a.pem tls-ticket-keys DIR/junk.pem", want: "on line 1", differs: "2.6 decodes it and says that it is short"},
		{options: "ssl crt a.pem generate-certificates", want: "Proxy 'fe': cannot enable certificate generation, no CA certificate File configured at [t.cfg:10]."},
		{options: "ssl crt a.pem generate-certificates ca-sign-file ca.pem", want: "Proxy 'fe': Failed to read CA certificate file 'DIR/ca.pem' at [t.cfg:10]. Chain loading failed: No Private Key found in 'DIR/ca.pem.key'."},
		{options: "ssl crt a.pem generate-certificates ca-sign-file nothing", want: "Proxy 'fe': Failed to read CA certificate file 'DIR/nothing' at [t.cfg:10]. Chain loading failed: cannot open the file 'DIR/nothing'."},
		{options: "ssl crt a.pem generate-certificates ca-sign-file ca-key.pem"},
		{options: "ssl crt a.pem ca-sign-file", want: "'ca-sign-file' : missing CAfile path"},
		{options: "ssl crt a.pem default-crt b.pem no-strict-sni", differs: "2.6 does not have them"},
		{options: "ssl crt a.pem default-crt junk.pem", want: "unable to load certificate from file 'DIR/junk.pem'.", differs: "2.6 does not have it"},
		{options: "ssl crt a.pem no-alpn", differs: "2.6 does not have it"},
		{options: "ssl crt a.pem no-ca-names ca-file ca.pem verify optional"},
		{options: "ssl crt a.pem ktls on", want: "'ktls' : TLS in the kernel is not available", differs: "2.6 does not have it"},
		{options: "ssl crt a.pem ech dir", want: "'ech' : it is experimental in HAProxy 3.4, and not available", differs: "2.6 does not have it"},
	} {
		text := strings.ReplaceAll("global\n crt-base DIR\n ca-base DIR\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend fe\n bind 127.0.0.1:0 "+x.options+"\n", "DIR", dir)
		text = strings.ReplaceAll(text, "127.0.0.1:0", "127.0.0.1:21499")
		want := strings.ReplaceAll(strings.ReplaceAll(x.want, "DIR", dir), "127.0.0.1:0", "127.0.0.1:21499")
		ours, theirs := oracle.Check(t, text)
		place := regexp.MustCompile(`/[^ ]*t\.cfg`)
		ours.Text, theirs.Text = place.ReplaceAllString(ours.Text, "t.cfg"), place.ReplaceAllString(theirs.Text, "t.cfg")
		if ours.OK != (x.want == "") || !strings.Contains(ours.Text, want) {
			t.Errorf("%s: loads: %v, %s\nwant %q", x.options, ours.OK, ours.Text, want)
		}
		if x.differs == "" && (ours.OK != theirs.OK || !strings.Contains(theirs.Text, want)) {
			t.Errorf("%s: we load it: %v; HAProxy: %v, %s\nwant %q", x.options, ours.OK, theirs.OK, theirs.Text, want)
		}
	}
}
