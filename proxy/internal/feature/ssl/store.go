package ssl

import (
	"io/fs"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

var storeSlot = slot.New[*stream.Global, certs.Store]()

// StoreOf gives the certificates of a configuration.
func StoreOf(g *stream.Global) *certs.Store {
	if s := storeSlot.Of(g); s != nil {
		return s
	}
	return &certs.Store{}
}

// loaders are what reads files, of each configuration that is loaded.
var loaders = conf.NewValue[*certs.Loader]()

// loaderOf gives what reads files into the store of the configuration that is
// being loaded. At run time there are no files: it finds what the store has.
func loaderOf(c *conf.Ctx) *certs.Loader {
	if c.Loading != nil {
		c.At(c.Pos)
	}
	known := loaders.Of(c.Loading)
	if known == nil { // a server that is added at run time
		return &certs.Loader{Files: files{c}, Store: StoreOf(c.Snap.Global)}
	}
	if l := *known; l != nil {
		l.Warn = c.Warn // of the present line
		return l
	}
	d := DefaultsOf(c.Snap.Global)
	l := &certs.Loader{
		Files: files{c}, Store: storeSlot.Make(c.Snap.Global), Warn: c.Warn, Chains: d.Chains,
		Extra: certs.Extra{
			Bundle: d.Extra&ExtraBundle != 0, Key: d.Extra&ExtraKey != 0, OCSP: d.Extra&ExtraOCSP != 0,
			Issuer: d.Extra&ExtraIssuer != 0, SCTL: d.Extra&ExtraSCTL != 0, ReplaceExtension: d.ExtraDelExt,
		},
	}
	*known = l
	return l
}

// files are the files of a configuration.
type files struct{ c *conf.Ctx }

func (f files) ReadFile(name string) ([]byte, error) { return f.c.ReadFile(name) }

func (f files) ReadDir(name string) ([]fs.DirEntry, error) {
	if f.c.Files == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadDir(f.c.Files, name)
}
