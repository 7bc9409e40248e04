package column

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// kind is the type of a value in the typed format.
type kind uint8

const (
	none kind = iota // there is no value
	kStr
	kU32
	kS32
	kU64
	kFloat
)

var kindNames = [...]string{"", "str", "u32", "s32", "u64", "flt"}

// Value is a value with its tags: origin, nature, scope and persistence
// (management.txt 9.2). The zero Value is none at all.
type Value struct {
	kind kind
	tags string
	n    int64
	f    float64
	s    string
}

// Str is a text.
func Str(tags, s string) Value { return Value{kind: kStr, tags: tags, s: s} }

// U32 is a number that wraps at 32 bits.
func U32(tags string, n int64) Value { return Value{kind: kU32, tags: tags, n: int64(uint32(n))} }

// S32 is a number that may be negative.
func S32(tags string, n int64) Value { return Value{kind: kS32, tags: tags, n: n} }

// U64 is a number that is not negative.
func U64(tags string, n int64) Value { return Value{kind: kU64, tags: tags, n: max(n, 0)} }

// Total counts since the start.
func Total(n int64) Value { return U64("MCPP", n) }

// ModuleTotal is Total in a column of a feature's own (of a "module").
func ModuleTotal(n int64) Value { return U64("MCPV", n) }

// ModuleGauge is Gauge in a column of a feature's own.
func ModuleGauge(n int64) Value { return U64("MGPV", n) }

// Gauge is how many there are now.
func Gauge(n int64) Value { return U32("MGPV", n) }

// Peak is the highest that a gauge or a rate has been.
func Peak(n int64) Value { return U32("MMPV", n) }

// Limit is what a gauge may come to.
func Limit(n int64) Value { return U32("CLPV", n) }

// Setting is a number that the configuration says.
func Setting(n int64) Value { return U32("CGSV", n) }

// Rate is how many there were in the last second.
func Rate(n int64) Value { return U32("MRPP", n) }

// Floated makes the value a fraction, if that is asked for.
func (v Value) Floated(f float64, on bool) Value {
	if on {
		v.kind, v.f = kFloat, f
	}
	return v
}

// IsNone tells whether there is no value.
func (v Value) IsNone() bool { return v.kind == none }

// IsText tells whether the value is a text.
func (v Value) IsText() bool { return v.kind == kStr }

// Text is the value of a text.
func (v Value) Text() string { return v.s }

// Number is the value of a number.
func (v Value) Number() float64 {
	if v.kind == kFloat {
		return v.f
	}
	return float64(v.n)
}

// AppendText adds the value as text and CSV have it.
func (v Value) AppendText(b []byte) []byte {
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

// AppendCSV adds the value quoted where that is needed.
func (v Value) AppendCSV(b []byte) []byte {
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
	return v.AppendText(b)
}

// AppendTyped adds "tags:type:value".
func (v Value) AppendTyped(b []byte) []byte {
	b = append(b, v.tags...)
	b = append(b, ':')
	b = append(b, kindNames[v.kind]...)
	b = append(b, ':')
	return v.AppendText(b)
}

// AppendJSON adds the object that describes the value.
func (v Value) AppendJSON(b []byte, head string, pos int, name string) []byte {
	b = append(b, '{')
	b = append(b, head...)
	b = fmt.Appendf(b, `"field":{"pos":%d,"name":"%s"},"processNum":1,"tags":{"origin":"%s","nature":"%s","scope":"%s"},"value":{"type":"%s","value":`,
		pos, name, origins[v.tags[0]], natures[v.tags[1]], scopes[v.tags[2]], kindNames[v.kind])
	if v.kind == kStr {
		q, _ := json.Marshal(v.s)
		b = append(b, q...)
	} else {
		b = v.AppendText(b)
	}
	return append(b, "}}"...)
}

var (
	origins = map[byte]string{'M': "Metric", 'S': "Status", 'K': "Key", 'C': "Config", 'P': "Product"}
	natures = map[byte]string{'A': "Age", 'a': "Avg", 'C': "Counter", 'D': "Duration", 'G': "Gauge", 'L': "Limit",
		'M': "Max", 'm': "Min", 'N': "Name", 'O': "Output", 'R': "Rate", 'T': "Time"}
	scopes = map[byte]string{'C': "Cluster", 'P': "Process", 'S': "Service", 's': "System"}
)
