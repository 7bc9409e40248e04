// Package bundle carries configurations from the process that may read files to
// the one that must not.
//
// A [Recorder] reads from the disk and remembers what it read; the [Bundle] it
// leaves behind is a file system of exactly those files, for the worker or for
// the Runtime socket of a running one. Who has read most of them before gets an
// [Update]. The package does not know what the files say.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/config"
)

// MaxFile and MaxTotal bound what is read, in bytes.
const (
	MaxFile  = 64 << 20
	MaxTotal = 256 << 20
)

// Disk is the machine's file system, with names as the configuration has them:
// relative to the working folder, or absolute. It is for processes that must go
// on: a pipe or a device, which the reader could wait at for ever, is refused.
// The null device is a file that is empty.
type Disk struct{}

// Open opens a file or a folder.
func (Disk) Open(name string) (fs.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() && !isNull(info) {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is neither a file nor a folder")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// isNull tells whether a file is the kernel's null device, whatever its name.
func isNull(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && s.Rdev == unix.Mkdev(1, 3)
}

// Stat describes a file or a folder.
func (Disk) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// ReadDir lists a folder, sorted by name.
func (Disk) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// File is one file of a bundle.
type File struct {
	Name string
	Data []byte
}

// Bundle is a configuration: its sources in the order of "-f", and the files
// that they name. Its Open makes it an fs.FS of those.
type Bundle struct {
	Sources []File
	Named   []File
	Folders []Folder
	Gone    []string // that were looked for and are not there
}

// Update is what the next configuration's sources may name, for who knows most of
// it: a [Bundle] without sources.
type Update struct {
	Named   []File
	Kept    []Kept // as they were
	Folders []Folder
	Gone    []string
}

// Kept is a file whose content the other side may know.
type Kept struct {
	Name string
	Sum  Sum
}

// Sum is the SHA-256 of a file's content.
type Sum = [sha256.Size]byte

// Names gives the names of all that was looked for.
func (b *Bundle) Names() (list []string) {
	for _, f := range b.Named {
		list = append(list, f.Name)
	}
	for _, f := range b.Folders {
		list = append(list, f.Name)
	}
	return append(list, b.Gone...)
}

// Folder is the list of a folder that the configuration names.
type Folder struct {
	Name  string
	Files []string // sorted; folders in it are left out
}

// ReadDir lists a named folder.
func (b *Bundle) ReadDir(name string) ([]fs.DirEntry, error) {
	for _, f := range b.Folders {
		if f.Name == name {
			return Entries(f.Files), nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Entries makes the list of a folder out of the names of its files.
func Entries(names []string) []fs.DirEntry {
	var list []fs.DirEntry
	for _, n := range names {
		list = append(list, fs.FileInfoToDirEntry(info{&file{Reader: bytes.NewReader(nil), name: n}}))
	}
	return list
}

// Open opens a named file.
func (b *Bundle) Open(name string) (fs.File, error) {
	if i, ok := slices.BinarySearchFunc(b.Named, name, byName); ok {
		return &file{Reader: bytes.NewReader(b.Named[i].Data), name: name}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Parse gives the sources as the language's files.
func (b *Bundle) Parse() []*config.File {
	var list []*config.File
	for _, f := range b.Sources {
		list = append(list, config.Parse(f.Name, f.Data))
	}
	return list
}

func byName(f File, name string) int {
	switch {
	case f.Name < name:
		return -1
	case f.Name > name:
		return 1
	}
	return 0
}

// Encode writes v, a bundle or what contains one.
func Encode(w io.Writer, v any) error { return gob.NewEncoder(w).Encode(v) }

// Decode is the inverse of [Encode].
func Decode(r io.Reader, v any) error { return gob.NewDecoder(r).Decode(v) }

// Recorder reads files and remembers them: a file that is opened again has what
// it had the first time, and one that was not there stays away.
type Recorder struct {
	From fs.FS

	mu      sync.Mutex
	files   map[string][]byte
	folders map[string][]string
	gone    map[string]error
	total   int
}

// ReadDir lists a folder; it has what it had the first time.
func (r *Recorder) ReadDir(name string) ([]fs.DirEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if list, ok := r.folders[name]; ok {
		return Entries(list), nil
	}
	list, err := fs.ReadDir(r.From, name)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, e := range list {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if r.folders == nil {
		r.folders = make(map[string][]string)
	}
	r.folders[name] = names
	return Entries(names), nil
}

// Open opens a file.
func (r *Recorder) Open(name string) (fs.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.gone[name]; err != nil {
		return nil, err
	}
	data, ok := r.files[name]
	if !ok {
		var err error
		if data, err = r.read(name); err != nil {
			if r.gone == nil {
				r.gone = make(map[string]error)
			}
			r.gone[name] = err
			return nil, err
		}
		if r.files == nil {
			r.files = make(map[string][]byte)
		}
		r.files[name] = data
	}
	return &file{Reader: bytes.NewReader(data), name: name}, nil
}

func (r *Recorder) read(name string) ([]byte, error) {
	f, err := r.From.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, MaxFile)
	}
	if r.total += len(data); r.total > MaxTotal {
		return nil, fmt.Errorf("%s: all files together are larger than %d bytes", name, MaxTotal)
	}
	return data, nil
}

// Bundle gives what was read so far, with the sources given.
func (r *Recorder) Bundle(sources []*config.File) *Bundle {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &Bundle{}
	for _, s := range sources {
		b.Sources = append(b.Sources, File{s.Name, s.Bytes()})
	}
	for name, data := range r.files {
		b.Named = append(b.Named, File{name, data})
	}
	for name, files := range r.folders {
		b.Folders = append(b.Folders, Folder{name, files})
	}
	for name := range r.gone {
		b.Gone = append(b.Gone, name)
	}
	slices.Sort(b.Gone)
	slices.SortFunc(b.Folders, func(x, y Folder) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(b.Named, func(x, y File) int { return byName(x, y.Name) })
	return b
}

// Look reads what there is of a name, a file or a folder.
func (r *Recorder) Look(name string) {
	if f, err := r.Open(name); err == nil {
		f.Close()
		return
	}
	r.ReadDir(name)
}

// Update gives what was read so far; of files that known is true for, the sum
// only.
func (r *Recorder) Update(known func(name string, sum Sum) bool) *Update {
	b, u := r.Bundle(nil), new(Update)
	u.Folders, u.Gone = b.Folders, b.Gone
	for _, f := range b.Named {
		if sum := Sum(sha256.Sum256(f.Data)); known(f.Name, sum) {
			u.Kept = append(u.Kept, Kept{f.Name, sum})
		} else {
			u.Named = append(u.Named, f)
		}
	}
	return u
}

// file is a file in memory.
type file struct {
	*bytes.Reader
	name string
}

func (f *file) Close() error               { return nil }
func (f *file) Stat() (fs.FileInfo, error) { return info{f}, nil }

type info struct{ f *file }

func (i info) Name() string       { return path.Base(i.f.name) }
func (i info) Size() int64        { return i.f.Size() }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
