package tcptest

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Reserve gives an address that nobody listens on and that is the test's own until
// it ends: the system gives its port to nobody else meanwhile, neither to listen on
// nor to connect from. Whoever is told to can listen on it. HAProxies would
// otherwise share a port without a word that two tests were given one after the
// other.
func Reserve(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	// What listens sets one of them or both.
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	local := [4]byte{127, 0, 0, 1}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(local), uint16(sa.(*unix.SockaddrInet4).Port))
}
