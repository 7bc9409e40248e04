package conf

import (
	"crypto/sha256"
	"hash"
	"io"
	"io/fs"
	"sync"
)

// recorder notes what is read through it.
type recorder struct {
	fs   fs.FS // nil: there are no files, or no more
	mu   sync.Mutex
	sums map[string][sha256.Size]byte
}

// Summed is a file system that knows the sums of files, SHA-256, without reading
// them.
type Summed interface {
	Sum(name string) (sum [sha256.Size]byte, ok bool)
}

// of gives the sum of a file or folder; ok is false if there is none.
func (r *recorder) of(name string) (sum [sha256.Size]byte, ok bool) {
	r.mu.Lock()
	sum, ok = r.sums[name]
	r.mu.Unlock()
	if ok {
		return sum, true
	}
	if fsys, is := r.fs.(Summed); is {
		if sum, ok = fsys.Sum(name); ok {
			r.mu.Lock()
			r.sums[name] = sum
			r.mu.Unlock()
			return sum, true
		}
	}
	if _, err := ReadFile(r, name); err != nil {
		r.ReadDir(name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sum, ok = r.sums[name]
	return sum, ok
}

// close gives the sums; from now on there are no files: parts of the snapshot live
// as long as it does and know what they were loaded from.
func (r *recorder) close() map[string][sha256.Size]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fs = nil
	return r.sums
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
