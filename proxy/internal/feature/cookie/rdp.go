package cookie

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/payload"
)

// byRDP finds the server that the client's RDP cookie names.
func byRDP(st *stream.Stream, name []byte) {
	v, ok, _ := payload.RDPCookie(st.FirstBytes(), name)
	if !ok || st.Persist.Ignored || st.Persist.Server != nil {
		return
	}
	ip, port, ok := rdpAddr(v)
	if !ok {
		return
	}
	for _, s := range st.BE.BE.Servers() {
		if a := s.Addr(); a.IP.Unmap().Is4() && a.IP.Unmap().As4() == ip && a.Port == port && st.MayBelong(s) {
			st.Persist.Server = s
			return
		}
	}
}

// rdpAddr reads the address in an RDP cookie: its bytes as a number of the other
// order, "3640205228.15629.0000".
func rdpAddr(v []byte) (ip [4]byte, port uint16, ok bool) {
	first, rest, more := bytes.Cut(v, []byte{'.'})
	second, _, end := bytes.Cut(rest, []byte{'.'})
	if !more || !end || len(first) > 10 || len(second) > 5 {
		return ip, 0, false
	}
	a, err := strconv.ParseUint(string(first), 10, 32)
	if err != nil {
		return ip, 0, false
	}
	b, err := strconv.ParseUint(string(second), 10, 16)
	if err != nil {
		return ip, 0, false
	}
	binary.LittleEndian.PutUint32(ip[:], uint32(a))
	return ip, uint16(b)<<8 | uint16(b)>>8, true
}
