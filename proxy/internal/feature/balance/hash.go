package balance

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "hash", Parse: parseHash})
}

func parseHash(c *conf.Ctx, b *stream.Balance, _ string) error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return c.Errorf("balance hash requires a sample expression.")
	}
	e, err := sample.Parse(c, c.Args[0])
	switch {
	case conf.IsNotYet(err):
		return err
	case err != nil:
		return c.Errorf("failed to parse 'balance hash' expression '%s' in : %w.", c.Args[0], err)
	}
	if err := e.Allowed(e.Fetch.Name, sample.ServerSelection); err != nil {
		return c.Errorf("'balance hash' : %w.", err)
	}
	c.Args = c.Args[1:]
	b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
		v := sample.Borrow(&st.Scope)
		defer v.Return(&st.Scope)
		if !e.Eval(&st.Scope, v) {
			return 0, false
		}
		if h.Function == "none" { // which reads a number
			return h.Hash(v.Text(&st.Scope)), true
		}
		return h.Hash(v.Binary(&st.Scope)), true
	}
	return nothingMore(c)
}
