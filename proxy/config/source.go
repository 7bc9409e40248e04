package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what ReadSources takes in.
const (
	MaxFileSize  = 64 << 20 // bytes of one file
	MaxTotalSize = 64 << 20 // bytes of all files
	MaxFiles     = 10000
)

// FS is where configuration files come from. Names are as the user wrote them, absolute ones included, which is why
// it is not fs.FS.
type FS interface {
	Open(name string) (fs.File, error)
	Stat(name string) (fs.FileInfo, error)
	// ReadDir returns the entries of a folder sorted by name, byte by byte.
	ReadDir(name string) ([]fs.DirEntry, error)
}

// OS is the file system of the machine.
type OS struct{}

// Open opens a file.
func (OS) Open(name string) (fs.File, error) { return os.Open(name) }

// Stat describes a file or folder.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// ReadDir lists a folder.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// ReadSources reads what the -f arguments name, in their order. A folder stands for its files (only files) that end in
// ".cfg" and do not begin with a dot, in the order of their bytes (management manual chapter 3). An error names the
// path; every path is tried, so the error may join several. The files are those of [Text].
func ReadSources(fsys FS, paths []string) ([]*File, error) {
	var names []string
	var errs []error
	for _, p := range paths {
		more, err := sourceNames(fsys, p)
		if err != nil {
			errs = append(errs, err)
		}
		names = append(names, more...)
		if len(names) > MaxFiles {
			return nil, fmt.Errorf("too many configuration files (maximum is %d)", MaxFiles)
		}
	}
	var files []*File
	total := 0
	for _, n := range names {
		data, err := readFile(fsys, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if total += len(data); total > MaxTotalSize {
			errs = append(errs, fmt.Errorf("configuration files are too large together (maximum is %d bytes)", MaxTotalSize))
			break
		}
		files = append(files, Text(n, data))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return files, nil
}

func sourceNames(fsys FS, path string) ([]string, error) {
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, sourceError("Cannot open configuration file/directory", path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := fsys.ReadDir(path)
	if err != nil {
		return nil, sourceError("Cannot open configuration directory", path, err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".cfg") {
			continue
		}
		name := filepath.Join(path, e.Name())
		// not e.Type(): a link to a file counts as the file
		if info, err := fsys.Stat(name); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	return names, nil
}

func readFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, sourceError("Could not open configuration file", name, err)
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil { // a large file is not copied while it is read
		b.Grow(int(min(max(info.Size(), 0), MaxFileSize)) + bytes.MinRead)
	}
	_, err = b.ReadFrom(io.LimitReader(f, MaxFileSize+1))
	data := b.Bytes()
	if err != nil {
		return nil, sourceError("Could not read configuration file", name, err)
	}
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("configuration file %s is too large (maximum is %d bytes)", name, MaxFileSize)
	}
	return data, nil
}

// sourceError words a failure to read as HAProxy's users know it. The operation and the path that package fs puts into
// its errors are left out, for they stand in front already.
func sourceError(what, path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s %s : %w", what, path, err)
}
