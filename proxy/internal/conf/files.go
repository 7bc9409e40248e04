package conf

import (
	"fmt"
	"io"
	"io/fs"
)

// maxFile bounds what is read of one file, in bytes.
const maxFile = 64 << 20

// ReadFile reads a file, bounded to 64 MiB.
func ReadFile(fsys fs.FS, name string) ([]byte, error) {
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
