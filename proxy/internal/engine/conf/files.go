package conf

import (
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
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return b, err
}
