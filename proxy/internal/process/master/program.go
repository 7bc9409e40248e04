package master

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// image tells a program from another one: the file that it was started from. The
// zero image is that of no file.
type image struct {
	Dev, Ino uint64
	Mtime    int64 // ns
}

func imageOf(path string) image {
	var st unix.Stat_t
	if path == "" || unix.Stat(path, &st) != nil {
		return image{}
	}
	return image{uint64(st.Dev), st.Ino, st.Mtim.Nano()}
}

// Program gives the absolute path of the running program, which the next version
// of it will have: as it was called, so that a symbolic link that is changed
// counts, or else that of the file. It is to be called before the working folder
// changes.
func Program() string {
	self := imageOf("/proc/self/exe")
	name := os.Args[0]
	if !strings.Contains(name, "/") {
		name, _ = exec.LookPath(name)
	}
	name, err := filepath.Abs(name)
	if err == nil && !strings.HasPrefix(name, "/proc/") && imageOf(name) == self {
		return name
	}
	path, err := os.Executable()
	if err != nil || imageOf(path) != self {
		return ""
	}
	return path
}

// changed tells whether the program on the disk is another than the one that
// runs.
func (m *Master) changed() bool {
	now := imageOf(m.path)
	if now == (image{}) {
		if m.path != "" {
			m.o.Console.Warn("there is no program %s any more: going on with the one that runs", m.path)
		}
		return false
	}
	return now != m.image
}
