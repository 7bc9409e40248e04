package ssl

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// helloOf gives what was kept of the client's hello, nil if nothing was.
func helloOf(sc *stream.Scope) *hello {
	if i := InfoOf(sc.ClientTLS()); i != nil {
		return i.hello
	}
	return nil
}

// ofHello makes a fetch of one part, whose argument leaves GREASE out.
func ofHello(part int, make func(sc *stream.Scope, v *sample.Value, list []byte) bool) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(_ *conf.Ctx, args []string) (sample.Func, error) {
		without := false
		if len(args) > 0 {
			switch args[0] {
			case "0", "":
			case "1":
				without = true
			default:
				return nil, fmt.Errorf("'%s' is not a valid filter option, expected 0 or 1", args[0])
			}
		}
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			h := helloOf(sc)
			if h == nil || n > 0 {
				return false
			}
			list := h.part(part)
			if without {
				list = withoutGrease(sc.Copy(list))
			}
			return make(sc, v, list)
		}, nil
	}
}

// withoutGrease takes the numbers of GREASE out of a list, in place.
func withoutGrease(list []byte) []byte {
	n := 0
	for i := 0; i+1 < len(list); i += 2 {
		if !isGrease(list[i], list[i+1]) {
			n += copy(list[n:], list[i:i+2])
		}
	}
	return list[:n]
}

func asBin(_ *stream.Scope, v *sample.Value, list []byte) bool { return bin(v, list) }

// asNames gives the names of ciphers.
func asNames(sc *stream.Scope, v *sample.Value, list []byte) bool {
	const digits = "0123456789abcdef"
	var buf [2048]byte
	b := buf[:0]
	for ; len(list) > 1; list = list[2:] {
		if len(b) > 0 {
			b = append(b, ',')
		}
		hi, lo := list[0], list[1]
		if name := cipherNames[uint16(hi)<<8|uint16(lo)]; name != nil {
			b = append(b, name...)
		} else {
			b = append(b, "UNKNOWN("...)
			b = append(b, digits[hi>>4], digits[hi&15], digits[lo>>4], digits[lo&15], ')')
		}
	}
	return len(b) > 0 && v.SetStr(sc.Copy(b))
}

func asHex(sc *stream.Scope, v *sample.Value, list []byte) bool {
	var buf [1024]byte
	return v.SetStr(sc.Copy(sample.AppendHex(buf[:0], list)))
}

func init() {
	for _, f := range []struct {
		name string
		part int
		out  sample.Type
		make func(*stream.Scope, *sample.Value, []byte) bool
	}{
		{"cipherlist_bin", helloCiphers, sample.Bin, asBin},
		{"cipherlist_hex", helloCiphers, sample.Str, asHex},
		{"cipherlist_str", helloCiphers, sample.Str, asNames},
		{"extlist_bin", helloExtensions, sample.Bin, asBin},
		{"eclist_bin", helloGroups, sample.Bin, asBin},
		{"sigalgs_bin", helloSigAlgs, sample.Bin, asBin},
		{"supported_versions_bin", helloVersions, sample.Bin, asBin},
		{"ecformats_bin", helloFormats, sample.Bin, asBin},
	} {
		args := "[integer]"
		if f.part == helloFormats {
			args = ""
		}
		sample.RegisterFetch(sample.Fetch{Name: "ssl_fc_" + f.name, Args: args, Out: f.out, Where: sample.SessionWide, Compile: ofHello(f.part, f.make)})
	}
	for name, get := range map[string]func(*hello) int64{
		"cipherlist_xxh":    func(h *hello) int64 { return int64(h.xxh) },
		"protocol_hello_id": func(h *hello) int64 { return int64(h.version) },
	} {
		sample.RegisterFetch(sample.Fetch{Name: "ssl_fc_" + name, Out: sample.Int, Where: sample.SessionWide, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
			return func(sc *stream.Scope, v *sample.Value, n int) bool {
				h := helloOf(sc)
				return h != nil && n <= 0 && v.SetInt(get(h))
			}, nil
		}})
	}
}
