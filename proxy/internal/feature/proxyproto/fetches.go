package proxyproto

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// types are the names that fc_pp_tlv knows (manual).
var types = map[string]byte{
	"ALPN": typeALPN, "AUTHORITY": typeAuthority, "CRC32": typeCRC32C, "NETNS": typeNetNS, "NOOP": typeNoop, "SSL": typeSSL,
	"SSL_CIPHER": subCipher, "SSL_CN": subCN, "SSL_KEY_ALG": subKeyAlg, "SSL_SIG_ALG": subSigAlg, "SSL_VERSION": subVersion,
	"UNIQUE_ID": typeUniqueID,
}

const tlvPlaces = ".YYYYYYYYYYYYYYYYYY..."

func init() {
	sample.RegisterFetch(
		sample.Fetch{Name: "fc_rcvd_proxy", Out: sample.Bool, Where: sample.Connection, Compile: ofClient(func(s *stream.Session, v *sample.Value) bool {
			return v.SetBool(heard.Of(s) != nil)
		})},
		sample.Fetch{Name: "fc_pp_authority", Out: sample.Str, Where: sample.Connection, Compile: first(typeAuthority)},
		sample.Fetch{Name: "fc_pp_unique_id", Out: sample.Str, Where: sample.Connection, Compile: first(typeUniqueID)},
		sample.Fetch{Name: "fc_pp_tlv", Args: "string", Out: sample.Str, Where: tlvPlaces, Compile: tlv},

		address("fc_src", func(s *stream.Session) reactor.Addr { return s.Peer() }),
		port("fc_src_port", func(s *stream.Session) reactor.Addr { return s.Peer() }),
		address("fc_dst", func(s *stream.Session) reactor.Addr { return s.Local() }),
		port("fc_dst_port", func(s *stream.Session) reactor.Addr { return s.Local() }),
		ours("src_is_local", func(s *stream.Session) reactor.Addr { return s.Src }),
		ours("dst_is_local", func(s *stream.Session) reactor.Addr { return s.Dst() }),
		ours("fc_src_is_local", func(s *stream.Session) reactor.Addr { return s.Peer() }),
		ours("fc_dst_is_local", func(s *stream.Session) reactor.Addr { return s.Local() }),
	)
}

// ofClient makes a fetch of the client's connection.
func ofClient(f func(s *stream.Session, v *sample.Value) bool) func(*conf.Ctx, []string) (sample.Func, error) {
	get := func(sc *stream.Scope, v *sample.Value, n int) bool { return n <= 0 && sc.Sess != nil && f(sc.Sess, v) }
	return func(*conf.Ctx, []string) (sample.Func, error) { return get, nil }
}

func address(name string, of func(*stream.Session) reactor.Addr) sample.Fetch {
	return sample.Fetch{Name: name, Out: sample.Addr, Where: sample.Connection, Compile: ofClient(func(s *stream.Session, v *sample.Value) bool {
		a := of(s)
		return a.IP.IsValid() && v.SetAddr(a.IP)
	})}
}

func port(name string, of func(*stream.Session) reactor.Addr) sample.Fetch {
	return sample.Fetch{Name: name, Out: sample.Int, Where: sample.Connection, Compile: ofClient(func(s *stream.Session, v *sample.Value) bool {
		a := of(s)
		return a.IP.IsValid() && v.SetInt(int64(a.Port))
	})}
}

// ours makes a fetch that tells whether an address is one of this machine's.
func ours(name string, of func(*stream.Session) reactor.Addr) sample.Fetch {
	return sample.Fetch{Name: name, Out: sample.Bool, Where: sample.Connection, Compile: ofClient(func(s *stream.Session, v *sample.Value) bool {
		return v.SetBool(isLocal(s.Reactor().Sys, of(s)))
	})}
}

// isLocal tries to bind to the address, as the kernel knows best. UNIX addresses
// are local.
func isLocal(sys reactor.Sys, a reactor.Addr) bool {
	if !a.IP.IsValid() || a.IP.IsLoopback() {
		return true
	}
	domain := syscall.AF_INET
	if a.IP.Is6() {
		domain = syscall.AF_INET6
	}
	fd, e := sys.Socket(domain, syscall.SOCK_DGRAM, 0)
	if e != 0 {
		return false
	}
	defer sys.Close(fd)
	return sys.Bind(fd, reactor.Addr{IP: a.IP}) == 0
}

// first makes a fetch of the first field of a type.
func first(typ byte) func(*conf.Ctx, []string) (sample.Func, error) {
	return ofClient(func(s *stream.Session, v *sample.Value) bool { return field(s, v, typ, 0) })
}

// tlv compiles fc_pp_tlv(<id>): all fields of a type, one after the other.
func tlv(_ *conf.Ctx, args []string) (sample.Func, error) {
	typ, ok := types[args[0]]
	if !ok {
		n, err := strconv.ParseUint(args[0], 0, 8)
		if err != nil {
			return nil, fmt.Errorf("expects a number between 0 and 255 or the name of a type of the PROXY protocol, got '%s'", args[0])
		}
		typ = byte(n)
	}
	return func(sc *stream.Scope, v *sample.Value, n int) bool {
		return sc.Sess != nil && field(sc.Sess, v, typ, max(n, 0))
	}, nil
}

func field(s *stream.Session, v *sample.Value, typ byte, n int) bool {
	t := heard.Of(s)
	if t == nil {
		return false
	}
	b, ok := find(t.tlvs, typ, n)
	return ok && v.SetStr(b)
}
