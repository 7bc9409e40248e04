package logformat

import (
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// flags of a node.
type flags uint8

const (
	quoted  flags = 1 << iota // +Q
	hexa                      // +X
	escaped                   // +E
)

// Options tell where a format is used.
type Options struct {
	// Where is the place for the compatibility of fetches, see package sample;
	// the zero value is sample.Logs.
	Where sample.Places
	// Plain is for formats that are not log lines: blanks are kept as written.
	Plain bool
	// Raw is for formats of any bytes: no value is encoded. It implies Plain.
	Raw bool
}

// node is one piece. Exactly one of its fields is set.
type node struct {
	text  []byte
	blank bool // separator: one space, unless one was just written
	alias func(dst []byte, sc *stream.Scope, f flags) []byte
	expr  *sample.Expr
	flags flags
}

// Format is a compiled log-format string.
type Format struct {
	nodes []node
	plain bool
	raw   bool
	// Constant is the whole text when nothing in it varies.
	constant []byte
	fixed    bool
}

// IsConstant tells whether the format is the same text for all exchanges.
func (f *Format) IsConstant() bool { return f.fixed }

// IsEmpty tells whether the format is no text at all.
func (f *Format) IsEmpty() bool { return f.fixed && len(f.constant) == 0 }

// maxFormat bounds a format's length in bytes.
const maxFormat = 64 << 10

// Compile compiles text.
func Compile(c *conf.Ctx, text string, o Options) (*Format, error) {
	if len(text) > maxFormat {
		return nil, fmt.Errorf("log-format is longer than %d bytes", maxFormat)
	}
	if o.Where == 0 {
		o.Where = sample.Logs
	}
	p := parser{c: c, o: o, text: text, f: &Format{plain: o.Plain || o.Raw, raw: o.Raw}}
	for p.at < len(text) {
		if err := p.next(); err != nil {
			return nil, conf.Join(p.missing, err)
		}
	}
	if p.missing != nil {
		return nil, p.missing
	}
	p.flush()
	p.f.fix()
	return p.f, nil
}

// fix makes the text of a format in which nothing varies.
func (f *Format) fix() {
	for _, n := range f.nodes {
		if n.alias != nil || n.expr != nil {
			return
		}
	}
	f.fixed, f.constant = true, f.append(nil, nil)
}

// Append appends the format's text for an exchange.
func (f *Format) Append(dst []byte, sc *stream.Scope) []byte {
	if f.fixed {
		return append(dst, f.constant...)
	}
	return f.append(dst, sc)
}

func (f *Format) append(dst []byte, sc *stream.Scope) []byte {
	blank := true
	for i := range f.nodes {
		n := &f.nodes[i]
		before := len(dst)
		switch {
		case n.blank:
			if !blank {
				dst = append(dst, ' ')
			}
			blank = true
			continue
		case n.text != nil:
			dst = append(dst, n.text...)
		case n.alias != nil:
			dst = n.alias(dst, sc, n.flags)
		default:
			dst = f.sample(dst, sc, n)
		}
		blank = blank && len(dst) == before
	}
	return dst
}

// sample appends the value of an expression.
func (f *Format) sample(dst []byte, sc *stream.Scope, n *node) []byte {
	v := sample.Borrow(sc)
	defer v.Return(sc)
	if !n.expr.Eval(sc, v) {
		return appendMissing(dst, n.flags, f.plain)
	}
	at := len(dst)
	if f.raw {
		if v.Type == sample.Bin {
			return append(dst, v.Bytes...)
		}
		return v.Append(dst)
	}
	if f.plain {
		return encodeControls(v.Append(dst), at, n.flags, '%')
	}
	dst = quote(dst, n.flags)
	from := len(dst)
	if dst = v.Append(dst); len(dst) == from { // as in HAProxy, nothing is written like no value
		return appendMissing(dst[:at], n.flags, false)
	}
	return quote(encodeControls(dst, from, n.flags, '#'), n.flags) // no more than that, as in HAProxy: it may be JSON
}

// encodeControls writes control characters of dst[at:] as two hexadecimal digits
// after a sign: "%" where the text becomes a header field (8.2.6), "#" in logs.
// A tab may stand in header fields. +E escapes.
func encodeControls(dst []byte, at int, f flags, sign byte) []byte {
	tab := sign == '%'
	n := 0
	for _, c := range dst[at:] {
		if forbidden(c, tab) {
			n += 2
		} else if f&escaped != 0 && mustEscape(c) {
			n++
		}
	}
	if n == 0 {
		return dst
	}
	from := len(dst) - 1
	for range n {
		dst = append(dst, 0)
	}
	for to := len(dst) - 1; from < to; from-- {
		switch c := dst[from]; {
		case forbidden(c, tab):
			dst[to], dst[to-1], dst[to-2] = upperHex[c&15], upperHex[c>>4], sign
			to -= 3
		case f&escaped != 0 && mustEscape(c):
			dst[to], dst[to-1] = c, '\\'
			to -= 2
		default:
			dst[to] = c
			to--
		}
	}
	return dst
}

func forbidden(c byte, tab bool) bool { return c < ' ' && (c != '\t' || !tab) || c == 0x7f }

func mustEscape(c byte) bool { return c == '"' || c == '\\' || c == ']' }

// appendMissing appends what stands for a value that there is not.
func appendMissing(dst []byte, f flags, plain bool) []byte {
	if plain {
		return dst
	}
	if f&quoted != 0 {
		return append(dst, `""`...)
	}
	return append(dst, '-')
}

const upperHex = "0123456789ABCDEF"

// What of printable text is encoded in log lines: of request lines, and of values
// that stand between braces.
const (
	ofLines  = `"#`
	ofValues = `"#{|}`
)

// encode makes what an alias wrote to dst[at:] printable, as the manual says (8.6):
// control characters, non-ASCII and those of also become "#XX"; with +E, backslashes
// and brackets get a backslash.
func encode(dst []byte, at int, f flags, also string) []byte {
	clean := true
	for _, c := range dst[at:] {
		if special(c, also) || f&escaped != 0 && mustEscape(c) {
			clean = false
			break
		}
	}
	if clean {
		return dst
	}
	var buf [512]byte
	raw := append(buf[:0], dst[at:]...)
	dst = dst[:at]
	for _, c := range raw {
		switch {
		case special(c, also):
			dst = append(dst, '#', upperHex[c>>4], upperHex[c&15])
		case f&escaped != 0 && mustEscape(c):
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func special(c byte, also string) bool {
	return c < ' ' || c >= 0x7f || strings.IndexByte(also, c) >= 0
}
