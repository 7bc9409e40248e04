package sample

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// Converters that bring a value together with a variable.
func init() {
	RegisterConverter(
		Converter{Name: "concat", Args: "string[,string,string]", In: Str, Out: Str, Compile: concat},
		Converter{Name: "add_item", Args: "string,string[,string]", In: Str, Out: Str, Compile: addItem},
		Converter{Name: "strcmp", Args: "string", In: Str, Out: Int, Compile: compare},
		Converter{Name: "secure_memcmp", Args: "string", In: Bin, Out: Bool, Compile: equal},
	)
}

// appender appends what an argument stands for.
type appender func(dst []byte, sc *stream.Scope) []byte

// variableOf reads an argument that is the name of a variable; an empty one stands
// for nothing.
func variableOf(args []string, i int) (appender, error) {
	if i >= len(args) || args[i] == "" {
		return func(dst []byte, _ *stream.Scope) []byte { return dst }, nil
	}
	name, err := registered(args[i])
	return func(dst []byte, sc *stream.Scope) []byte {
		val := sc.Var(name)
		if val == nil {
			return dst
		}
		v := Borrow(sc)
		defer v.Return(sc)
		v.SetVar(val)
		return v.Append(dst)
	}, err
}

// registered reads an argument that must be the name of a variable.
func registered(arg string) (variable.Name, error) {
	if arg == "" {
		return variable.Name{}, errors.New("missing variable name")
	}
	name, err := variable.Parse(arg)
	if err != nil {
		return name, fmt.Errorf("failed to register variable name '%s'", arg)
	}
	return name, nil
}

func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// concat compiles "concat([<start>],[<var>],[<end>])".
func concat(_ *conf.Ctx, args []string) (Convert, error) {
	start, end := argument(args, 0), argument(args, 2)
	of, err := variableOf(args, 1)
	return func(sc *stream.Scope, v *Value) bool {
		b := append(append(sc.Scratch(), v.Bytes...), start...)
		b = append(of(b, sc), end...)
		return v.SetStr(sc.Keep(b))
	}, err
}

// addItem compiles "add_item(<delim>,[<var>][,<suff>])".
func addItem(_ *conf.Ctx, args []string) (Convert, error) {
	delimiter, suffix := args[0], argument(args, 2)
	if argument(args, 1) == "" && suffix == "" {
		return nil, errors.New("one of the optional arguments has to be nonempty")
	}
	of, err := variableOf(args, 1)
	return func(sc *stream.Scope, v *Value) bool {
		b := append(sc.Scratch(), v.Bytes...)
		if len(b) > 0 {
			b = append(b, delimiter...)
		}
		n := len(b)
		if b = append(of(b, sc), suffix...); len(b) == n {
			b = b[:len(v.Bytes)] // nothing to set apart
		}
		return v.SetStr(sc.Keep(b))
	}, err
}

// text gives a variable's content as text, in a buffer of [stream.Scope.Scratch].
func text(name variable.Name, sc *stream.Scope) (b []byte, ok bool) {
	val := sc.Var(name)
	if val == nil {
		return nil, false
	}
	v := Borrow(sc)
	defer v.Return(sc)
	v.SetVar(val)
	return v.Append(sc.Scratch()), true
}

// compare compiles "strcmp(<var>)": the distance of the first bytes that differ, or
// else that of the lengths, as 1, 0 or -1.
func compare(_ *conf.Ctx, args []string) (Convert, error) {
	name, err := registered(args[0])
	return func(sc *stream.Scope, v *Value) bool {
		other, ok := text(name, sc)
		if !ok {
			return false
		}
		diff := bytes.Compare(v.Bytes, other)
		for i := 0; i < min(len(v.Bytes), len(other)); i++ {
			if v.Bytes[i] != other[i] {
				diff = int(v.Bytes[i]) - int(other[i])
				break
			}
		}
		sc.Drop(other)
		return v.SetInt(int64(diff))
	}, err
}

// equal compiles "secure_memcmp(<var>)".
func equal(_ *conf.Ctx, args []string) (Convert, error) {
	name, err := registered(args[0])
	return func(sc *stream.Scope, v *Value) bool {
		val := sc.Var(name)
		if val == nil {
			return false
		}
		other := Borrow(sc)
		defer other.Return(sc)
		other.SetVar(val)
		other.binary(sc)
		return v.SetBool(subtle.ConstantTimeCompare(v.Bytes, other.Bytes) == 1)
	}, err
}
