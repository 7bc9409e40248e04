package maps

import (
	"fmt"
	"net/netip"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	register("map", pattern.Str, "", pattern.OutStr)
	for _, m := range []pattern.Method{pattern.Str, pattern.Beg, pattern.Sub, pattern.Dir, pattern.Dom, pattern.End, pattern.Reg, pattern.Int, pattern.IP} {
		name := "map_" + string(m)
		register(name, m, "", pattern.OutStr)
		register(name, m, "_int", pattern.OutInt)
		register(name, m, "_ip", pattern.OutIP)
		register(name, m, "_key", pattern.OutKey)
	}
	sample.RegisterConverter(sample.Converter{Name: "map_regm", Args: "string[,string]", In: sample.Str, Out: sample.Str, Compile: regm})
}

func register(name string, m pattern.Method, suffix string, out pattern.Out) {
	k := sample.Converter{Name: name + suffix, Args: "string[,string]", In: sample.Str, Out: sample.Str}
	switch m {
	case pattern.Int:
		k.In = sample.Int
	case pattern.IP:
		k.In = sample.Addr
	}
	switch out {
	case pattern.OutInt:
		k.Args, k.Out = "string[,integer]", sample.Int
	case pattern.OutIP:
		k.Out = sample.Addr
	case pattern.OutKey:
		k.Args = "string"
	}
	k.Compile = func(c *conf.Ctx, args []string) (sample.Convert, error) {
		list, err := pattern.Load(c, args[0], pattern.Use{Method: m, Out: out, Map: true})
		if err != nil {
			return nil, err
		}
		otherwise, err := fallback(out, args[1:])
		if err != nil {
			return nil, err
		}
		return func(sc *stream.Scope, v *sample.Value) bool {
			e := list.Find(v)
			switch {
			case e == nil:
				return otherwise(sc, v)
			case out == pattern.OutKey:
				return v.SetText(sc, e.Key)
			}
			return give(sc, v, out, e.Value())
		}, nil
	}
	sample.RegisterConverter(k)
}

// give makes a value of what the map has.
func give(sc *stream.Scope, v *sample.Value, out pattern.Out, text string) bool {
	switch out {
	case pattern.OutInt:
		n, ok := pattern.ParseInt(text)
		return ok && v.SetInt(n)
	case pattern.OutIP:
		a, err := netip.ParseAddr(text)
		return err == nil && v.SetAddr(a)
	}
	return v.SetText(sc, text)
}

// fallback gives what a map without the key gives: its second argument, or no
// value.
func fallback(out pattern.Out, args []string) (sample.Convert, error) {
	if len(args) == 0 {
		return func(*stream.Scope, *sample.Value) bool { return false }, nil
	}
	text := args[0]
	if out == pattern.OutIP {
		if a, err := netip.ParseAddr(text); err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("map: cannot parse default ip <%s>.", text)
		}
	}
	return func(sc *stream.Scope, v *sample.Value) bool { return give(sc, v, out, text) }, nil
}

// regm is "map_regm": in the map's value \0 to \9 stand for what the groups of the
// expression matched.
func regm(c *conf.Ctx, args []string) (sample.Convert, error) {
	list, err := pattern.Load(c, args[0], pattern.Use{Method: pattern.RegM, Out: pattern.OutStr, Map: true})
	if err != nil {
		return nil, err
	}
	otherwise, err := fallback(pattern.OutStr, args[1:])
	return func(sc *stream.Scope, v *sample.Value) bool {
		e, re := list.FindRegexp(v.Bytes)
		if e == nil {
			return otherwise(sc, v)
		}
		var g pattern.Groups
		re.Submatch(v.Bytes, &g)
		out := pattern.Expand(sc.Scratch(), e.Value(), v.Bytes, g[:])
		return v.SetStr(sc.Keep(out))
	}, err
}
