package certs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

type disk struct{}

func (disk) ReadFile(name string) ([]byte, error)       { return os.ReadFile(name) }
func (disk) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

var all = certs.Extra{Bundle: true, Key: true, OCSP: true, Issuer: true, SCTL: true}

func loader() *certs.Loader { return &certs.Loader{Files: disk{}, Store: &certs.Store{}, Extra: all} }

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewCA(t, "ca")
	a, r := ca.Issue(t, "a.test"), ca.Issue(t, "a.test", certtest.RSA(2048))
	write := func(name string, data []byte) { certtest.Write(t, dir, name, data) }
	write("a.pem", a.PEM(t))
	write("split.crt", a.CertPEM())
	write("split.crt.key", a.KeyPEM(t))
	write("short.crt", a.CertPEM())
	write("short.key", a.KeyPEM(t))
	write("nokey.pem", a.CertPEM())
	write("two.pem.rsa", r.PEM(t))
	write("two.pem.ecdsa", a.CertPEM())
	write("two.pem.ecdsa.key", a.KeyPEM(t))
	write("full.pem", a.PEM(t))
	write("full.pem.issuer", ca.CertPEM())
	write("full.pem.sctl", []byte("\x00\x05\x00\x03abc"))
	response := a.OCSP(t)
	write("full.pem.ocsp", response)
	write("stale.pem", a.PEM(t))
	write("stale.pem.issuer", ca.CertPEM())
	write("stale.pem.ocsp", r.OCSP(t))
	write("wrong.pem", a.PEM(t))
	write("wrong.pem.issuer", a.CertPEM())
	write("broken.pem", append(a.CertPEM(), r.KeyPEM(t)...))
	for _, x := range []struct {
		name  string
		extra certs.Extra
		want  string // names in the store, or the error
	}{
		{"a.pem", all, "a.pem"},
		{"split.crt", all, "split.crt"},
		{"split.crt", certs.Extra{Bundle: true}, "No Private Key found in 'DIR/split.crt'."},
		{"short.crt", certs.Extra{Key: true, ReplaceExtension: true}, "short.crt"},
		{"short.crt", all, "No Private Key found in 'DIR/short.crt.key'."},
		{"two.pem", all, "two.pem.rsa two.pem.ecdsa"},
		{"two.pem", certs.Extra{Key: true}, "unable to stat SSL certificate from file 'DIR/two.pem' : No such file or directory."},
		{"full.pem", all, "full.pem"},
		{"wrong.pem", all, "'DIR/wrong.pem.issuer' is not an issuer's certificate."},
		{"broken.pem", all, "inconsistencies between private key and certificate loaded 'DIR/broken.pem'."},
		{"none.pem", all, "unable to stat SSL certificate from file 'DIR/none.pem' : No such file or directory."},
	} {
		l := loader()
		l.Extra = x.extra
		list, err := l.Load(filepath.Join(dir, x.name))
		got := ""
		for _, c := range list {
			got += " " + c.Name
		}
		if err != nil {
			got = err.Error()
		}
		got = strings.TrimSpace(strings.ReplaceAll(got, dir, "DIR"))
		if want := x.want; got != want && got != "DIR/"+strings.ReplaceAll(want, " ", " DIR/") {
			t.Errorf("%s: %s, want %s", x.name, got, want)
		}
		if again, _ := l.Load(filepath.Join(dir, x.name)); err == nil && again[0] != list[0] {
			t.Errorf("%s was loaded twice", x.name)
		}
	}
	l := loader()
	list, err := l.Load(filepath.Join(dir, "full.pem"))
	if err != nil {
		t.Fatal(err)
	}
	p := list[0].Load()
	if p.Authority() == nil || len(p.SCTs) != 1 || !bytes.Equal(p.OCSP, response) || !p.Stapled {
		t.Errorf("what is beside it was not loaded: %+v", p)
	}
	l = loader()
	warned := ""
	l.Warn = func(format string, args ...any) { warned += fmt.Sprintf(format, args...) }
	if list, err = l.Load(filepath.Join(dir, "stale.pem")); err != nil || list[0].Load().OCSP != nil || !list[0].Load().Stapled || !strings.HasSuffix(warned, "does not match certificate and issuer. Content will be ignored.") {
		t.Errorf("a response for another certificate: %v, %s", err, warned)
	}
	l = loader()
	l.Extra = certs.Extra{}
	if list, err = l.Load(filepath.Join(dir, "full.pem")); err != nil || list[0].Load().OCSP != nil || list[0].Load().SCTs != nil {
		t.Errorf("what is beside it was loaded, but not wanted: %v", err)
	}
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	ca, crl := certtest.NewCA(t, "one"), certtest.NewCA(t, "two")
	for name, data := range map[string]string{
		"b.pem": "", "a.crt": "", "a.crt.key": "", "x.ocsp": "", "x.issuer": "", "x.sctl": "", ".hidden": "", "c": "",
		"cas/1.pem": string(ca.CertPEM()), "cas/2.crt": string(crl.CertPEM()), "cas/readme.txt": "no certificate", "cas/.old.pem": "no certificate",
		"none/readme.txt": "no certificate", "bad/1.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		certtest.Write(t, dir, name, []byte(data))
	}
	l := loader()
	list, ok := l.Folder(dir + "/")
	if got := strings.ReplaceAll(strings.Join(list, " "), dir, ""); got != "/a.crt /b.pem /c" || !ok {
		t.Errorf("the folder has %q, %v", got, ok)
	}
	if _, ok := l.Folder(dir + "/b.pem"); ok {
		t.Error("a file is a folder")
	}
	e, err := l.LoadCA(dir + "/cas")
	if err != nil || len(e.Load().Certs) != 2 {
		t.Errorf("authorities of a folder: %v", err)
	}
	for _, name := range []string{"none", "bad", "c", "nothing"} {
		if _, err := l.LoadCA(dir + "/" + name); err == nil || !strings.Contains(err.Error(), "unable to load "+dir+"/"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChains(t *testing.T) {
	dir := t.TempDir()
	root := certtest.NewCA(t, "root")
	mid := root.CA(t, "middle")
	certtest.Write(t, dir, "chains/middle.pem", append(mid.CertPEM(), root.CertPEM()...))
	certtest.Write(t, dir, "leaf.pem", append(mid.Issue(t, "a.test").CertPEM(), []byte{}...))
	leaf := mid.Issue(t, "a.test")
	certtest.Write(t, dir, "leaf.pem", append(leaf.CertPEM(), leaf.KeyPEM(t)...))
	certtest.Write(t, dir, "has.pem", leaf.PEM(t))
	certtest.Write(t, dir, "other.pem", root.Issue(t, "b.test").PEM(t))
	l := loader()
	var err error
	if l.Chains, err = l.LoadChains(dir + "/chains"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"leaf.pem": 2, "has.pem": 1, "other.pem": 0} {
		list, err := l.Load(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p := list[0].Load()
		if len(p.Chain) != want || p.Completed != (name == "leaf.pem") {
			t.Errorf("%s: %d in the chain, completed: %v", name, len(p.Chain), p.Completed)
		}
	}
}
