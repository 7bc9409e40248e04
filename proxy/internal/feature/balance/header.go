package balance

import (
	"bytes"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "hdr", Paren: true, Must: true, Parse: parseHeader})
}

func parseHeader(c *conf.Ctx, b *stream.Balance, paren string) error {
	name := strings.ToLower(conf.Inside(paren))
	if name == "" {
		return c.Errorf("balance hdr requires an http header field name.")
	}
	domainOnly := len(c.Args) > 0
	if domainOnly && c.Args[0] != "use_domain_only" {
		return c.Errorf("balance hdr(name) only accepts 'use_domain_only' modifier (got '%s').", c.Args[0])
	}
	if len(c.Args) > 1 {
		c.Args = c.Args[1:]
		return nothingMore(c)
	}
	b.HTTP = true
	b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
		v := firstValue(st.Req.Get(name))
		if len(v) == 0 {
			return 0, false
		}
		if domainOnly {
			v = domain(v)
		}
		return h.Hash(v), true
	}
	return nil
}

// firstValue is the first of values between commas.
func firstValue(v []byte) []byte {
	quoted := false
	for i, c := range v {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return bytes.TrimSpace(v[:i])
		}
	}
	return v
}

// domain is what stands between the last two dots, or up to the last one: "example"
// of "www.example.com". As in HAProxy, two dots in a row are not two dots, and one at
// the beginning is none; without any, all counts.
func domain(v []byte) []byte {
	end := bytes.LastIndexByte(v, '.')
	if end < 1 {
		return v
	}
	start := end - 1
	for start > 0 && v[start-1] != '.' {
		start--
	}
	return v[start:end]
}
