package ssl

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

func init() {
	folder := func(base func(*crtStore) *string) func(*conf.Ctx, *crtStore) error {
		return func(c *conf.Ctx, s *crtStore) error {
			if len(c.Args) != 1 || c.Args[0] == "" {
				return conf.Predicatef("expects a directory path as an argument.")
			}
			*base(s) = c.Args[0]
			return nil
		}
	}
	conf.RegisterSection(conf.Section[crtStore]{
		Kind:  "crt-store",
		Begin: beginStore,
		Keywords: []conf.SectionKeyword[crtStore]{
			{Name: "crt-base", Max: -1, Parse: folder(func(s *crtStore) *string { return &s.crtBase })},
			{Name: "key-base", Max: -1, Parse: folder(func(s *crtStore) *string { return &s.keyBase })},
			{Name: "load", Max: -1, Parse: func(c *conf.Ctx, s *crtStore) error { return load(c, s.name, s.crtBase, s.keyBase, c.Args) }},
		},
	})
}

// crtStore is a crt-store section that is being read (manual 12.7).
type crtStore struct{ name, crtBase, keyBase string }

func beginStore(c *conf.Ctx, name string) (*crtStore, error) {
	d := DefaultsOf(c.Snap.Global)
	return &crtStore{name, d.CrtBase, d.KeyBase}, nil
}

// load is a "load" line.
func load(c *conf.Ctx, store, crtBase, keyBase string, words []string) error {
	var files certs.Paths
	var crt, alias string
	var update int8
	for len(words) > 0 {
		if words[0] == "alias" {
			if len(words) < 2 || words[1] == "" {
				return conf.Causef("'alias' expects a value.")
			}
			alias, words = words[1], words[2:]
			continue
		}
		if words[0] == "crt" && len(words) > 1 {
			crt = words[1]
		}
		n, ok, err := loadOption(&files, crtBase, keyBase, &update, words)
		if !ok {
			err = fmt.Errorf("unknown keyword '%s'", words[0])
		}
		if err != nil {
			return conf.Causef("%w.", err)
		}
		words = words[n:]
	}
	if crt == "" {
		return conf.Causef("'crt' is mandatory.")
	}
	name := files.Cert
	switch {
	case alias != "":
		name = "@" + store + "/" + alias
	case store != "":
		name = "@" + store + "/" + crt
	}
	l := loaderOf(c)
	if l.Store.Cert(name) != nil {
		return conf.Causef("'%s' is already defined.", name)
	}
	if _, err := l.LoadAs(name, files); err != nil {
		return conf.Causef("%w", err)
	}
	return sayUpdate(c, name, update)
}

// notLoadOptions are options of "load" that there are not, with the reason.
var notLoadOptions = map[string]string{
	"acme":    "certificates are not ordered from an authority by the proxy itself",
	"domains": "it belongs to 'acme', which is not available",
	"ips":     "it belongs to 'acme', which is not available",
	"jwt":     "there are no converters that verify tokens",
}

// loadOption takes an option of a "load" line that words begin with (manual
// 12.7.1). ok is false if it is none.
func loadOption(f *certs.Paths, crtBase, keyBase string, update *int8, words []string) (n int, ok bool, err error) {
	name := words[0]
	if why := notLoadOptions[name]; why != "" {
		return 0, true, fmt.Errorf("'%s' is not available: %s", name, why)
	}
	targets := map[string]*string{"crt": &f.Cert, "key": &f.Key, "ocsp": &f.OCSP, "issuer": &f.Issuer, "sctl": &f.SCTL}
	if targets[name] == nil && name != "ocsp-update" {
		return 0, false, nil
	}
	if len(words) < 2 || words[1] == "" {
		return 0, true, fmt.Errorf("'%s' expects a value", name)
	}
	switch {
	case name == "key":
		f.Key = Path(keyBase, words[1])
	case name != "ocsp-update":
		*targets[name] = Path(crtBase, words[1])
	case words[1] == "on":
		*update = 1
	case words[1] == "off":
		*update = -1
	default:
		return 0, true, fmt.Errorf("'ocsp-update' expects 'on' or 'off', found '%s'", words[1])
	}
	return 2, true, nil
}
