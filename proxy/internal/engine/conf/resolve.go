package conf

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// resolveTimeout bounds one look-up of a name while loading.
const resolveTimeout = 5 * time.Second

// hosts resolves names while a configuration is loaded, each once.
type hosts struct {
	cache map[string][]netip.Addr
	names *Resolver
	// lenient is -dr: servers may do without an address
	lenient bool
}

// Resolver finds addresses as the system's files say. They are read once, through
// the configuration's own file system, because the process may have no other.
type Resolver struct {
	table map[string][]netip.Addr // /etc/hosts
	dns   net.Resolver
}

// NewResolver reads the files: /etc/hosts and /etc/resolv.conf.
func NewResolver(read func(name string) ([]byte, error)) *Resolver {
	h := &Resolver{table: make(map[string][]netip.Addr)}
	if data, err := read("/etc/hosts"); err == nil {
		for line := range bytes.Lines(data) {
			text, _, _ := strings.Cut(string(line), "#")
			f := strings.Fields(text)
			if len(f) < 2 {
				continue
			}
			ip, err := netip.ParseAddr(f[0])
			if err != nil {
				continue
			}
			for _, name := range f[1:] {
				name = strings.ToLower(name)
				h.table[name] = append(h.table[name], ip)
			}
		}
	}
	var servers []string
	if data, err := read("/etc/resolv.conf"); err == nil {
		for line := range bytes.Lines(data) {
			if f := strings.Fields(string(line)); len(f) > 1 && f[0] == "nameserver" {
				servers = append(servers, net.JoinHostPort(f[1], "53"))
			}
		}
	}
	var next atomic.Uint32 // look-ups of both families run side by side
	h.dns = net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if len(servers) > 0 {
			address = servers[int(next.Add(1)-1)%len(servers)]
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	return h
}

// Lookup gives the addresses of a name. It blocks: it is not for reactors.
func (h *Resolver) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if list := h.table[strings.ToLower(strings.TrimSuffix(name, "."))]; list != nil {
		return list, nil
	}
	return h.dns.LookupNetIP(ctx, "ip", name)
}

// Resolve gives the first address of a name, of IPv4 if it has one. It may wait
// for name servers.
func (l *Loading) Resolve(name string) (netip.Addr, error) {
	return l.resolve(name, config.FamilyHost)
}

// resolve gives the first address of a name in the family that is wanted
// (config.FamilyHost: IPv4 before IPv6).
func (l *Loading) resolve(name string, want config.Family) (netip.Addr, error) {
	ip, err := l.hostOf(name, want)
	switch {
	case l == nil || l.cur == nil:
	case err != nil: // it may have an address next time
		l.Anew()
	default:
		l.cur.hosts = append(l.cur.hosts, resolved{name, want, ip})
	}
	return ip, err
}

// resolved is what was found of a name.
type resolved struct {
	name string
	want config.Family
	ip   netip.Addr
}

func (l *Loading) hostOf(name string, want config.Family) (netip.Addr, error) {
	h := &l.host
	if h.names == nil {
		h.names, h.cache = NewResolver(l.ReadFile), make(map[string][]netip.Addr)
	}
	key := strings.ToLower(strings.TrimSuffix(name, "."))
	list, known := h.cache[key]
	if !known {
		ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
		list, _ = h.names.Lookup(ctx, name)
		cancel()
		h.cache[key] = list
	}
	for _, v6 := range []bool{false, true} {
		if v6 && want == config.FamilyIPv4 || !v6 && want == config.FamilyIPv6 {
			continue
		}
		for _, ip := range list {
			if ip = ip.Unmap(); ip.Is6() == v6 {
				return ip, nil
			}
		}
	}
	return netip.Addr{}, say("could not resolve address '%s'.", name)
}

// SocketAddr reads the address in the i-th of words, see [Loading.Address], and
// resolves it if it is a name. The port is 0 if there is none.
func (l *Loading) SocketAddr(words []string, i int, o config.AddressOptions) (reactor.Addr, error) {
	a, err := l.Address(words, i, o)
	if err != nil {
		return reactor.Addr{}, err
	}
	if a.Transport == config.TransportQUIC || a.Transport == config.TransportMPTCP || a.Family == config.FamilyFD || a.Family == config.FamilySockpair {
		return reactor.Addr{}, NotYet("address type", addressType(words[i]))
	}
	to, err := l.socketAddr(a, a.PortLow)
	if err != nil {
		return reactor.Addr{}, say("invalid address: '%s' in '%s'", a.Host, words[i])
	}
	return to, nil
}

// socketAddr makes the address to listen on or to connect to. The port is the
// given one.
func (l *Loading) socketAddr(a config.Address, port int) (reactor.Addr, error) {
	switch a.Family {
	case config.FamilyUnix:
		return reactor.Addr{Path: a.Path}, nil
	case config.FamilyAbns:
		// of full length, padded with zeros
		return reactor.Addr{Path: "\x00" + a.Path + strings.Repeat("\x00", max(107-len(a.Path), 0))}, nil
	case config.FamilyAbnsz:
		return reactor.Addr{Path: "\x00" + a.Path}, nil
	case config.FamilyIPv4, config.FamilyIPv6:
		return reactor.Addr{IP: a.IP, Port: uint16(port)}, nil
	case config.FamilyHost:
		ip, err := l.resolve(a.Host, a.Want)
		return reactor.Addr{IP: ip, Port: uint16(port)}, err
	}
	return reactor.Addr{}, say("address family not usable here")
}
