package snapshot

import (
	"errors"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Input is what a configuration is loaded from.
type Input = conf.Input

// source is what else is kept of what a snapshot was loaded from.
type source struct {
	files  int // how many source files there were
	system map[string][]byte
}

var sources = slot.New[*stream.Global, source]()

// systemFiles are read by every load, needed or not, and kept: a configuration
// that is applied later may need them when the process cannot read them any
// more.
var systemFiles = []string{"/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group"}

// Load reads a configuration, see [conf.Load]. The environment in the options is
// not changed. It may block.
func Load(in Input) (*stream.Snapshot, *config.Diagnostics) {
	src := source{files: len(in.Sources), system: make(map[string][]byte)}
	for _, name := range systemFiles {
		if in.Files == nil {
			break
		}
		if data, err := conf.ReadFile(in.Files, name); err == nil {
			src.system[name] = data
		}
	}
	snap, d := conf.Load(in)
	if snap != nil {
		*sources.Make(snap.Global) = src
	}
	return snap, d
}

// errNoListener is worded as HAProxy words it.
var errNoListener = errors.New("[forebay.main()] No enabled listener found (check for 'bind' directives) !")

// Listens gives an error if a configuration has no address to listen on. Nobody
// means that: a file is empty, or a folder.
func Listens(s *stream.Snapshot) error {
	for _, p := range s.Proxies {
		if !p.Disabled && len(p.Binds) > 0 {
			return nil
		}
	}
	if rt := conf.Runtime.Of(s.Global); rt != nil && len(rt.Binds) > 0 {
		return nil
	}
	return errNoListener
}
