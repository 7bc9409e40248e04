package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// capLast bounds the numbers of capabilities; the kernel has 41 of them now.
const capLast = 63

// bindCapability gives CAP_NET_BIND_SERVICE as a bit if the process may have it.
func bindCapability() (uint32, error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return 0, err
	}
	return d[0].Permitted & (1 << unix.CAP_NET_BIND_SERVICE), nil
}

// dropBounding makes sure that no program started from here could get a
// capability back. Only who has CAP_SETPCAP can, and needs to.
func dropBounding() error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return err
	}
	if d[0].Effective&(1<<unix.CAP_SETPCAP) == 0 {
		return nil
	}
	for c := range uintptr(capLast) {
		if n, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
			break // past the last one
		} else if n == 0 {
			continue
		}
		if err := all(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); err != nil {
			return err
		}
	}
	return nil
}

// setCapabilities leaves the process with keep and nothing else.
func setCapabilities(keep uint32) error {
	h := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	d := &[2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	if err := all(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil && err != unix.EINVAL {
		return err
	}
	return all(unix.SYS_CAPSET, uintptr(unsafe.Pointer(h)), uintptr(unsafe.Pointer(d)), 0)
}
