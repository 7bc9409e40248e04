package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// Bounds of a [Folder].
const (
	maxEntries  = 100_000
	maxNameSize = 200 // bytes
)

// Folder is a folder of files that the API writes beside the configuration: certificates, lists of them.
type Folder struct{ Dir string }

// ErrName says that a name cannot be one of a file in a [Folder].
var ErrName = errors.New("a name has letters, digits and . _ - + = @ in it, does not begin with one of .-=@ and is no longer than 200 bytes")

var fileName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+=@-]*$`)

// Path is where the file of that name is. [ErrName] for what could be elsewhere.
func (f Folder) Path(name string) (string, error) {
	if len(name) > maxNameSize || !fileName.MatchString(name) {
		return "", fmt.Errorf("%q: %w", name, ErrName)
	}
	return filepath.Join(f.Dir, name), nil
}

// Names lists the files in their order. A folder that does not exist has none.
func (f Folder) Names() ([]string, error) {
	names := []string{}
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !fileName.MatchString(e.Name()) {
			continue
		}
		if names = append(names, e.Name()); len(names) > maxEntries {
			return nil, fmt.Errorf("%s has more than %d files", f.Dir, maxEntries)
		}
	}
	return names, nil
}

// Read reads a file of at most [MaxFile] bytes. A missing one is an error that is [fs.ErrNotExist].
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// ErrNotFile says that something is no file, or a symbolic link to one: those are not followed.
var ErrNotFile = errors.New("is no regular file (symbolic links are not followed)")

// ReadFile reads a file as Read does, if its name is that of a file itself.
func ReadFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		err = fmt.Errorf("%s %w", filepath.Base(path), ErrNotFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s %w", filepath.Base(path), ErrNotFile))
	}
	return readAll(f)
}

func readAll(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fmt.Errorf("%s is larger than %d bytes", f.Name(), MaxFile)
	}
	return data, err
}

// Put replaces a file as a whole, making its folder if there is none; nil data takes the file away. A symbolic link of the
// name is not followed, but replaced.
func Put(path string, data []byte) error {
	if data != nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		return WriteFile(path, data)
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
