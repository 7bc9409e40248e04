package balance

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "uri", Parse: parseURI})
}

// uri is what "balance uri" takes of a target.
type uri struct {
	length, depth   int // 0: any
	pathOnly, whole bool
}

func parseURI(c *conf.Ctx, b *stream.Balance, _ string) error {
	var u uri
	for i := 0; i < len(c.Args); i++ {
		switch w := c.Args[i]; w {
		case "len", "depth":
			v := ""
			if i++; i < len(c.Args) {
				v = c.Args[i]
			}
			n, err := strconv.Atoi(v)
			if err != nil || n <= 0 {
				return c.Errorf("balance uri : '%s' expects a positive integer (got '%s').", w, v)
			}
			if w == "len" {
				u.length = n
			} else {
				u.depth = n
			}
		case "path-only":
			u.pathOnly = true
		case "whole":
			u.whole = true
		default:
			return c.Errorf("balance uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '%s').", w)
		}
	}
	b.HTTP = true
	b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
		t := st.Req.Target
		if u.pathOnly {
			if t = st.Req.PathQuery(); t == nil {
				return 0, false
			}
		}
		return h.Hash(u.of(t)), true
	}
	return nil
}

// of cuts what counts off the front of a target.
func (u *uri) of(t []byte) []byte {
	if u.length > 0 && len(t) > u.length {
		t = t[:u.length]
	}
	slashes := 0
	for i, c := range t {
		if c == '/' {
			if slashes++; u.depth > 0 && slashes > u.depth {
				return t[:i]
			}
		}
		if c == '?' && !u.whole {
			return t[:i]
		}
	}
	return t
}
