package stats

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Field names one value of an object.
type Field struct{ Name, Desc string }

// kind is the type of a value in the typed format.
type kind uint8

const (
	none kind = iota // the field does not apply
	kStr
	kU32
	kS32
	kU64
	kFloat
)

var kindNames = [...]string{"", "str", "u32", "s32", "u64", "flt"}

// Value is the value of a field with its tags: origin, nature, scope and
// persistence (management.txt 9.2).
type Value struct {
	kind kind
	tags string
	n    int64
	f    float64
	s    string
}

func str(tags, s string) Value       { return Value{kind: kStr, tags: tags, s: s} }
func u32(tags string, n int64) Value { return Value{kind: kU32, tags: tags, n: int64(uint32(n))} }
func s32(tags string, n int64) Value { return Value{kind: kS32, tags: tags, n: n} }
func u64(tags string, n int64) Value { return Value{kind: kU64, tags: tags, n: max(n, 0)} }
func total(n int64) Value            { return u64("MCPP", n) }
func gauge(n int64) Value            { return u32("MGPV", n) }
func peak(n int64) Value             { return u32("MMPV", n) }
func limit(n int64) Value            { return u32("CLPV", n) }
func setting(n int64) Value          { return u32("CGSV", n) }
func rate(n int64) Value             { return u32("MRPP", n) }

// floated makes the value a fraction, if that is asked for.
func (v Value) floated(f float64, on bool) Value {
	if on {
		v.kind, v.f = kFloat, f
	}
	return v
}

// appendText adds the value as text and CSV have it.
func (v Value) appendText(b []byte) []byte {
	switch v.kind {
	case none:
		return b
	case kStr:
		return append(b, v.s...)
	case kFloat:
		return appendFloat(b, v.f)
	}
	return strconv.AppendInt(b, v.n, 10)
}

// appendFloat prints six digits after the point and then leaves out zeroes at
// the end, as the field's readers expect.
func appendFloat(b []byte, f float64) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'f', 6, 64)
	for len(b) > start && b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if len(b) > start && b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// appendCSV adds the value quoted where that is needed.
func (v Value) appendCSV(b []byte) []byte {
	if v.kind == kStr {
		for i := range len(v.s) {
			switch v.s[i] {
			case '"', ',', '\n', '\r':
				b = append(b, '"')
				for j := range len(v.s) {
					if v.s[j] == '"' {
						b = append(b, '"')
					}
					b = append(b, v.s[j])
				}
				return append(b, '"')
			}
		}
	}
	return v.appendText(b)
}

// appendTyped adds "tags:type:value".
func (v Value) appendTyped(b []byte) []byte {
	b = append(b, v.tags...)
	b = append(b, ':')
	b = append(b, kindNames[v.kind]...)
	b = append(b, ':')
	return v.appendText(b)
}

// appendJSON adds the object that describes the value.
func (v Value) appendJSON(b []byte, head string, pos int, name string) []byte {
	b = append(b, '{')
	b = append(b, head...)
	b = fmt.Appendf(b, `"field":{"pos":%d,"name":"%s"},"processNum":1,"tags":{"origin":"%s","nature":"%s","scope":"%s"},"value":{"type":"%s","value":`,
		pos, name, origins[v.tags[0]], natures[v.tags[1]], scopes[v.tags[2]], kindNames[v.kind])
	if v.kind == kStr {
		q, _ := json.Marshal(v.s)
		b = append(b, q...)
	} else {
		b = v.appendText(b)
	}
	return append(b, "}}"...)
}

var (
	origins = map[byte]string{'M': "Metric", 'S': "Status", 'K': "Key", 'C': "Config", 'P': "Product"}
	natures = map[byte]string{'A': "Age", 'a': "Avg", 'C': "Counter", 'D': "Duration", 'G': "Gauge", 'L': "Limit",
		'M': "Max", 'm': "Min", 'N': "Name", 'O': "Output", 'R': "Rate", 'T': "Time"}
	scopes = map[byte]string{'C': "Cluster", 'P': "Process", 'S': "Service", 's': "System"}
)
