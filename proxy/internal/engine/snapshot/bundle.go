package snapshot

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	packed "github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Bounds of the configurations that clients prepare.
const (
	maxOpen   = 8
	maxFiles  = 10000
	maxBundle = runtimeapi.MaxBundle // bytes of all files of one
	unusedFor = 10 * time.Minute     // after that a configuration is forgotten
)

// bundle is a configuration that a client is sending.
type bundle struct {
	id      int
	sources []*config.File
	files   map[string][]byte // that the configuration names
	partial *partial          // nil: what is not among the files does not exist
	size    int
	used    int64 // reactor time of the last command about it
	r       *reactor.Reactor
	expiry  reactor.Timer // on r
}

// bundles are the open configurations of a worker.
type bundles struct {
	mu   sync.Mutex
	last int // the highest number given
	list []*bundle
}

var (
	openMu sync.Mutex
	open   = map[*stream.Worker]*bundles{}
)

func bundlesOf(w *stream.Worker) *bundles {
	openMu.Lock()
	defer openMu.Unlock()
	b := open[w]
	if b == nil {
		b = new(bundles)
		open[w] = b
	}
	return b
}

// prepare opens a configuration.
func (l *bundles) prepare(r *reactor.Reactor, running int) (*bundle, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) >= maxOpen {
		return nil, runtimeapi.Errorf("Too many open configurations (maximum is %d): commit or abort one.\n", maxOpen)
	}
	l.last = max(l.last, running) + 1
	b := &bundle{id: l.last, files: make(map[string][]byte), used: r.Now(), r: r}
	l.list = append(l.list, b)
	b.expiry.Fire = reactor.FireFunc(func() { l.expire(b) })
	r.Set(&b.expiry, r.Now()+int64(unusedFor))
	return b, nil
}

// expire forgets a configuration that nobody used for a while. It runs on the
// reactor that the configuration was opened on.
func (l *bundles) expire(b *bundle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.list, b) {
		return
	}
	if until := b.used + int64(unusedFor); b.r.Now() < until {
		b.r.Set(&b.expiry, until)
		return
	}
	l.drop(b)
	b.forget()
}

func (l *bundles) drop(b *bundle) {
	l.list = slices.DeleteFunc(l.list, func(o *bundle) bool { return o == b })
}

// with runs f on an open configuration while nobody else can change it.
func (l *bundles) with(id int, now int64, f func(*bundle) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.list {
		if b.id == id {
			b.used = max(b.used, now)
			return f(b)
		}
	}
	return unknownVersion(id)
}

func unknownVersion(id any) error { return runtimeapi.Errorf("Unknown version '%v'.\n", id) }

// take removes an open configuration, to put it into force or to forget it.
func (l *bundles) take(id int) (b *bundle, err error) {
	err = l.with(id, 0, func(o *bundle) error { b = o; l.drop(o); return nil })
	return b, err
}

// putBack opens a configuration again that could not be put into force.
func (l *bundles) putBack(b *bundle) {
	l.mu.Lock()
	l.list = append(l.list, b)
	l.mu.Unlock()
	// its time may have come meanwhile
	b.r.Post(func() { b.r.Set(&b.expiry, b.r.Now()+int64(unusedFor)) })
}

// String lists the open configurations, a line each.
func (l *bundles) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := ""
	for _, b := range l.list {
		text += fmt.Sprintf("%d (open) %d\n", b.id, len(b.sources)+len(b.files))
	}
	return text
}

// add gives the configuration a file: source files keep their order, one of the
// same name is replaced. The others may be of any kind, and come as they are.
func (b *bundle) add(source bool, path, text string) error {
	data := []byte(text)
	if source {
		if !strings.HasSuffix(text, "\n") {
			data = append(data, '\n') // a payload typed by hand comes without its last line feed
		}
		return b.addSource(config.Text(path, data), len(data))
	}
	if err := b.take(len(data) - len(b.files[path])); err != nil {
		return err
	}
	b.files[path] = data
	return nil
}

// take counts the bytes of a file that is added.
func (b *bundle) take(n int) error {
	if b.size+n > maxBundle {
		return runtimeapi.Errorf("The configuration is too large (maximum is %d bytes).\n", maxBundle)
	}
	if len(b.sources)+len(b.files) >= maxFiles {
		return runtimeapi.Errorf("Too many files (maximum is %d).\n", maxFiles)
	}
	b.size += n
	return nil
}

func (b *bundle) addSource(f *config.File, size int) error {
	i := slices.IndexFunc(b.sources, func(o *config.File) bool { return o.Name == f.Name })
	old := 0
	if i >= 0 {
		old = len(b.sources[i].Bytes())
	}
	if err := b.take(size - old); err != nil {
		return err
	}
	if i >= 0 {
		b.sources[i] = f
	} else {
		b.sources = append(b.sources, f)
	}
	return nil
}

// load reads the configuration as the running one was read. With missing, which
// files have to be sent first, it is of no use.
func (b *bundle) load(w *stream.Worker) (snap *stream.Snapshot, d *config.Diagnostics, missing []string) {
	base := w.Snapshot()
	in, _ := conf.InputOf(base)
	system := map[string][]byte{}
	if src := sources.Of(base.Global); src != nil {
		system = src.system
	}
	in.Base = base
	in.Sources = b.sources
	in.Threads = len(w.Reactors)
	in.Files = memory{b.files, system}
	var look *partial
	if b.partial != nil {
		look = b.partial.over(memory{b.files})
		in.Files = look
	}
	snap, d = Load(in)
	if look != nil && len(look.missing) > 0 {
		return nil, new(config.Diagnostics), slices.Sorted(maps.Keys(look.missing))
	}
	if len(b.sources) == 0 {
		d.Alert(config.Pos{}, "the configuration has no files.")
		return nil, d, nil
	}
	if snap != nil {
		snap.Version = b.id
	}
	return snap, d, nil
}

// memory is a file system of files that were sent, with those of the system
// behind them.
type memory []map[string][]byte

// Open opens one of the files.
func (m memory) Open(name string) (fs.File, error) {
	for _, files := range m {
		if data, ok := files[name]; ok {
			return &memoryFile{Reader: bytes.NewReader(data), name: name}, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w in the configuration that was sent", fs.ErrNotExist)}
}

// ReadDir lists the files that were sent of a folder.
func (m memory) ReadDir(name string) ([]fs.DirEntry, error) {
	var names []string
	for _, files := range m {
		for path := range files {
			if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(name, "/")+"/"); ok && !strings.Contains(rest, "/") {
				names = append(names, rest)
			}
		}
	}
	if len(names) == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("%w in the configuration that was sent", fs.ErrNotExist)}
	}
	slices.Sort(names)
	return packed.Entries(names), nil
}

type memoryFile struct {
	*bytes.Reader
	name string
}

func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Stat() (fs.FileInfo, error) { return memoryInfo{f}, nil }

type memoryInfo struct{ f *memoryFile }

func (i memoryInfo) Name() string       { return i.f.name }
func (i memoryInfo) Size() int64        { return i.f.Reader.Size() }
func (i memoryInfo) Mode() fs.FileMode  { return 0o400 }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return false }
func (i memoryInfo) Sys() any           { return nil }

// forget lets the files go: the timer may hold the bundle for a while.
func (b *bundle) forget() { b.sources, b.files, b.partial = nil, nil, nil }

// copy gives a bundle that can be loaded while this one changes.
func (b *bundle) copy() bundle {
	return bundle{id: b.id, sources: slices.Clone(b.sources), files: maps.Clone(b.files), partial: b.partial}
}
