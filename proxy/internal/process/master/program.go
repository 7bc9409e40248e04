package master

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

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

// mask is a set of signals.
func mask(list []os.Signal) (set unix.Sigset_t) {
	for _, s := range list {
		const bits = 8 * uint(unsafe.Sizeof(set.Val[0]))
		n := uint(s.(unix.Signal)) - 1
		set.Val[n/bits] |= 1 << (n % bits)
	}
	return set
}

// unmasked calls f, which starts a process, with no signal blocked: the process
// inherits that. A master that took another's place was started with them
// blocked, so that none got lost.
func unmasked(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &old); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	return f()
}
