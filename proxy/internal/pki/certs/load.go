package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Files is where files are read from.
type Files interface {
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
}

// Extra tells which files are looked for beside a certificate
// (ssl-load-extra-files).
type Extra struct {
	Bundle, Key, OCSP, Issuer, SCTL bool
	// ReplaceExtension makes "foo.key" of "foo.crt", not "foo.crt.key"
	// (ssl-load-extra-del-ext).
	ReplaceExtension bool
}

// Paths are the files of one certificate; what is "" is not given.
type Paths struct{ Cert, Key, OCSP, Issuer, SCTL string }

// Loader reads certificates from files into a store, each once.
type Loader struct {
	Files Files
	Store *Store
	Extra Extra
	// Chains are those of issuers-chain-path.
	Chains Chains

	shared map[string]*x509.Certificate // those of chains, by their bytes
	told   map[string]Paths             // what [Loader.LoadAs] was told, by name
	// Warn, unless nil, is told what is wrong with files that are left out.
	Warn func(format string, args ...any)
}

// BundleExtensions end the names of the certificates of a bundle, in the order in
// which they are loaded.
var BundleExtensions = []string{".rsa", ".dsa", ".ecdsa"}

// StatError: a file is not there, or cannot be looked at.
type StatError struct {
	Name string
	Err  error
}

// Error words it as HAProxy does.
func (e *StatError) Error() string {
	return fmt.Sprintf("unable to stat SSL certificate from file '%s' : %s.", e.Name, Reason(e.Err))
}

func (e *StatError) Unwrap() error { return e.Err }

// Reason words an error of the file system as strerror(3) does.
func Reason(err error) string {
	var n syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n = syscall.ENOENT
	case errors.Is(err, fs.ErrPermission):
		n = syscall.EACCES
	case errors.As(err, &n):
	default:
		return err.Error()
	}
	s := n.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// Load gives the certificates that a name stands for: one that the store has, a
// file, or a bundle of files by kind of key. A folder is for [Loader.Folder].
func (l *Loader) Load(name string) ([]*Cert, error) {
	if c := l.Store.Cert(name); c != nil {
		return []*Cert{c}, nil
	}
	data, err := l.Files.ReadFile(name)
	if err == nil {
		c, err := l.beside(name, data)
		if err != nil {
			return nil, err
		}
		return []*Cert{c}, nil
	}
	if !l.Extra.Bundle || !errors.Is(err, fs.ErrNotExist) {
		return nil, &StatError{name, err}
	}
	var all []*Cert
	for _, ext := range BundleExtensions {
		if c := l.Store.Cert(name + ext); c != nil {
			all = append(all, c)
			continue
		}
		data, err := l.Files.ReadFile(name + ext)
		if err != nil {
			continue
		}
		c, err := l.beside(name+ext, data)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, &StatError{name, err}
	}
	return all, nil
}

// beside makes a certificate of a file and those that there are beside it.
func (l *Loader) beside(name string, data []byte) (*Cert, error) {
	p, err := Parse(data)
	if err != nil {
		return nil, loadError(err, name)
	}
	if p.Key == nil && l.Extra.Key {
		file := l.name(name, ".key")
		data, err := l.Files.ReadFile(file)
		if err == nil {
			p, err = p.With(".key", data)
		}
		if err != nil {
			return nil, fmt.Errorf("No Private Key found in '%s'.", file)
		}
	}
	if p.Key == nil {
		return nil, fmt.Errorf("No Private Key found in '%s'.", name)
	}
	var files Paths
	for _, x := range []struct {
		on   bool
		ext  string
		file *string
	}{{l.Extra.SCTL, ".sctl", &files.SCTL}, {l.Extra.OCSP, ".ocsp", &files.OCSP}, {l.Extra.Issuer, ".issuer", &files.Issuer}} {
		if x.on && l.exists(l.name(name, x.ext)) {
			*x.file = l.name(name, x.ext)
		}
	}
	return l.finish(name, name, p, files)
}

// name is that of a file beside another.
func (l *Loader) name(cert, ext string) string {
	if l.Extra.ReplaceExtension {
		cert = strings.TrimSuffix(cert, ".crt")
	}
	return cert + ext
}

func (l *Loader) exists(name string) bool {
	_, err := l.Files.ReadFile(name)
	return err == nil
}

// LoadAs reads a certificate from the files that are given, and from no others,
// as "name": a line of a crt-store.
func (l *Loader) LoadAs(name string, files Paths) (*Cert, error) {
	data, err := l.Files.ReadFile(files.Cert)
	if err != nil {
		return nil, &StatError{files.Cert, err}
	}
	p, err := Parse(data)
	if err != nil {
		return nil, loadError(err, files.Cert)
	}
	if files.Key != "" {
		data, err := l.Files.ReadFile(files.Key)
		if err == nil {
			p, err = p.With(".key", data)
		}
		if err != nil {
			return nil, fmt.Errorf("No Private Key found in '%s'.", files.Key)
		}
	}
	if p.Key == nil {
		return nil, fmt.Errorf("No Private Key found in '%s'.", files.Cert)
	}
	c, err := l.finish(name, files.Cert, p, files)
	if err == nil {
		if l.told == nil {
			l.told = make(map[string]Paths)
		}
		l.told[name] = files
	}
	return c, err
}

// Agrees tells whether a certificate that the store has was made of these files:
// they are not read once more. Without files to be told of there is nothing to
// disagree about, and a Cert that is the name stands for whatever it was made of.
func (l *Loader) Agrees(name string, files Paths) error {
	if files == (Paths{}) {
		return nil
	}
	told := l.told[name]
	if files.Cert == name {
		told.Cert = name
	}
	for _, x := range []struct{ word, old, now string }{
		{"crt", told.Cert, files.Cert}, {"key", told.Key, files.Key}, {"ocsp", told.OCSP, files.OCSP},
		{"issuer", told.Issuer, files.Issuer}, {"sctl", told.SCTL, files.SCTL},
	} {
		if x.old != x.now {
			return fmt.Errorf("'%s' is already defined with incompatible parameters: different parameter '%s' : previously '%s' vs '%s'.", name, x.word, x.old, x.now)
		}
	}
	return nil
}

// finish adds what goes along with a certificate and puts it into the store.
func (l *Loader) finish(name, file string, p *Pair, files Paths) (*Cert, error) {
	if p.Check() == ErrMismatch {
		return nil, fmt.Errorf("inconsistencies between private key and certificate loaded '%s'.", file)
	}
	if len(p.Chain) == 0 {
		if chain := l.Chains.of(p.Leaf); chain != nil {
			p.Chain, p.Completed = chain, true
		}
	}
	for _, x := range []struct{ ext, file string }{{".sctl", files.SCTL}, {".issuer", files.Issuer}, {".ocsp", files.OCSP}} {
		if x.file == "" || x.ext == ".issuer" && p.Authority() != nil {
			continue
		}
		data, err := l.Files.ReadFile(x.file)
		if err == nil {
			p, err = p.With(x.ext, data)
		}
		if err != nil {
			return nil, fmt.Errorf("'%s' is present but cannot be read or parsed.", x.file)
		}
		if x.ext == ".issuer" && !issued(p.Issuer, p.Leaf) {
			return nil, fmt.Errorf("'%s' is not an issuer's certificate.", x.file)
		}
		if x.ext == ".ocsp" && p.Authority() == nil {
			return nil, fmt.Errorf("'%s' is present and activates OCSP but it is impossible to compute the OCSP certificate ID (maybe the issuer could not be found).", x.file)
		}
	}
	if p.OCSP != nil {
		if err := p.CheckOCSP(p.OCSP, time.Now()); err != nil {
			if l.Warn != nil {
				l.Warn("Loading '%s': %s. Content will be ignored.", files.OCSP, err)
			}
			p = p.WithOCSP(nil)
		}
	}
	l.share(p.Chain)
	c, err := l.Store.Certs.New(name, p)
	if err != nil {
		return nil, fmt.Errorf("certificate '%s' is already defined.", name)
	}
	return c, nil
}

// share puts one and the same in the place of equal certificates: thousands may
// have the same chain.
func (l *Loader) share(chain []*x509.Certificate) {
	if l.shared == nil {
		l.shared = make(map[string]*x509.Certificate)
	}
	for i, c := range chain {
		if same := l.shared[string(c.Raw)]; same != nil {
			chain[i] = same
		} else {
			l.shared[string(c.Raw)] = c
		}
	}
}

// loadError words an error of [Parse] as HAProxy does.
func loadError(err error, name string) error {
	for _, e := range []error{ErrCertificate, ErrChain, ErrKey} {
		if !errors.Is(err, e) {
			continue
		}
		if err == e {
			return fmt.Errorf("%w from file '%s'.", e, name)
		}
		return fmt.Errorf("%w from file '%s': %s.", e, name, strings.TrimPrefix(err.Error(), e.Error()+": "))
	}
	return fmt.Errorf("'%s': %w.", name, err)
}

// Reserved ends the names of files of a folder that are no certificates.
var Reserved = []string{".key", ".issuer", ".ocsp", ".sctl"}

// maxFolder bounds the files of a folder.
const maxFolder = 100000

// Folder gives the names of the certificates in a folder, sorted, with the
// folder's name before them. ok is false if there is no folder of that name.
func (l *Loader) Folder(name string) (list []string, ok bool) {
	return l.folder(name, func(file string) bool { return !slices.Contains(Reserved, path.Ext(file)) })
}

func (l *Loader) folder(name string, want func(file string) bool) (list []string, ok bool) {
	entries, err := l.Files.ReadDir(name)
	if err != nil {
		return nil, false
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() || !want(e.Name()) || len(list) == maxFolder {
			continue
		}
		list = append(list, strings.TrimSuffix(name, "/")+"/"+e.Name())
	}
	slices.Sort(list)
	return list, true
}

// SystemCA is the name that stands for the authorities of the system.
const SystemCA = "@system-ca"

// LoadCA gives the authorities of a file, of a folder of files, or of the
// system. Revocation lists in them are for [Loader.LoadCRL].
func (l *Loader) LoadCA(name string) (*CAFile, error) {
	if e := l.Store.CA(name); e != nil {
		return e, nil
	}
	var ca *CA
	var err error
	if name == SystemCA {
		ca, err = System()
	} else if files, ok := l.folder(name, isAuthorityFile); ok {
		var all []*x509.Certificate
		for _, f := range files {
			var data []byte
			if data, err = l.Files.ReadFile(f); err != nil {
				break
			}
			var list []*x509.Certificate
			if list, err = certificates(data, maxAuthorities); err != nil {
				err = fmt.Errorf("%s: %w", f, err)
				break
			}
			all = append(all, list...)
		}
		if err == nil && len(all) == 0 {
			err = ErrNothing
		}
		ca = NewCA(all)
	} else {
		var data []byte
		if data, err = l.Files.ReadFile(name); err == nil {
			ca, err = ParseCA(data)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("unable to load %s (%s)", name, Reason(err))
	}
	return l.Store.CAs.New(name, ca)
}

func isAuthorityFile(name string) bool {
	return slices.Contains([]string{".pem", ".crt", ".cer", ".crl"}, path.Ext(name))
}

// LoadCRL gives the revocation lists of a file.
func (l *Loader) LoadCRL(name string) (*CRLFile, error) {
	if e := l.Store.CRL(name); e != nil {
		return e, nil
	}
	var crl *CRL
	data, err := l.Files.ReadFile(name)
	if err == nil {
		crl, err = ParseCRL(data)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to load %s (%s)", name, Reason(err))
	}
	return l.Store.CRLs.New(name, crl)
}

// Chains complete certificates that come without their chain
// (issuers-chain-path), by the subject of their first certificate.
type Chains map[string][][]*x509.Certificate

// LoadChains reads a folder of chains.
func (l *Loader) LoadChains(name string) (Chains, error) {
	files, ok := l.folder(name, func(string) bool { return true })
	if !ok {
		return nil, fmt.Errorf("unable to open folder '%s'", name)
	}
	all := Chains{}
	for _, f := range files {
		data, err := l.Files.ReadFile(f)
		var list []*x509.Certificate
		if err == nil {
			list, err = certificates(data, maxChain)
		}
		if err == nil && len(list) == 0 {
			err = ErrNothing
		}
		if err != nil {
			return nil, fmt.Errorf("unable to load chain '%s' (%s)", f, Reason(err))
		}
		subject := string(list[0].RawSubject)
		all[subject] = append(all[subject], list)
	}
	return all, nil
}

func (c Chains) of(leaf *x509.Certificate) []*x509.Certificate {
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return nil
	}
	for _, list := range c[string(leaf.RawIssuer)] {
		if issued(list[0], leaf) {
			return list
		}
	}
	return nil
}
