package payload

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	for _, n := range []string{"req.rdp_cookie", "rdp_cookie"} {
		sample.RegisterFetch(
			sample.Fetch{Name: n, Args: "[string]", Out: sample.Str, Where: inRequest, Needs: ofRequest, Compile: cookie(func(v *sample.Value, c []byte, ok bool) bool {
				return ok && v.SetStr(c)
			})},
			sample.Fetch{Name: n + "_cnt", Args: "[string]", Out: sample.Int, Where: inRequest, Needs: ofRequest, Compile: cookie(func(v *sample.Value, _ []byte, ok bool) bool {
				if ok {
					return v.SetInt(1)
				}
				return v.SetInt(0)
			})},
		)
	}
}

func cookie(give func(v *sample.Value, c []byte, ok bool) bool) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(_ *conf.Ctx, args []string) (sample.Func, error) {
		var name []byte
		if len(args) > 0 {
			name = []byte(args[0])
		}
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			if n > 0 || sc.Stream == nil {
				return false
			}
			p, raw := sc.Received(false)
			if !raw {
				return give(v, nil, false) // a request of HTTP is none of RDP
			}
			c, ok, more := RDPCookie(p, name)
			if more {
				sc.MayChange()
				return false
			}
			return give(v, c, ok)
		}, nil
	}
}

// RDPCookie finds the cookie of a name, or any without one, in the connection
// request of RDP: behind the headers of TPKT and X.224. more tells that what is
// there is too short to tell.
func RDPCookie(p, name []byte) (v []byte, ok, more bool) {
	const headers = 11
	if len(p) <= headers+7 {
		return nil, false, true
	}
	rest := p[headers:]
	if !bytes.EqualFold(rest[:7], []byte("Cookie:")) {
		return nil, false, false
	}
	rest = bytes.TrimLeft(rest[7:], " ")
	if len(name) == 0 {
		i := bytes.IndexAny(rest, "=\r\n")
		if i < 0 {
			return nil, false, true
		}
		name = rest[:i]
	}
	if len(rest) <= len(name) {
		return nil, false, true
	}
	if rest[len(name)] != '=' || !bytes.EqualFold(rest[:len(name)], name) {
		return nil, false, false
	}
	rest = rest[len(name)+1:]
	end := bytes.IndexByte(rest, '\r')
	if end < 0 || end+1 == len(rest) {
		return nil, false, true
	}
	return rest[:end], rest[end+1] == '\n', false
}
