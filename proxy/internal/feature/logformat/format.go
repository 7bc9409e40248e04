package logformat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
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
	o.Plain = o.Plain || o.Raw
	f := &Format{plain: o.Plain, raw: o.Raw}
	var global flags
	var lit []byte
	flush := func() {
		if len(lit) > 0 {
			f.nodes = append(f.nodes, node{text: lit})
			lit = nil
		}
	}
	var missing error // words that are not supported yet
	for i := 0; i < len(text); {
		b := text[i]
		if b == ' ' && !o.Plain {
			flush()
			if n := len(f.nodes); n == 0 || !f.nodes[n-1].blank {
				f.nodes = append(f.nodes, node{blank: true})
			}
			i++
			continue
		}
		if b != '%' {
			lit = append(lit, b)
			i++
			continue
		}
		i++
		if i < len(text) && text[i] == '%' {
			lit = append(lit, '%')
			i++
			continue
		}
		if i < len(text) && (isDigit(text[i]) || text[i] == ' ' || text[i] == '\t') {
			return nil, fmt.Errorf("unexpected variable name near '%c' at position %d line : '%s'. Maybe you want to write a single '%%', use the syntax '%%%%'", text[i], i, text)
		}
		fl, modified := global, false
		if i < len(text) && text[i] == '(' { // %(name): a name for structured formats
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				return nil, fmt.Errorf("truncated line after '%s'", text[i+1:])
			}
			if at := strings.IndexByte(text[i:i+end], ':'); at >= 0 && !slices.Contains([]string{"str", "sint", "bool", "raw"}, text[i+at+1:i+end]) {
				return nil, fmt.Errorf("unexpected output type '%s' at position %d line : '%s'. Supported types are: str, sint, bool, raw", text[i+at+1:i+end], i+at+1, text)
			}
			i += end + 1
		}
		if i < len(text) && text[i] == '{' {
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("truncated line after '%s'", text[i+1:])
			}
			var err error
			if fl, err = parseFlags(c, text[i+1:i+end], fl); err != nil {
				missing = conf.Join(missing, err)
			}
			i += end + 1
			modified = true
		}
		if i == len(text) && !modified {
			return nil, errors.New("truncated line after '%'")
		}
		if modified && (i == len(text) || text[i] != '[' && !isLetter(text[i])) {
			return nil, fmt.Errorf("parse argument modifier without variable name near '%%%s'", text[:i][strings.LastIndexByte(text[:i], '{'):])
		}
		if text[i] == '[' {
			expr, rest, ok := sample.Split(text[i+1:], ']')
			if !ok {
				return nil, fmt.Errorf("missing ']' after '%s'", text[i+1:])
			}
			i = len(text) - len(rest)
			expr = strings.TrimSpace(expr)
			e, err := sample.Parse(c, expr)
			if err != nil {
				if err = fmt.Errorf("failed to parse sample expression <%s> : %w", expr, err); conf.IsNotYet(err) {
					missing = conf.Join(missing, err)
					continue
				}
				return nil, conf.Join(missing, err)
			}
			if !e.Usable(o.Where) {
				return nil, conf.Join(missing, fmt.Errorf("sample fetch <%s> may not be reliably used here because it needs '%s' which is not available here", e.Fetch.Name, e.Needs()))
			}
			flush()
			f.nodes = append(f.nodes, node{expr: e, flags: fl})
			continue
		}
		end := i
		for end < len(text) && isLetter(text[end]) {
			end++
		}
		name := text[i:end]
		i = end
		if name == "o" { // only sets the flags from here on
			global = fl
			continue
		}
		a, ok := aliases[name]
		if t, short := tlsAliases[name]; short {
			e, err := sample.Parse(c, t.fetch)
			if err != nil {
				return nil, err
			}
			a, ok = ofTLS(e, t.none), true
		}
		if name == "" { // a sign in front of something else is just that
			lit = append(lit, '%')
			continue
		}
		if !ok {
			if why := notYet[name]; why != "" {
				missing = conf.Join(missing, conf.NotYet("log-format alias", "%"+name))
				continue
			}
			msg := fmt.Sprintf("no such format alias '%s'. If you wanted to emit the '%%' character verbatim, you need to use '%%%%'", name)
			return nil, conf.Join(missing, errors.New(msg+config.DidYouMean(name, names())))
		}
		if ofLine[name] && o.Where != sample.Logs {
			c.KeepLines()
		}
		flush()
		f.nodes = append(f.nodes, node{alias: a, flags: fl})
	}
	if missing != nil {
		return nil, missing
	}
	flush()
	f.fixed = true
	for _, n := range f.nodes {
		if n.alias != nil || n.expr != nil {
			f.fixed = false
		}
	}
	if f.fixed {
		f.constant = f.append(nil, nil)
	}
	return f, nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isLetter(b byte) bool { return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }

// parseFlags reads what stands between braces. As in HAProxy, a word without a
// sign changes nothing, nor does a name that there is not; only -dD tells.
func parseFlags(c *conf.Ctx, s string, f flags) (flags, error) {
	var missing error
	for _, w := range strings.Split(s, ",") {
		w = strings.TrimSpace(w)
		var bit flags
		sign, name := byte(0), w
		if w != "" && (w[0] == '+' || w[0] == '-') {
			sign, name = w[0], w[1:]
		}
		switch name {
		case "Q":
			bit = quoted
		case "X":
			bit = hexa
		case "E":
			bit = escaped
		case "json", "cbor", "bin":
			if sign == '+' {
				missing = conf.Join(missing, conf.NotYet("log-format flag", w))
			}
		}
		if (bit == 0 || sign == 0) && missing == nil {
			c.Diags.Diag(c.Pos, "'%s' in '{%s}' of a log-format changes nothing: flags are +Q, -Q, +X, -X, +E and -E.", w, s)
		}
		switch sign {
		case '+':
			f |= bit
		case '-':
			f &^= bit
		}
	}
	return f, missing
}

// Append appends the format's text for an exchange.
func (f *Format) Append(dst []byte, sc *stream.Scope) []byte {
	if f.fixed {
		return append(dst, f.constant...)
	}
	return f.append(dst, sc)
}

func (f *Format) append(dst []byte, sc *stream.Scope) []byte {
	start := len(dst)
	for i := range f.nodes {
		n := &f.nodes[i]
		switch {
		case n.blank:
			if len(dst) > start && dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
		case n.text != nil:
			dst = append(dst, n.text...)
		case n.alias != nil:
			dst = n.alias(dst, sc, n.flags)
		default:
			dst = f.sample(dst, sc, n)
		}
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
	if n.flags&quoted == 0 {
		return encodeControls(v.Append(dst), at, n.flags, '#') // no more than that, as in HAProxy: it may be JSON
	}
	return append(encodeControls(v.Append(append(dst, '"')), at+1, n.flags, '#'), '"')
}

// unknown appends the text of an alias of a feature, with no more encoding than the
// value of an expression.
func unknown(dst, id []byte, f flags) []byte {
	at := len(dst)
	switch {
	case len(id) == 0:
		return appendMissing(dst, f, false)
	case f&quoted == 0:
		return encodeControls(append(dst, id...), at, f, '#')
	}
	return append(encodeControls(append(append(dst, '"'), id...), at+1, f, '#'), '"')
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

// encode makes what an alias wrote to dst[at:] printable, as the manual says (8.6): control characters,
// quotes and non-ASCII become "#XX"; with +E, quotes and brackets get a
// backslash.
func encode(dst []byte, at int, f flags) []byte {
	clean := true
	for _, c := range dst[at:] {
		if special(c, f) {
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
		case !special(c, f):
			dst = append(dst, c)
		case f&escaped != 0 && c >= ' ' && c < 0x7f:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '#', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

func special(c byte, f flags) bool {
	if c < ' ' || c >= 0x7f {
		return true
	}
	if f&escaped != 0 {
		return mustEscape(c)
	}
	return c == '"' || c == '#' || c == '{' || c == '|' || c == '}'
}
