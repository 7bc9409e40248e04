package stream

import (
	"slices"
	"strings"
)

// Protocol is what a connection may speak. Each is in files of its own: what a
// client's connection is ([front]) and what one to a server is, and is registered
// by the names that the configuration and TLS have for it.
type Protocol struct {
	// Name is that of "proto".
	Name string
	// ALPN is the name that TLS has for it (RFC 7301), "" if it is not agreed on there.
	ALPN string
	// Mode is that of the proxies that use it.
	Mode Mode
	// Major is the version of HTTP, 0 if it is none. Where several may be agreed on,
	// the highest is preferred.
	Major int

	// preface is what a connection begins with that speaks it although nothing was
	// agreed on, "" if that cannot be.
	preface string
	// front makes a client's connection one of it, and serves it; read is what was read
	// of it. nil: clients do not speak it.
	front func(c *ClientConn, read []byte)
	// back makes a connection to a server one of it, and st the first who may use it.
	// The connection may still have to be made. nil: it is not spoken to servers.
	back func(c *ServerConn, st *Stream)
}

// protocols are those that were registered.
var protocols []*Protocol

// RegisterProtocol adds a protocol.
func RegisterProtocol(p Protocol) *Protocol {
	if ProtocolNamed(p.Name) != nil {
		panic("stream: protocol " + p.Name + " is registered twice")
	}
	protocols = append(protocols, &p)
	return &p
}

// ProtocolNamed gives a protocol by the name that "proto" has for it, nil if there is
// none.
func ProtocolNamed(name string) *Protocol {
	for _, p := range protocols {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// ForClients tells whether clients may speak it.
func (p *Protocol) ForClients() bool { return p.front != nil }

// ForServers tells whether servers may be spoken to in it.
func (p *Protocol) ForServers() bool { return p.back != nil }

// protocolOf gives a protocol by the name that TLS has for it, nil if there is none.
func protocolOf(alpn string) *Protocol {
	for _, p := range protocols {
		if p.ALPN == alpn && alpn != "" {
			return p
		}
	}
	return nil
}

// ALPN are the names of the protocols that clients may agree on under TLS, the
// preferred first: of the one that is named, or of all if name is "".
func ALPN(name string) []string {
	var all []*Protocol
	for _, p := range protocols {
		if p.ALPN != "" && p.front != nil && (name == "" || name == p.Name) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *Protocol) int { return b.Major - a.Major })
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.ALPN
	}
	return names
}

// protocolBegun tells which protocol begins with b, nil: none that says so. sure is
// false while what is there could still become one.
func protocolBegun(b []byte) (p *Protocol, sure bool) {
	sure = true
	for _, p := range protocols {
		switch {
		case p.preface == "" || b[0] != p.preface[0]:
		case len(b) >= len(p.preface):
			if string(b[:len(p.preface)]) == p.preface {
				return p, true
			}
		case strings.HasPrefix(p.preface, string(b)):
			sure = false
		}
	}
	return nil, sure
}
