package balance

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/payload"
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

// rdpCookie finds the cookie that the key is. more tells that what is there is too
// short to tell.
func rdpCookie(p, name []byte) (v []byte, ok, more bool) {
	const version = 3 // of TPKT, which everything of RDP begins with
	if len(p) > 0 && p[0] != version {
		return nil, false, false
	}
	v, ok, more = payload.RDPCookie(p, name)
	return v, ok, more && len(p) < maxRDP
}

// maxRDP is where the search for the end of the cookie is given up: a connection
// request is shorter.
const maxRDP = 4096
