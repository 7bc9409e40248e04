package sample

import (
	"math"
	"net/netip"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// typedFields registers the fetches that read the elements of a field as numbers
// and as addresses: "hdr_val", "hdr_ip".
func typedFields(side, short, where string, head func(*stream.Scope) *message.Header) {
	for _, k := range []struct {
		suffix string
		out    Type
		read   func(v *Value) bool
	}{
		{"_val", Int, func(v *Value) bool { return v.SetInt(leadingNumber(v.Bytes)) }},
		{"_ip", Addr, func(v *Value) bool {
			if len(v.Bytes) > 64 {
				return false
			}
			a, err := netip.ParseAddr(string(v.Bytes))
			return err == nil && a.Zone() == "" && v.SetAddr(a)
		}},
	} {
		for _, n := range []string{side + ".hdr" + k.suffix, short + k.suffix} {
			RegisterFetch(Fetch{Name: n, Args: hdrArgs, Out: k.out, Where: where, Compile: func(_ *conf.Ctx, args []string) (Func, error) {
				get, err := field(head, false, args)
				if err != nil {
					return nil, err
				}
				return func(sc *stream.Scope, v *Value, n int) bool { return get(sc, v, n) && k.read(v) }, nil
			}})
		}
	}
}

// leadingNumber is the number that b begins with, 0 if there is none, bounded to
// what a number can be. It is how strings become numbers everywhere.
func leadingNumber(b []byte) int64 {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	var n int64 // negative throughout: there is one more of those
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		d := int64(c - '0')
		if n < (math.MinInt64+d)/10 {
			n = math.MinInt64
			break
		}
		n = n*10 - d
	}
	switch {
	case negative:
		return n
	case n == math.MinInt64:
		return math.MaxInt64
	}
	return -n
}
