package runtime

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

// shown are replies of HAProxy 2.6, and of the manual of 3.4, with what they say. An error is want "!".
var shown = []struct {
	name  string
	parse func(reply string) (any, error)
	reply string
	want  string
}{
	{"certificates", names, "# filename\n/etc/ssl/other.pem\na b\nsite.pem", `["/etc/ssl/other.pem","a b","site.pem"]`},
	{"one in a transaction", names, "# transaction\n*test.pem\n# filename\ntest.pem", `["test.pem"]`},
	{"a transaction", transaction, "# transaction\n*test.pem\n# filename\ntest.pem", `"test.pem"`},
	{"a transaction of authorities", transaction, "# transaction\n*ca - 1 certificate(s)\n# filename", `"ca"`},
	{"no transaction", transaction, "# filename\n*test.pem", `""`},
	{"no certificates", names, "# filename", `[]`},
	{"not a list", names, "Unknown command, but maybe one of the following ones is a better match:", "!"},
	{"authorities", authorities, "# transaction\n*n - 1 certificate(s)\n# filename\n@system-ca - 145 certificate(s)\na - b - 0 certificate(s)",
		`[{"file":"@system-ca","storage_name":"@system-ca","count":"145"},{"file":"a - b","storage_name":"a - b","count":"0"}]`},
	{"authorities without a count", authorities, "# filename\ncas.pem", "!"},

	{"certificate", certificates, `Filename: site.pem
Status: Used
Serial: 1B65B4E43114444074E12BADA1700FC559927F7F
notBefore: Nov  3 06:04:30 2026 GMT
notAfter: Nov 23 06:04:30 2027 GMT
Subject Alternative Name: DNS:site.example, DNS:*.site.example, ` + `
Algorithm: EC256
SHA1 FingerPrint: 30357F9994DE5152D1D625E17F13E0E16B6CC9C1
Subject: /O=x/CN=site: 1
Issuer: /C=DE/O=My Org/CN=ca one
Chain Subject: /C=DE/O=My Org/CN=ca one
Chain Issuer: /CN=root
Chain Subject: /CN=root
Chain Issuer: /CN=root
OCSP Response Key: 303b300906
`, `[{"file":"site.pem","storage_name":"site.pem","status":"Used","serial":"1B65B4E43114444074E12BADA1700FC559927F7F",
"not_before":"2026-11-03T06:04:30Z","not_after":"2027-11-23T06:04:30Z",
"subject_alternative_names":"DNS:site.example, DNS:*.site.example,","domains":"site.example, *.site.example","algorithm":"EC256",
"sha1_finger_print":"30357F9994DE5152D1D625E17F13E0E16B6CC9C1","subject":"/O=x/CN=site: 1","issuers":"/C=DE/O=My Org/CN=ca one",
"chain_subject":"/C=DE/O=My Org/CN=ca one","chain_issuer":"/CN=root"}]`},
	{"certificate, another order", certificates, `Filename: test.local.pem
Status: Unused
Serial: 03ECC1
notBefore: yesterday
Issuer: /C=US/O=Let's Encrypt
Subject: /CN=test.local`, `[{"file":"test.local.pem","storage_name":"test.local.pem","status":"Unused","serial":"03ECC1","subject":"/CN=test.local","issuers":"/C=US/O=Let's Encrypt"}]`},
	{"empty certificate", certificates, "Filename: n.pem\nStatus: Empty\nOCSP Response Key: \n", `[{"file":"n.pem","storage_name":"n.pem","status":"Empty"}]`},
	{"unknown certificate", certificates, "Can't display the certificate: Not found or the certificate is a bundle!", "!"},
	{"details of authorities", certificates, `Filename: cas.pem
Status: Used
` + " " + `
Certificate #1:
Serial: 06A6
Subject Alternative Name: ` + `
Algorithm: EC256
Subject: /CN=one
Issuer: /CN=one
` + " " + `
Certificate #2:
Serial: 6A40
Algorithm: RSA2048
Subject: /CN=two
Issuer: /CN=two
`, `[{"file":"cas.pem","storage_name":"cas.pem","status":"Used","serial":"06A6","algorithm":"EC256","subject":"/CN=one","issuers":"/CN=one"},
{"file":"cas.pem","storage_name":"cas.pem","status":"Used","serial":"6A40","algorithm":"RSA2048","subject":"/CN=two","issuers":"/CN=two"}]`},
	{"no authorities", certificates, "", `[]`},

	{"revocation lists", revocations, `Filename: /etc/crl.pem
Status: Used

Certificate Revocation List #1:
Version 2
Signature Algorithm: sha256WithRSAEncryption
Issuer: /C=FR/CN=Intermediate CA2
Last Update: Apr 23 14:45:39 2021 GMT
Next Update: Sep  8 14:45:39 2048 GMT
Revoked Certificates:
    Serial Number: 1008
        Revocation Date: Apr 23 14:45:36 2021 GMT
    Serial Number: 1009
        Revocation Date: Apr 24 14:45:36 2021 GMT

Certificate Revocation List #2:
Version 1
Signature Algorithm: ecdsa-with-SHA256
Issuer: /C=FR/CN=Root CA
Last Update: Apr 23 14:30:44 2021 GMT
Next Update: NONE
No Revoked Certificates.`, `[{"storage_name":"/etc/crl.pem","status":"Used","version":"2","signature_algorithm":"sha256WithRSAEncryption","issuer":"/C=FR/CN=Intermediate CA2",
"last_update":"2021-04-23","next_update":"2048-09-08","revoked_certificates":[{"serial_number":"1008","revocation_date":"2021-04-23"},{"serial_number":"1009","revocation_date":"2021-04-24"}]},
{"storage_name":"/etc/crl.pem","status":"Used","version":"1","signature_algorithm":"ecdsa-with-SHA256","issuer":"/C=FR/CN=Root CA","last_update":"2021-04-23"}]`},
	{"empty file of revocation lists", revocations, "Filename: n\nStatus: Empty", `[]`},
	{"unknown file of revocation lists", revocations, "Can't display the CRL file : Not found!", "!"},

	{"crt-lists", lists, "a.txt\n/etc/b\n", `["a.txt","/etc/b"]`},
	{"no crt-lists", lists, "", `null`},
	{"entries", entries, "# l.txt\n/tmp/site.pem:1 [alpn h2\x00 verify none] site.example !x.site.example\nc:4\n",
		`[{"File":"/tmp/site.pem","Options":"alpn h2 verify none","Filters":["site.example","!x.site.example"],"Line":1},{"File":"c","Options":"","Filters":[],"Line":4}]`},
	{"no entries", entries, "# l.txt", `[]`},
	{"unknown list", entries, "didn't find the specified filename", "!"},
	{"an entry without a line", entries, "# l.txt\nsite.pem", "!"},
	{"an entry with a bad line", entries, "# l.txt\nsite.pem:99999999999999999999", "!"},
	{"an entry that is none", entries, "# l.txt\nsite.pem:1 [alpn", "!"},
}

func names(s string) (any, error)        { return ParseNames(s) }
func transaction(s string) (any, error)  { return ParseTransaction(s), nil }
func authorities(s string) (any, error)  { return ParseAuthorities(s) }
func certificates(s string) (any, error) { return ParseCertificates(s) }
func revocations(s string) (any, error)  { return ParseRevocationLists(s) }
func lists(s string) (any, error)        { return ParseLists(s), nil }
func entries(s string) (any, error)      { return ParseEntries(s) }

func TestShowSSL(t *testing.T) {
	for _, c := range shown {
		got, err := c.parse(c.reply)
		if c.want == "!" {
			if err == nil {
				t.Errorf("%s: %+v", c.name, got)
			}
			continue
		}
		data, merr := json.Marshal(got)
		var have, want any
		if e := errors.Join(err, merr, json.Unmarshal(data, &have), json.Unmarshal([]byte(c.want), &want)); e != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, e, data, c.want)
		}
	}
}

func FuzzShowSSL(f *testing.F) {
	for _, c := range shown {
		f.Add(c.reply)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		for _, c := range shown {
			if got, err := c.parse(reply); err == nil {
				if _, err := json.Marshal(got); err != nil {
					t.Errorf("%s: %+v: %v", c.name, got, err)
				}
			}
		}
		list, err := ParseEntries(reply)
		for _, e := range list {
			if err == nil && e.File == "" {
				t.Errorf("an entry without a certificate: %+v", e)
			}
		}
	})
}
