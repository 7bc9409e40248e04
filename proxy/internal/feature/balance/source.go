package balance

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "source", Parse: func(c *conf.Ctx, b *stream.Balance, _ string) error {
		b.Key = source
		return nothingMore(c)
	}})
}

// source is the client's address, which one of a Unix socket does not have.
func source(st *stream.Stream, h *balance.HashType) (uint32, bool) {
	if !st.Sess.Src.IP.IsValid() {
		return 0, false
	}
	return h.Address(st.Sess.Src.IP), true
}

// nothingMore refuses words behind those that an algorithm takes.
func nothingMore(c *conf.Ctx) error {
	w := c.Words()
	return w.End()
}
