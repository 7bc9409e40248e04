package config

import (
	"net/netip"
	"strings"
	"testing"
)

var (
	bindAddress   = AddressOptions{Port: true, PortNeeded: true, PortRange: true, NoDgram: true, NoNames: true}
	serverAddress = AddressOptions{Port: true, PortOffset: true, NoDgram: true}
	logAddress    = AddressOptions{Port: true}
)

func TestParseAddress(t *testing.T) {
	ip := netip.MustParseAddr
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	tests := []struct {
		in   string
		opt  AddressOptions
		want Address
	}{
		{":80", bindAddress, Address{Family: FamilyIPv4, IP: any4, Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"*:80-90", bindAddress, Address{Family: FamilyIPv4, Host: "*", IP: any4, Port: PortRange, PortLow: 80, PortHigh: 90}},
		{":::80", bindAddress, Address{Family: FamilyIPv6, Host: "::", IP: any6, Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"::1:80", bindAddress, Address{Family: FamilyIPv6, Host: "::1", IP: ip("::1"), Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"[::1]:80", bindAddress, Address{Family: FamilyIPv6, Host: "::1", IP: ip("::1"), Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"ipv6@:80", bindAddress, Address{Family: FamilyIPv6, Want: FamilyIPv6, IP: any6, Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"tcp4@*:80", bindAddress, Address{Family: FamilyIPv4, Want: FamilyIPv4, Transport: TransportStream, Host: "*", IP: any4, Port: PortSingle, PortLow: 80, PortHigh: 80}},
		{"quic4@:443", bindAddress, Address{Family: FamilyIPv4, Want: FamilyIPv4, Transport: TransportQUIC, IP: any4, Port: PortSingle, PortLow: 443, PortHigh: 443}},
		{"mptcp@:1", bindAddress, Address{Family: FamilyIPv4, Transport: TransportMPTCP, IP: any4, Port: PortSingle, PortLow: 1, PortHigh: 1}},
		{"/run/x.sock", bindAddress, Address{Family: FamilyUnix, Path: "/run/x.sock"}},
		{"unix@x:80", bindAddress, Address{Family: FamilyUnix, Path: "x:80"}},
		{"uxst@/a", bindAddress, Address{Family: FamilyUnix, Transport: TransportStream, Path: "/a"}},
		{"abns@n", bindAddress, Address{Family: FamilyAbns, Path: "n"}},
		{"abnsz@n", bindAddress, Address{Family: FamilyAbnsz, Path: "n"}},
		{"fd@3", bindAddress, Address{Family: FamilyFD, FD: 3}},
		{"dgram+fd@4", logAddress, Address{Family: FamilyFD, Transport: TransportDgram, FD: 4}},
		{"sockpair@5", bindAddress, Address{Family: FamilySockpair, FD: 5}},
		{"10.0.0.1", serverAddress, Address{Family: FamilyIPv4, Host: "10.0.0.1", IP: ip("10.0.0.1")}},
		{"10.0.0.1:", serverAddress, Address{Family: FamilyIPv4, Host: "10.0.0.1", IP: ip("10.0.0.1")}},
		{"10.0.0.1:0", serverAddress, Address{Family: FamilyIPv4, Host: "10.0.0.1", IP: ip("10.0.0.1"), Port: PortSingle}},
		{"10.0.0.1:+5", serverAddress, Address{Family: FamilyIPv4, Host: "10.0.0.1", IP: ip("10.0.0.1"), Port: PortOffset, PortLow: 5, PortHigh: 5}},
		{"10.0.0.1:-5", serverAddress, Address{Family: FamilyIPv4, Host: "10.0.0.1", IP: ip("10.0.0.1"), Port: PortOffset, PortLow: -5, PortHigh: -5}},
		{"[::1]", serverAddress, Address{Family: FamilyIPv6, Host: "::1", IP: ip("::1")}},
		{"app.example:8080", serverAddress, Address{Family: FamilyHost, Host: "app.example", Port: PortSingle, PortLow: 8080, PortHigh: 8080}},
		{"ipv4@app_1", serverAddress, Address{Family: FamilyHost, Want: FamilyIPv4, Host: "app_1"}},
		{"udp@127.0.0.1:514", logAddress, Address{Family: FamilyIPv4, Transport: TransportDgram, Host: "127.0.0.1", IP: ip("127.0.0.1"), Port: PortSingle, PortLow: 514, PortHigh: 514}},
		{"stream+ipv4@127.0.0.1", logAddress, Address{Family: FamilyIPv4, Want: FamilyIPv4, Transport: TransportStream, Host: "127.0.0.1", IP: ip("127.0.0.1")}},
	}
	for _, tt := range tests {
		got, err := ParseAddress(tt.in, tt.opt)
		if err != nil || got != tt.want {
			t.Errorf("ParseAddress(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseAddressErrors(t *testing.T) {
	long := "/" + strings.Repeat("a", 97)
	tests := []struct {
		in   string
		opt  AddressOptions
		want string
	}{
		{"*", bindAddress, "missing port specification in '*'"},
		{":", bindAddress, "missing port specification in ':'"},
		{"[::1]", bindAddress, "missing port specification in '[::1]'"},
		{":0", bindAddress, "invalid port '0'"},
		{":65536", bindAddress, "invalid port '65536'"},
		{":99999999999", bindAddress, "invalid port '99999999999'"},
		{":80-", bindAddress, "invalid port ''"},
		{":90-80", bindAddress, "invalid port range '90-80'"},
		{"*:http", bindAddress, "invalid character 'h' in port number 'http' in '*:http'"},
		{":+80", bindAddress, "port offset not permitted here in ':+80'"},
		{"1.2.3.4:80-90", serverAddress, "port range not permitted here in '1.2.3.4:80-90'"},
		{"1.2.3.4:70000", serverAddress, "invalid port '70000'"},
		{"1.2.3.4:+", serverAddress, "invalid port offset '+' in '1.2.3.4:+'"},
		{"1.2.3.4:+70000", serverAddress, "invalid port offset '+70000' in '1.2.3.4:+70000'"},
		{"1.2.3.4:80", AddressOptions{}, "port specification not permitted here in '1.2.3.4:80'"},
		{"::1", bindAddress, "invalid address: ':' in '::1'"},
		{"[::1:80", bindAddress, "invalid address: '[::1' in '[::1:80'"},
		{"[1.2.3.4]:80", bindAddress, "invalid address: '[1.2.3.4]' in '[1.2.3.4]:80'"},
		{"fe80::1%eth0:80", bindAddress, "invalid address: 'fe80::1%eth0' in 'fe80::1%eth0:80'"},
		{"ipv4@::1:80", bindAddress, "invalid address: '::1' in 'ipv4@::1:80'"},
		{"ipv6@1.2.3.4:80", bindAddress, "invalid address: '1.2.3.4' in 'ipv6@1.2.3.4:80'"},
		{"foo@1.2.3.4:80", bindAddress, "invalid address: 'foo@1.2.3.4' in 'foo@1.2.3.4:80'"},
		{"name.example:80", bindAddress, "invalid address: 'name.example' in 'name.example:80'"},
		{"a b:80", serverAddress, "invalid address: 'a b' in 'a b:80'"},
		{"fd@x", bindAddress, "file descriptor 'x' is not a valid integer in 'fd@x'"},
		{"fd@-1", bindAddress, "file descriptor '-1' is not a valid integer in 'fd@-1'"},
		{"sockpair@", bindAddress, "file descriptor '' is not a valid integer in 'sockpair@'"},
		{"udp@:80", bindAddress, "dgram-type address not acceptable in 'udp@:80'"},
		{"uxdg@/a", bindAddress, "dgram-type address not acceptable in 'uxdg@/a'"},
		{"tcp@:80", AddressOptions{Port: true, NoStream: true}, "stream-type address not acceptable in 'tcp@:80'"},
		{"unix@", bindAddress, "missing socket path or name after the address prefix"},
		{long, bindAddress, "socket path '" + long + "' too long (max 97)"},
		{"abns@" + long + long, bindAddress, "abstract socket name '" + long + long + "' too long (max 107)"},
	}
	for _, tt := range tests {
		got, err := ParseAddress(tt.in, tt.opt)
		if err == nil || err.Error() != tt.want {
			t.Errorf("ParseAddress(%q) = %+v, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}
