package runtime

import (
	"net"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// Find returns how to reach the proxy: the first "stats socket" of the configuration with level admin, else the worker
// behind the master socket (empty when there is none). nil when there is neither.
func Find(f *config.File, masterSocket string) *Client {
	for _, s := range f.Sections() {
		if s.Kind != "global" {
			continue
		}
		for _, l := range s.Body {
			if len(l.Words) < 3 || l.Words[0] != "stats" || l.Words[1] != "socket" {
				continue
			}
			for i, w := range l.Words[3:] {
				if w == "level" && i+4 < len(l.Words) && l.Words[i+4] == "admin" {
					if c := At(l.Words[2]); c != nil {
						return c
					}
				}
			}
		}
	}
	if masterSocket == "" {
		return nil
	}
	if c := At(masterSocket); c != nil {
		c.Prefix = "@1 "
		return c
	}
	return nil
}

// At reads an address of the configuration language as one to connect to. nil when nobody can: an inherited socket.
func At(address string) *Client {
	address, _, _ = strings.Cut(address, ",") // what follows are settings
	for _, p := range []string{"unix@", "ipv4@", "ipv6@", "uxst@"} {
		address = strings.TrimPrefix(address, p)
	}
	switch {
	case strings.HasPrefix(address, "abns@"):
		// HAProxy fills an abstract address with zeros to its full size.
		name := "@" + strings.TrimPrefix(address, "abns@")
		return &Client{Network: "unix", Address: name + strings.Repeat("\x00", max(0, 108-len(name)))}
	case strings.HasPrefix(address, "abnsz@"):
		return &Client{Network: "unix", Address: "@" + strings.TrimPrefix(address, "abnsz@")}
	case strings.HasPrefix(address, "fd@"), strings.HasPrefix(address, "sockpair@"), address == "":
		return nil
	case strings.Contains(address, "/"):
		return &Client{Network: "unix", Address: address}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	if host == "" || host == "*" {
		host = "127.0.0.1"
	}
	return &Client{Network: "tcp", Address: net.JoinHostPort(host, port)}
}
