package reactor

import (
	"net/netip"
	"strconv"
)

// Addr is a socket address: an IP address and a port, or the path of a UNIX
// socket. An abstract UNIX address has a NUL as the first byte of its path.
// The zero Addr is "no address".
type Addr struct {
	IP   netip.Addr
	Port uint16
	Path string
}

// IsUnix tells whether a is the address of a UNIX socket.
func (a Addr) IsUnix() bool { return a.Path != "" }

// IsValid tells whether a is an address at all.
func (a Addr) IsValid() bool { return a.Path != "" || a.IP.IsValid() }

// AddrPort gives the IP address and port of a.
func (a Addr) AddrPort() netip.AddrPort { return netip.AddrPortFrom(a.IP, a.Port) }

// String gives "ip:port" (IPv6 without brackets, as in the logs of the field) or
// the path.
func (a Addr) String() string {
	switch {
	case len(a.Path) > 0 && a.Path[0] == 0:
		return "abns@" + a.Path[1:]
	case a.Path != "":
		return a.Path
	case !a.IP.IsValid():
		return "-"
	}
	return a.IP.String() + ":" + strconv.Itoa(int(a.Port))
}
