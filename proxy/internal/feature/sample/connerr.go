package sample

import (
	"errors"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/tlserr"
)

// connErrors are the errors that connections end with, by their number (manual,
// fc_err_str).
var connErrors = [...]struct{ name, text string }{
	{"", "Success"},
	{"CONF_FDLIM", "Reached configured maxconn value"},
	{"PROC_FDLIM", "Too many sockets on the process"},
	{"SYS_FDLIM", "Too many sockets on the system"},
	{"SYS_MEMLIM", "Out of system buffers"},
	{"NOPROTO", "Protocol or address family not supported"},
	{"SOCK_ERR", "General socket error"},
	{"PORT_RANGE", "Source port range exhausted"},
	{"CANT_BIND", "Can't bind to source address"},
	{"FREE_PORTS", "Out of local source ports on the system"},
	{"ADDR_INUSE", "Local source address already in use"},
	{"PRX_EMPTY", "Connection closed while waiting for PROXY protocol header"},
	{"PRX_ABORT", "Connection error while waiting for PROXY protocol header"},
	{"PRX_TIMEOUT", "Timeout while waiting for PROXY protocol header"},
	{"PRX_TRUNCATED", "Truncated PROXY protocol header received"},
	{"PRX_NOT_HDR", "Received something which does not look like a PROXY protocol header"},
	{"PRX_BAD_HDR", "Received an invalid PROXY protocol header"},
	{"PRX_BAD_PROTO", "Received an unhandled protocol in the PROXY protocol header"},
	{"CIP_EMPTY", "Connection closed while waiting for NetScaler Client IP header"},
	{"CIP_ABORT", "Connection error while waiting for NetScaler Client IP header"},
	{"CIP_TIMEOUT", "Timeout while waiting for a NetScaler Client IP header"},
	{"CIP_TRUNCATED", "Truncated NetScaler Client IP header received"},
	{"CIP_BAD_MAGIC", "Received an invalid NetScaler Client IP magic number"},
	{"CIP_BAD_PROTO", "Received an unhandled protocol in the NetScaler Client IP header"},
	{"SSL_EMPTY", "Connection closed during SSL handshake"},
	{"SSL_ABORT", "Connection error during SSL handshake"},
	{"SSL_TIMEOUT", "Timeout during SSL handshake"},
	{"SSL_TOO_MANY", "Too many SSL connections"},
	{"SSL_NO_MEM", "Out of memory when initializing an SSL connection"},
	{"SSL_RENEG", "Rejected a client-initiated SSL renegotiation attempt"},
	{"SSL_CA_FAIL", "SSL client CA chain cannot be verified"},
	{"SSL_CRT_FAIL", "SSL client certificate not trusted"},
	{"SSL_MISMATCH", "Server presented an SSL certificate different from the configured one"},
	{"SSL_MISMATCH_SNI", "Server presented an SSL certificate different from the expected one"},
	{"SSL_HANDSHAKE", "SSL handshake failure"},
	{"SSL_HANDSHAKE_HB", "SSL handshake failure after heartbeat"},
	{"SSL_KILLED_HB", "Stopped a TLSv1 heartbeat attack (CVE-2014-0160)"},
	{"SSL_NO_TARGET", "Attempt to use SSL on an unknown target (internal error)"},
	{"SSL_EARLY_FAILED", "Server refused early data"},
	{"SOCKS4_SEND", "SOCKS4 Proxy write error during handshake"},
	{"SOCKS4_RECV", "SOCKS4 Proxy read error during handshake"},
	{"SOCKS4_DENY", "SOCKS4 Proxy deny the request"},
	{"SOCKS4_ABORT", "SOCKS4 Proxy handshake aborted by server"},
	{"SSL_FATAL", "SSL fatal error"},
	{"REVERSE", "Reverse connect failure"},
	{"POLLERR", "Poller reported POLLERR"},
	{"EREFUSED", "ECONNREFUSED returned by OS"},
	{"ERESET", "ECONNRESET returned by OS"},
	{"EUNREACH", "ENETUNREACH returned by OS"},
	{"ENOMEM", "ENOMEM returned by OS"},
	{"EBADF", "EBADF returned by OS"},
	{"EFAULT", "EFAULT returned by OS"},
	{"EINVAL", "EINVAL returned by OS"},
	{"ENCONN", "ENCONN returned by OS"},
	{"ENSOCK", "ENSOCK returned by OS"},
	{"ENOBUFS", "ENOBUFS returned by OS"},
	{"EPIPE", "EPIPE returned by OS"},
}

// ConnErrorText is the text of an error of connections, "" for numbers that there
// are not.
func ConnErrorText(id int) string {
	if id < 0 || id >= len(connErrors) {
		return ""
	}
	return connErrors[id].text
}

const sockErr = 6 // all that has no number of its own

// errnos are the numbers of errors of the system.
var errnos = map[syscall.Errno]int{
	syscall.EMFILE: 2, syscall.ENFILE: 3, syscall.EAFNOSUPPORT: 5, syscall.EPROTONOSUPPORT: 5, syscall.EADDRNOTAVAIL: 9, syscall.EADDRINUSE: 10,
	syscall.ECONNREFUSED: 46, syscall.ECONNRESET: 47, syscall.ENETUNREACH: 48, syscall.EHOSTUNREACH: 48, syscall.ENOMEM: 49, syscall.EBADF: 50,
	syscall.EFAULT: 51, syscall.EINVAL: 52, syscall.ENOTCONN: 53, syscall.ENOTSOCK: 54, syscall.ENOBUFS: 55, syscall.EPIPE: 56,
}

// FailureOf tells why the client's connection ended before its first request: the
// zero Reason if that is not what a scope tells of.
func FailureOf(sc *stream.Scope) tlserr.Reason {
	if sc.Failed == nil {
		return tlserr.Reason{} // before what allocates
	}
	var known *stream.ConnError
	if errors.As(sc.Failed, &known) {
		return tlserr.Reason{ID: known.ID}
	}
	t := sc.ClientTLS()
	return tlserr.Of(sc.Failed, t != nil && t.Heard)
}

func frontErr(sc *stream.Scope) int {
	if t := sc.ClientTLS(); t != nil && t.Fault() != nil {
		return tlserr.Fatal
	}
	return FailureOf(sc).ID
}

// backErr is the error of the last attempt to connect to a server, or what ended
// TLS with it later.
func backErr(sc *stream.Scope) int {
	t := sc.ServerTLS()
	if t != nil && t.Fault() != nil {
		return tlserr.Fatal
	}
	if sc.Stream == nil {
		return 0
	}
	err := sc.Stream.DialErr()
	if err == nil {
		return 0
	}
	if t != nil && t.Err() != nil {
		return tlserr.OfServer(t.Err()).ID
	}
	var known *stream.ConnError
	if errors.As(err, &known) {
		return known.ID
	}
	var no syscall.Errno
	if errors.As(err, &no) && errnos[no] != 0 {
		return errnos[no]
	}
	return sockErr
}

func init() {
	for _, side := range []struct {
		prefix, where string
		has           func(*stream.Scope) bool
		id            func(*stream.Scope) int
	}{
		{"fc_err", Connection, func(sc *stream.Scope) bool { return sc.Sess != nil }, frontErr},
		{"bc_err", Response, (*stream.Scope).HasServer, backErr},
	} {
		RegisterFetch(
			Fetch{Name: side.prefix, Out: Int, Where: side.where, Compile: one(func(sc *stream.Scope, v *Value) bool {
				return side.has(sc) && v.SetInt(int64(side.id(sc)))
			})},
			Fetch{Name: side.prefix + "_name", Out: Str, Where: side.where, Compile: one(func(sc *stream.Scope, v *Value) bool {
				return side.has(sc) && v.SetText(sc, connErrors[side.id(sc)].name)
			})},
			Fetch{Name: side.prefix + "_str", Out: Str, Where: side.where, Compile: one(func(sc *stream.Scope, v *Value) bool {
				return side.has(sc) && v.SetText(sc, connErrors[side.id(sc)].text)
			})},
		)
	}
}
