package vars

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	sample.RegisterFetch(
		sample.Fetch{Name: "var", Args: "string[,string]", Out: sample.Any, Where: sample.Everywhere, Compile: fetch},
		sample.Fetch{Name: "dump_all_vars", Args: "[string,string,string]", Out: sample.Str, Where: sample.Everywhere, Compile: dump},
	)
	sample.RegisterConverter(
		sample.Converter{Name: "set-var", Args: "string[,string,string,string,string]", In: sample.Any, Out: sample.Any, Compile: set},
		sample.Converter{Name: "unset-var", Args: "string", In: sample.Any, Out: sample.Any, Compile: remove},
	)
}

// fetch compiles "var(<name>[,<default>])".
func fetch(_ *conf.Ctx, args []string) (sample.Func, error) {
	name, err := variable.Parse(args[0])
	if err != nil {
		return nil, err
	}
	var other []byte
	if len(args) > 1 {
		other = []byte(args[1])
		if other == nil {
			other = []byte{}
		}
	}
	return func(sc *stream.Scope, v *sample.Value, n int) bool {
		if n > 0 {
			return false
		}
		val := sc.Var(name)
		switch {
		case val != nil:
			v.SetVar(val)
			if name.Scope == variable.Sess && len(v.Bytes) > 0 {
				v.Bytes = sc.Copy(v.Bytes) // another exchange may set it meanwhile
			}
			return true
		case other != nil:
			return v.SetStr(other)
		}
		return false
	}, nil
}

func set(_ *conf.Ctx, args []string) (sample.Convert, error) {
	t, err := newTarget(args)
	if err != nil {
		return nil, err
	}
	return t.set, nil
}

func remove(_ *conf.Ctx, args []string) (sample.Convert, error) {
	name, err := settable(args[0])
	return func(sc *stream.Scope, _ *sample.Value) bool {
		sc.UnsetVar(name)
		return true
	}, err
}

// dumped are the scopes of dump_all_vars, in its order.
var dumped = []string{"sess", "txn", "req", "res", "proc"}

// dump compiles "dump_all_vars([<scope>][,<prefix>][,<delimiter>])".
func dump(_ *conf.Ctx, args []string) (sample.Func, error) {
	prefix, delimiter, which := "", ", ", dumped
	if len(args) > 0 && args[0] != "" {
		which = []string{args[0]}
		if !slices.Contains(dumped, args[0]) {
			return nil, fmt.Errorf("unknown scope '%s'", args[0])
		}
	}
	if len(args) > 1 {
		prefix = args[1]
	}
	if len(args) > 2 {
		delimiter = args[2]
	}
	return func(sc *stream.Scope, v *sample.Value, n int) bool {
		if n > 0 {
			return false
		}
		b := sc.Scratch()
		for _, word := range which {
			scope, _ := variable.ScopeOf(word)
			sc.EachVar(scope, func(n variable.Name, val *variable.Value) {
				if !strings.HasPrefix(n.Text[len(word)+1:], prefix) {
					return
				}
				if len(b) > 0 {
					b = append(b, delimiter...)
				}
				b = appendDumped(append(append(b, n.Text...), '='), val)
			})
		}
		return v.SetStr(sc.Keep(b))
	}, nil
}

// appendDumped appends a value as dump_all_vars shows it.
func appendDumped(b []byte, val *variable.Value) []byte {
	switch sample.Type(val.Type) {
	case sample.Bool:
		return strconv.AppendBool(b, val.Bool)
	case sample.Bin:
		const digits = "0123456789abcdef"
		b = append(b, 'x')
		for _, c := range val.Bytes {
			b = append(b, digits[c>>4], digits[c&15])
		}
		return b
	case sample.Str, sample.Meth:
		b = append(b, '"')
		for _, c := range val.Bytes {
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\r':
				b = append(b, `\r`...)
			case '\n':
				b = append(b, `\n`...)
			case '\b':
				b = append(b, `\b`...)
			case 0:
				b = append(b, `\0`...)
			default:
				b = append(b, c)
			}
		}
		return append(b, '"')
	}
	var v sample.Value
	v.SetVar(val)
	return v.Append(b)
}
