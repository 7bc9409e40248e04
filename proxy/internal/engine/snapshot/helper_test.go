package snapshot

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func dup(t *testing.T, f *os.File) int {
	t.Helper()
	n, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(n, true); err != nil {
		t.Fatal(err)
	}
	return n
}

func isOpen(n int) bool {
	_, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	return err == nil
}
