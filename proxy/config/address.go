package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Family is the kind of an address.
type Family int

// The families of manual 2.9.1. FamilyHost is a name that is still to be resolved, to IPv4 or IPv6.
const (
	FamilyHost Family = iota
	FamilyIPv4
	FamilyIPv6
	FamilyUnix
	FamilyAbns     // abstract name, padded with zeros
	FamilyAbnsz    // abstract name, of its own length
	FamilyFD       // inherited file descriptor
	FamilySockpair // inherited end of a socket pair
)

// Transport is how bytes travel (manual 2.9.2).
type Transport int

// TransportDefault leaves the choice to the statement.
const (
	TransportDefault Transport = iota
	TransportStream
	TransportDgram
	TransportQUIC  // a stream over datagrams
	TransportMPTCP // a stream over several paths
)

// PortKind tells what stands behind the last colon.
type PortKind int

// The kinds of ports.
const (
	PortNone   PortKind = iota
	PortSingle          // PortLow, and PortHigh equal to it
	PortRange           // PortLow to PortHigh
	PortOffset          // PortLow is added to the port of the other side; it may be negative
)

// Address is a parsed address (manual 2.9). Names are not resolved.
type Address struct {
	Family    Family
	Transport Transport
	// Want narrows FamilyHost: FamilyIPv4, FamilyIPv6 or FamilyHost for either.
	Want Family
	// Host is the name or the literal as written, without brackets: "" and "*" mean any address.
	Host string
	// IP is the address when Host is a literal or means any; invalid for names and other families.
	IP netip.Addr
	// Path is the path of a unix socket, or an abstract name.
	Path string
	// FD is the number of a file descriptor.
	FD                int
	Port              PortKind
	PortLow, PortHigh int
}

// IsIP tells the addresses that have a host and can have a port.
func (a Address) IsIP() bool { return a.Family <= FamilyIPv6 }

// AddressOptions says what a statement accepts. The zero value accepts an address without a port.
type AddressOptions struct {
	Port       bool // a port may be given
	PortNeeded bool // and must be, and is not 0
	PortRange  bool // it may be a range
	PortOffset bool // it may begin with + or -
	NoStream   bool // streams are refused
	NoDgram    bool // datagrams are refused
	NoNames    bool // host names are refused
}

// maxUnixPath is the longest path of a unix socket: sun_path less what temporary names need.
const maxUnixPath = 97

type addressPrefix struct {
	text      string
	family    Family
	transport Transport
}

// prefixes are those of manual 2.9.1 and 2.9.3.
var prefixes = []addressPrefix{
	{"unix@", FamilyUnix, TransportDefault},
	{"uxdg@", FamilyUnix, TransportDgram},
	{"uxst@", FamilyUnix, TransportStream},
	{"abns@", FamilyAbns, TransportDefault},
	{"abnsz@", FamilyAbnsz, TransportDefault},
	{"ip@", FamilyHost, TransportDefault},
	{"ipv4@", FamilyIPv4, TransportDefault},
	{"ipv6@", FamilyIPv6, TransportDefault},
	{"tcp@", FamilyHost, TransportStream},
	{"tcp4@", FamilyIPv4, TransportStream},
	{"tcp6@", FamilyIPv6, TransportStream},
	{"udp@", FamilyHost, TransportDgram},
	{"udp4@", FamilyIPv4, TransportDgram},
	{"udp6@", FamilyIPv6, TransportDgram},
	{"mptcp@", FamilyHost, TransportMPTCP},
	{"mptcp4@", FamilyIPv4, TransportMPTCP},
	{"mptcp6@", FamilyIPv6, TransportMPTCP},
	{"quic4@", FamilyIPv4, TransportQUIC},
	{"quic6@", FamilyIPv6, TransportQUIC},
	{"fd@", FamilyFD, TransportDefault},
	{"sockpair@", FamilySockpair, TransportDefault},
}

// typePrefixes are those of manual 2.9.2.
var typePrefixes = []addressPrefix{
	{"stream+", 0, TransportStream},
	{"dgram+", 0, TransportDgram},
	{"quic+", 0, TransportQUIC},
}

// ParseAddress reads an address (manual 2.9). Error texts name the part that is wrong and the whole address.
func ParseAddress(s string, opt AddressOptions) (Address, error) {
	var a Address
	rest := s
	for _, p := range typePrefixes {
		if r, ok := strings.CutPrefix(rest, p.text); ok {
			a.Transport, rest = p.transport, r
			break
		}
	}
	known := false
	for _, p := range prefixes {
		if r, ok := strings.CutPrefix(rest, p.text); ok {
			a.Family, rest, known = p.family, r, true
			if a.Transport == TransportDefault {
				a.Transport = p.transport
			}
			break
		}
	}
	if !known && strings.HasPrefix(rest, "/") {
		a.Family = FamilyUnix
	}
	if a.Transport == TransportDgram && opt.NoDgram {
		return Address{}, fmt.Errorf("dgram-type address not acceptable in '%s'", s)
	}
	if (a.Transport == TransportStream || a.Transport == TransportQUIC || a.Transport == TransportMPTCP) && opt.NoStream {
		return Address{}, fmt.Errorf("stream-type address not acceptable in '%s'", s)
	}
	var err error
	switch a.Family {
	case FamilyFD, FamilySockpair:
		err = a.setFD(rest, s)
	case FamilyUnix, FamilyAbns, FamilyAbnsz:
		err = a.setPath(rest)
	default:
		err = a.setHost(rest, s, opt)
	}
	if err != nil {
		return Address{}, err
	}
	return a, nil
}

func (a *Address) setFD(rest, whole string) error {
	n, err := strconv.ParseUint(rest, 10, 31)
	if err != nil {
		return fmt.Errorf("file descriptor '%s' is not a valid integer in '%s'", rest, whole)
	}
	a.FD = int(n)
	return nil
}

func (a *Address) setPath(rest string) error {
	if a.Family == FamilyUnix && len(rest) > maxUnixPath {
		return fmt.Errorf("socket path '%s' too long (max %d)", rest, maxUnixPath)
	}
	if len(rest) > 107 {
		return fmt.Errorf("abstract socket name '%s' too long (max %d)", rest, 107)
	}
	if rest == "" {
		return fmt.Errorf("missing socket path or name after the address prefix")
	}
	a.Path = rest
	return nil
}

func (a *Address) setHost(rest, whole string, opt AddressOptions) error {
	host, port, hasPort := cutPort(rest)
	if !opt.Port && !opt.PortNeeded && hasPort && port != "" {
		return fmt.Errorf("port specification not permitted here in '%s'", whole)
	}
	if opt.PortNeeded && port == "" {
		return fmt.Errorf("missing port specification in '%s'", whole)
	}
	if err := a.setPort(port, whole, opt); err != nil {
		return err
	}
	want := a.Family
	a.Want = want
	a.Host = host
	bad := fmt.Errorf("invalid address: '%s' in '%s'", host, whole)
	if strings.HasPrefix(host, "[") {
		inner, ok := strings.CutSuffix(host[1:], "]")
		if !ok || !strings.Contains(inner, ":") {
			return bad
		}
		a.Host, host = inner, inner
	}
	switch {
	case host == "" || host == "*":
		a.Family = FamilyIPv4
		a.IP = netip.IPv4Unspecified()
		if want == FamilyIPv6 {
			a.Family, a.IP = FamilyIPv6, netip.IPv6Unspecified()
		}
		return nil
	case strings.Contains(host, ":"):
		ip, err := netip.ParseAddr(host)
		if err != nil || want == FamilyIPv4 || ip.Zone() != "" {
			return bad
		}
		a.Family, a.IP = FamilyIPv6, ip
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if want == FamilyIPv6 {
			return bad
		}
		a.Family, a.IP = FamilyIPv4, ip
		return nil
	}
	if opt.NoNames || !validHost(host) {
		return bad
	}
	a.Family = FamilyHost
	return nil
}

// cutPort takes what follows the last colon off an address, unless that colon stands inside brackets. An IPv6 address
// without brackets needs a port (or a colon behind it), as its last group is taken for one.
func cutPort(s string) (host, port string, found bool) {
	if strings.HasSuffix(s, "]") {
		return s, "", false
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func (a *Address) setPort(port, whole string, opt AddressOptions) error {
	if port == "" {
		return nil
	}
	for i := 0; i < len(port); i++ {
		if c := port[i]; (c < '0' || c > '9') && c != '-' && (i > 0 || c != '+') {
			return fmt.Errorf("invalid character '%c' in port number '%s' in '%s'", c, port, whole)
		}
	}
	if port[0] == '+' || port[0] == '-' {
		return a.setPortOffset(port, whole, opt)
	}
	low, high, isRange := strings.Cut(port, "-")
	if isRange && !opt.PortRange {
		return fmt.Errorf("port range not permitted here in '%s'", whole)
	}
	lo, ok := portNumber(low)
	if !ok || lo == 0 && opt.PortNeeded {
		return fmt.Errorf("invalid port '%s'", low)
	}
	a.Port, a.PortLow, a.PortHigh = PortSingle, lo, lo
	if isRange {
		hi, ok := portNumber(high)
		if !ok {
			return fmt.Errorf("invalid port '%s'", high)
		}
		if hi < lo {
			return fmt.Errorf("invalid port range '%s'", port)
		}
		a.Port, a.PortHigh = PortRange, hi
	}
	return nil
}

func (a *Address) setPortOffset(port, whole string, opt AddressOptions) error {
	if !opt.PortOffset {
		return fmt.Errorf("port offset not permitted here in '%s'", whole)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n > 65535 || n < -65535 {
		return fmt.Errorf("invalid port offset '%s' in '%s'", port, whole)
	}
	a.Port, a.PortLow, a.PortHigh = PortOffset, n, n
	return nil
}

func portNumber(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil
}

// validHost tells whether a word can be the name of a host (RFC 1123, and the underscore that service names need).
func validHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isNameChar(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
