package conf

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
)

// maxFile bounds what is read of one file, in bytes.
const maxFile = 64 << 20

// ReadFile reads a file, bounded to 64 MiB. Without a file system there are no
// files.
func ReadFile(fsys fs.FS, name string) ([]byte, error) {
	if fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var buf bytes.Buffer
	if info, err := f.Stat(); err == nil {
		buf.Grow(int(min(max(info.Size(), 0), maxFile)) + bytes.MinRead) // a large file is not copied while it is read
	}
	_, err = buf.ReadFrom(io.LimitReader(f, maxFile+1))
	b := buf.Bytes()
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return b, err
}
