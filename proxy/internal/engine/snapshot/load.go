package snapshot

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"sync"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Input is what a configuration is loaded from.
type Input = conf.Input

// source is what a snapshot was loaded from, kept to tell what another one
// changes and to load that one in the same way.
type source struct {
	in     Input // without the files
	files  int   // how many source files there were
	blocks []*config.Block
	read   map[string][sha256.Size]byte // files that the configuration named
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
	d := new(config.Diagnostics)
	rec := &recorder{fs: in.Files, sums: make(map[string][sha256.Size]byte)}
	src := source{in: in, files: len(in.Sources), read: rec.sums, system: make(map[string][]byte)}
	for _, name := range systemFiles {
		if in.Files == nil {
			break
		}
		if data, err := conf.ReadFile(in.Files, name); err == nil {
			src.system[name] = data
		}
	}
	opt := in.Options
	if opt.Env == nil {
		opt.Env = new(config.Environment)
	}
	opt.Env = opt.Env.Clone()
	src.blocks = config.Evaluate(in.Sources, opt, d)
	in.Files, in.Options = rec, opt
	snap := conf.Build(src.blocks, in, d)
	rec.fs = nil // parts of the snapshot live as long as it does and know what they were loaded from
	if snap == nil {
		return nil, d
	}
	src.in.Sources, src.in.Files = nil, nil
	*sources.Make(snap.Global) = src
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

// recorder notes what is read through it.
type recorder struct {
	fs   fs.FS
	mu   sync.Mutex
	sums map[string][sha256.Size]byte
}

// Open opens a file and notes what is in it.
func (r *recorder) Open(name string) (fs.File, error) {
	if r.fs == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := r.fs.Open(name)
	if err != nil {
		return nil, err
	}
	return &recording{File: f, r: r, name: name, sum: sha256.New()}, nil
}

// ReadDir lists a folder and notes what is in it.
func (r *recorder) ReadDir(name string) ([]fs.DirEntry, error) {
	if r.fs == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	list, err := fs.ReadDir(r.fs, name)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, e := range list {
		io.WriteString(sum, e.Name()+"\n")
	}
	r.mu.Lock()
	r.sums[name] = [sha256.Size]byte(sum.Sum(nil))
	r.mu.Unlock()
	return list, nil
}

// recording is a file whose content is summed up while it is read.
type recording struct {
	fs.File
	r    *recorder
	name string
	sum  hash.Hash
	read bool
}

func (f *recording) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.sum.Write(p[:n])
	f.read = f.read || n > 0
	return n, err
}

// Close notes the sum. Who only looked whether the file is there says nothing of
// what is in it.
func (f *recording) Close() error {
	f.r.mu.Lock()
	if _, known := f.r.sums[f.name]; f.read || !known {
		f.r.sums[f.name] = [sha256.Size]byte(f.sum.Sum(nil))
	}
	f.r.mu.Unlock()
	return f.File.Close()
}
