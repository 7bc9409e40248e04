package balance

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "rdp-cookie", Paren: true, Parse: parseRDP})
}

func parseRDP(c *conf.Ctx, b *stream.Balance, paren string) error {
	name := []byte("mstshash")
	if paren != "" {
		if name = []byte(conf.Inside(paren)); len(name) == 0 {
			return c.Errorf("balance rdp-cookie : missing cookie name.")
		}
	}
	b.First = func(p []byte) bool { _, _, more := rdpCookie(p, name); return more }
	b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
		v, ok, _ := rdpCookie(st.FirstBytes(), name)
		return h.Hash(v), ok && len(v) > 0
	}
	return nothingMore(c)
}

// rdpCookie finds the cookie in the connection request of RDP: behind the headers of
// TPKT and X.224. more tells that what is there is too short to tell.
func rdpCookie(p, name []byte) (v []byte, ok, more bool) {
	const headers = 11
	if len(p) == 0 {
		return nil, false, true
	}
	if p[0] != 3 {
		return nil, false, false // no TPKT: this is another protocol
	}
	if len(p) <= headers+7 {
		return nil, false, true
	}
	rest := p[headers:]
	if !bytes.EqualFold(rest[:7], []byte("Cookie:")) {
		return nil, false, false
	}
	rest = bytes.TrimLeft(rest[7:], " ")
	if len(rest) <= len(name) {
		return nil, false, len(p) < maxRDP
	}
	if rest[len(name)] != '=' || !bytes.EqualFold(rest[:len(name)], name) {
		return nil, false, false
	}
	rest = rest[len(name)+1:]
	end := bytes.IndexByte(rest, '\r')
	if end < 0 || end+1 == len(rest) {
		return nil, false, len(p) < maxRDP
	}
	return rest[:end], rest[end+1] == '\n', false
}

// maxRDP is where the search for the end of the cookie is given up: a connection
// request is shorter.
const maxRDP = 4096
