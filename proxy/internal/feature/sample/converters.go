package sample

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

func plain(f Convert) func(*conf.Ctx, []string) (Convert, error) {
	return func(*conf.Ctx, []string) (Convert, error) { return f, nil }
}

func init() {
	RegisterConverter(
		Converter{Name: "lower", In: Str, Out: Str, Compile: plain(mapBytes('A', 'Z', 'a'-'A'))},
		Converter{Name: "upper", In: Str, Out: Str, Compile: plain(mapBytes('a', 'z', 'A'-'a'))},
		Converter{Name: "length", In: Str, Out: Int, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetInt(int64(len(v.Bytes))) })},
		Converter{Name: "bytes", Args: "string[,string]", In: Bin, Out: Bin, Compile: bytesOf},
		Converter{Name: "field", Args: "integer,string[,integer]", In: Str, Out: Str, Compile: fieldOf},
		Converter{Name: "hex", In: Bin, Out: Str, Compile: plain(func(sc *stream.Scope, v *Value) bool {
			return v.SetStr(AppendHex(sc.Alloc(2 * len(v.Bytes))[:0], v.Bytes))
		})},
		Converter{Name: "base64", In: Bin, Out: Str, Compile: plain(func(sc *stream.Scope, v *Value) bool {
			b := sc.Alloc(base64.StdEncoding.EncodedLen(len(v.Bytes)))
			base64.StdEncoding.Encode(b, v.Bytes)
			return v.SetStr(b)
		})},
		Converter{Name: "b64dec", In: Str, Out: Bin, Compile: plain(func(sc *stream.Scope, v *Value) bool {
			b := sc.Alloc(base64.StdEncoding.DecodedLen(len(v.Bytes)))
			n, err := base64.StdEncoding.Decode(b, v.Bytes)
			v.Type, v.Bytes = Bin, b[:n]
			return err == nil
		})},
		Converter{Name: "url_dec", Args: "[integer]", In: Str, Out: Str, Compile: urlDec},
		Converter{Name: "ipmask", Args: "msk4[,msk6]", In: Addr, Out: Addr, Compile: ipMask},
		Converter{Name: "not", In: Int, Out: Bool, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetBool(v.Int == 0) })},
		Converter{Name: "bool", In: Int, Out: Bool, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetBool(v.Int != 0) })},
		Converter{Name: "odd", In: Int, Out: Bool, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetBool(v.Int&1 == 1) })},
		Converter{Name: "even", In: Int, Out: Bool, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetBool(v.Int&1 == 0) })},
		Converter{Name: "neg", In: Int, Out: Int, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetInt(-v.Int) })},
		Converter{Name: "cpl", In: Int, Out: Int, Compile: plain(func(_ *stream.Scope, v *Value) bool { return v.SetInt(^v.Int) })},
	)
	for name, f := range map[string]func(a, b int64) int64{
		"add": func(a, b int64) int64 { return saturate(a, b, a+b) },
		"sub": func(a, b int64) int64 {
			if b == math.MinInt64 {
				return saturate(a, math.MaxInt64, a+math.MaxInt64)
			}
			return saturate(a, -b, a-b)
		},
		"mul": mul,
		"div": func(a, b int64) int64 {
			if b == 0 || a == math.MinInt64 && b == -1 {
				return math.MaxInt64
			}
			return a / b
		},
		"mod": func(a, b int64) int64 {
			if b == 0 || b == -1 {
				return 0
			}
			return a % b
		},
		"and": func(a, b int64) int64 { return a & b },
		"or":  func(a, b int64) int64 { return a | b },
		"xor": func(a, b int64) int64 { return a ^ b },
	} {
		RegisterConverter(Converter{Name: name, Args: "string", In: Int, Out: Int, Compile: func(_ *conf.Ctx, args []string) (Convert, error) {
			b, err := numberOf(args[0])
			if err != nil {
				return nil, err
			}
			return func(sc *stream.Scope, v *Value) bool {
				n, ok := b(sc)
				return ok && v.SetInt(f(v.Int, n))
			}, nil
		}})
	}
}

// operand is an argument that is a number or a variable; false: it has no value. A
// nil scope has no variables.
type operand func(sc *stream.Scope) (int64, bool)

// numberOf reads such an argument.
func numberOf(arg string) (operand, error) {
	if n, err := strconv.ParseInt(arg, 10, 64); err == nil {
		return func(*stream.Scope) (int64, bool) { return n, true }, nil
	}
	name, err := variable.Parse(arg)
	if err != nil {
		return nil, errors.New("expects an integer or a variable name")
	}
	return func(sc *stream.Scope) (int64, bool) {
		if sc == nil {
			return 0, false
		}
		val := sc.Var(name)
		if val == nil {
			return 0, false
		}
		v := Borrow(sc)
		defer v.Return(sc)
		v.SetVar(val)
		return v.Number()
	}, nil
}

// saturate gives the sum of a and b, bounded to what a number can be.
func saturate(a, b, sum int64) int64 {
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

func mul(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	p := a * b
	if p/b != a || a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64 {
		if (a < 0) != (b < 0) {
			return math.MinInt64
		}
		return math.MaxInt64
	}
	return p
}

func mapBytes(from, to byte, shift int) Convert {
	return func(sc *stream.Scope, v *Value) bool {
		b := sc.Copy(v.Bytes)
		for i, c := range b {
			if from <= c && c <= to {
				b[i] = byte(int(c) + shift)
			}
		}
		v.Bytes = b
		return true
	}
}

func bytesOf(_ *conf.Ctx, args []string) (Convert, error) {
	var n [2]operand
	for i, a := range args {
		var err error
		if n[i], err = numberOf(a); err != nil {
			return nil, err
		}
		if v, fixed := n[i](nil); fixed && v < 0 {
			return nil, errors.New("offset and length must not be negative")
		}
	}
	return func(sc *stream.Scope, v *Value) bool {
		from, ok := n[0](sc)
		if !ok || from < 0 {
			return false
		}
		if from >= int64(len(v.Bytes)) {
			v.Bytes = nil
			return true
		}
		v.Bytes = v.Bytes[from:]
		if n[1] != nil {
			length, ok := n[1](sc)
			if !ok || length < 0 {
				return false
			}
			v.Bytes = v.Bytes[:min(length, int64(len(v.Bytes)))]
		}
		return true
	}, nil
}

// fieldOf takes the n-th field (from the end if negative) between delimiters.
func fieldOf(_ *conf.Ctx, args []string) (Convert, error) {
	index, err := strconv.Atoi(args[0])
	if err != nil || index == 0 {
		return nil, fmt.Errorf("Unexpected value %s for index", args[0])
	}
	var is [256]bool
	for _, b := range []byte(args[1]) {
		is[b] = true
	}
	count := 1
	if len(args) > 2 {
		if count, err = strconv.Atoi(args[2]); err != nil || count < 0 {
			return nil, fmt.Errorf("expected a number of fields, got '%s'", args[2])
		}
	}
	f := &fields{is, index, count}
	if index < 0 {
		f.index = -index
		return func(_ *stream.Scope, v *Value) (ok bool) { v.Bytes, ok = f.fromEnd(v.Bytes); return ok }, nil
	}
	return func(_ *stream.Scope, v *Value) (ok bool) { v.Bytes, ok = f.fromStart(v.Bytes); return ok }, nil
}

// fields are a number of fields (0: all that follow) from the index-th on, between
// delimiters.
type fields struct {
	is           [256]bool
	index, count int
}

// fromStart gives the fields, counted from the start. ok is false if there are fewer.
func (f *fields) fromStart(b []byte) (found []byte, ok bool) {
	start := 0
	for k := 1; k < f.index; k++ {
		if start = f.end(b, start); start == len(b) {
			return b, false
		}
		start++
	}
	end := f.end(b, start)
	for n := f.count; n != 1 && end < len(b); n-- {
		end = f.end(b, end+1)
	}
	return b[start:end], true
}

// fromEnd gives the fields, counted from the end backwards.
func (f *fields) fromEnd(b []byte) (found []byte, ok bool) {
	end := len(b)
	start := f.start(b, end)
	for k := f.index; k > 1; k-- {
		if start == 0 {
			return b, false
		}
		end = start - 1
		start = f.start(b, end)
	}
	for n := f.count; n != 1 && start > 0; n-- {
		start = f.start(b, start-1)
	}
	return b[start:end], true
}

// end is where the field that begins at i ends.
func (f *fields) end(b []byte, i int) int {
	for i < len(b) && !f.is[b[i]] {
		i++
	}
	return i
}

// start is where the field that ends at i begins.
func (f *fields) start(b []byte, i int) int {
	for i > 0 && !f.is[b[i-1]] {
		i--
	}
	return i
}

func urlDec(_ *conf.Ctx, args []string) (Convert, error) {
	form := len(args) > 0 && args[0] == "1"
	return func(sc *stream.Scope, v *Value) bool {
		b := sc.Copy(v.Bytes)
		n := 0
		inForm := form
		for i := 0; i < len(b); i++ {
			c := b[i]
			switch {
			case c == '%':
				if i+2 >= len(b) {
					return false
				}
				var d [1]byte
				if _, err := hex.Decode(d[:], b[i+1:i+3]); err != nil {
					return false
				}
				c = d[0]
				i += 2
			case c == '?':
				inForm = true
			case c == '+' && inForm:
				c = ' '
			}
			b[n] = c
			n++
		}
		v.Bytes = b[:n]
		return true
	}, nil
}

func ipMask(_ *conf.Ctx, args []string) (Convert, error) {
	bits4, err := maskBits(args[0], 32)
	if err != nil {
		return nil, err
	}
	bits6 := 128
	if len(args) > 1 {
		if bits6, err = maskBits(args[1], 128); err != nil {
			return nil, err
		}
	}
	return func(_ *stream.Scope, v *Value) bool {
		n := bits6
		if v.Addr.Is4() {
			n = bits4
		}
		p, err := v.Addr.Prefix(n)
		if err != nil {
			return false
		}
		return v.SetAddr(p.Addr())
	}, nil
}

// maskBits reads "/24", "24" or "255.255.255.0".
func maskBits(s string, most int) (int, error) {
	if len(s) > 0 && s[0] == '/' {
		s = s[1:]
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= most {
		return n, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.BitLen() == most {
		n, ended := 0, false
		for _, b := range a.AsSlice() {
			for i := 7; i >= 0; i-- {
				switch {
				case b>>i&1 == 0:
					ended = true
				case ended:
					return 0, fmt.Errorf("'%s' is not a mask of leading bits", s)
				default:
					n++
				}
			}
		}
		return n, nil
	}
	return 0, fmt.Errorf("'%s' is not a valid mask", s)
}
