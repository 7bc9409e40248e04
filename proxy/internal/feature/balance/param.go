package balance

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "url_param", Parse: parseParam})
}

func parseParam(c *conf.Ctx, b *stream.Balance, _ string) error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return c.Errorf("balance url_param requires an URL parameter name.")
	}
	name := []byte(c.Args[0])
	if len(c.Args) > 1 {
		if c.Args[1] != "check_post" {
			return c.Errorf("balance url_param only accepts 'check_post' modifier (got '%s').", c.Args[1])
		}
		b.Body = true // what may follow is max_wait, which HAProxy ignores too
	}
	body := b.Body
	b.HTTP = true
	b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
		v, ok := param(st.Req.Query(), name)
		if !ok && body && st.Req.Method == message.Post {
			if v, ok = param(st.BodyStart(), name); ok && len(v) > 0 && !http1.ValidToken(v[:1]) {
				return 0, false // no form at all
			}
			if end := bytes.IndexAny(v, " \t\r\n"); end >= 0 {
				v = v[:end]
			}
		}
		return h.Hash(v), ok
	}
	return nil
}

// param finds the value of a parameter in "a=b&c=d".
func param(query, name []byte) ([]byte, bool) {
	for len(query) > 0 {
		p, rest, _ := bytes.Cut(query, []byte{'&'})
		if len(p) > len(name) && p[len(name)] == '=' && bytes.HasPrefix(p, name) {
			return p[len(name)+1:], true
		}
		query = rest
	}
	return nil, false
}
