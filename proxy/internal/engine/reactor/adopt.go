package reactor

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errno is the number of an error of package unix, 0 for nil.
func errno(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EINVAL
}

// Adopt makes the file description non-blocking, so whoever else has it is
// affected: a single call that blocks would stop a reactor for good.
func (linux) Adopt(fd int) (int, syscall.Errno) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, errno(err)
	}
	if err := unix.SetNonblock(n, true); err != nil {
		unix.Close(n)
		return -1, errno(err)
	}
	return n, 0
}

// maxPassed is how many descriptors of one message are seen, and all but the
// first closed; the kernel closes what is above.
const maxPassed = 8

func (linux) ReceiveFD(fd int) (int, syscall.Errno) {
	var data [16]byte
	var oob [64]byte // CmsgSpace(4*maxPassed) is 48
	n, oobn, _, _, err := unix.Recvmsg(fd, data[:], oob[:unix.CmsgSpace(4*maxPassed)], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, errno(err)
	}
	if n == 0 {
		return -1, syscall.EPIPE
	}
	got := -1
	msgs, _ := unix.ParseSocketControlMessage(oob[:oobn])
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, f := range fds {
			if got >= 0 || !isStream(f) || unix.SetNonblock(f, true) != nil {
				unix.Close(f)
				continue
			}
			got = f
		}
	}
	if got < 0 {
		return -1, syscall.ECONNABORTED
	}
	return got, 0
}

func isStream(fd int) bool {
	t, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && t == unix.SOCK_STREAM
}
