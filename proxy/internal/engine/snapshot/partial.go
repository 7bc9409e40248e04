package snapshot

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"sync"

	"github.com/forebay-lb/forebay/proxy/config"
	packed "github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// partial is what the sender of a configuration has told of files whose content it
// has not sent. Loading asks for what it needs beyond that.
type partial struct {
	sums    map[string]packed.Sum
	folders map[string][]string
	gone    map[string]bool

	files   memory
	mu      sync.Mutex
	missing map[string]bool
}

// add takes an update in. The maps are made anew: a loading may look at the old ones.
func (p *partial) add(u *packed.Update) *partial {
	n := &partial{sums: make(map[string]packed.Sum), folders: make(map[string][]string), gone: make(map[string]bool)}
	if p != nil {
		maps.Copy(n.sums, p.sums)
		maps.Copy(n.folders, p.folders)
		maps.Copy(n.gone, p.gone)
	}
	for _, k := range u.Kept {
		n.sums[k.Name] = k.Sum
	}
	for _, f := range u.Folders {
		n.folders[f.Name] = f.Files
	}
	for _, name := range u.Gone {
		n.gone[name] = true
	}
	return n
}

// over gives the file system of one loading.
func (p *partial) over(files memory) *partial {
	return &partial{sums: p.sums, folders: p.folders, gone: p.gone, files: files, missing: make(map[string]bool)}
}

func (p *partial) miss(name string) error {
	p.mu.Lock()
	p.missing[name] = true
	p.mu.Unlock()
	return &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w: it was not sent", fs.ErrNotExist)}
}

func notThere(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Open opens a file that was sent.
func (p *partial) Open(name string) (fs.File, error) {
	f, err := p.files.Open(name)
	if err == nil {
		return f, nil
	}
	if p.gone[name] {
		return nil, notThere(name)
	}
	return nil, p.miss(name)
}

// ReadDir lists a folder.
func (p *partial) ReadDir(name string) ([]fs.DirEntry, error) {
	if list, ok := p.folders[name]; ok {
		return packed.Entries(list), nil
	}
	if p.gone[name] {
		return nil, notThere(name)
	}
	return nil, p.miss(name)
}

// Sum gives the sum of a file, whether or not its content was sent.
func (p *partial) Sum(name string) (packed.Sum, bool) {
	if sum, ok := p.sums[name]; ok {
		return sum, true
	}
	for _, files := range p.files {
		if data, ok := files[name]; ok {
			return sha256.Sum256(data), true
		}
	}
	return packed.Sum{}, false
}

// readParts gives the file that a manifest tells of, with sections of the running
// configuration, and its size; or the sections that are lacking.
func readParts(w *stream.Worker, path, manifest string) (f *config.File, size int, lacking []config.Sum, err error) {
	snap := w.Snapshot()
	parts, lacking, err := config.ReadManifest([]byte(manifest), func(sum config.Sum) []byte { return conf.TextOf(snap, sum) })
	if err != nil {
		return nil, 0, nil, runtimeapi.Errorf("%s\n", err)
	}
	for i := range parts {
		size += len(parts[i].Text)
	}
	return config.Join(path, parts), size, lacking, nil
}

// addUpdate takes in what the master says of the files that are named.
func (b *bundle) addUpdate(u *packed.Update) error {
	for _, f := range u.Named {
		if err := b.take(len(f.Data) - len(b.files[f.Name])); err != nil {
			return err
		}
		b.files[f.Name] = f.Data
	}
	b.partial = b.partial.add(u)
	return nil
}
