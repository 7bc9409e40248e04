package sample

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// Type is the type of a value.
type Type uint8

// Types, named as in the manual.
const (
	Any Type = iota
	Bool
	Int
	Addr
	Str
	Bin
	Meth
)

var typeNames = [...]string{"any", "bool", "sint", "addr", "str", "bin", "meth"}

func (t Type) String() string { return typeNames[t] }

// Value is what a sample is. The field that Type tells holds it; Bytes are good
// as long as the scope they were made in.
type Value struct {
	Type  Type
	Bool  bool
	Int   int64
	Addr  netip.Addr
	Bytes []byte
	text  [64]byte // of a number or an address, see Line
	held  variable.Value
}

// spares are a reactor's values that are not in use: what fetches fill cannot live
// on the stack.
var spares = slot.New[*reactor.Reactor, []*Value]()

// Borrow gives a value to evaluate into, on the scope's reactor. [Value.Return]
// gives it back.
func Borrow(sc *stream.Scope) *Value {
	if sc.R == nil {
		return new(Value)
	}
	s := spares.Make(sc.R)
	if n := len(*s); n > 0 {
		v := (*s)[n-1]
		*s = (*s)[:n-1]
		return v
	}
	return new(Value)
}

// Return gives a value of [Borrow] back.
func (v *Value) Return(sc *stream.Scope) {
	if sc.R == nil {
		return
	}
	s := spares.Make(sc.R)
	v.Bytes, v.held.Bytes = nil, nil
	*s = append(*s, v)
}

// Line gives v as text, good until v is used again.
func (v *Value) Line() []byte {
	switch v.Type {
	case Int, Bool, Addr:
		return v.Append(v.text[:0])
	case Bin:
		return untilNUL(v.Bytes)
	}
	return v.Bytes
}

// untilNUL is what is left of bytes where text is asked for.
func untilNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// SetBool makes v a boolean.
func (v *Value) SetBool(b bool) bool { v.Type, v.Bool = Bool, b; return true }

// SetInt makes v a number.
func (v *Value) SetInt(n int64) bool { v.Type, v.Int = Int, n; return true }

// SetStr makes v a string.
func (v *Value) SetStr(b []byte) bool { v.Type, v.Bytes = Str, b; return true }

// SetText makes v a string, in the scope's memory.
func (v *Value) SetText(sc *stream.Scope, s string) bool { return v.SetStr(sc.CopyString(s)) }

// SetVar makes v what a variable holds.
func (v *Value) SetVar(val *variable.Value) bool {
	v.Type, v.Bool, v.Int, v.Addr, v.Bytes = Type(val.Type), val.Bool, val.Int, val.Addr, val.Bytes
	return true
}

// Var gives what a variable that is set to v holds, good until v is used again.
func (v *Value) Var() *variable.Value {
	v.held = variable.Value{Type: uint8(v.Type)}
	switch v.Type {
	case Bool:
		v.held.Bool = v.Bool
	case Int:
		v.held.Int = v.Int
	case Addr:
		v.held.Addr = v.Addr
	case Meth:
		v.held.Int, v.held.Bytes = v.Int, v.Bytes
	default:
		v.held.Bytes = v.Bytes
	}
	return &v.held
}

// SetAddr makes v an address.
func (v *Value) SetAddr(a netip.Addr) bool { v.Type, v.Addr = Addr, a; return true }

// Append appends v as text.
func (v *Value) Append(dst []byte) []byte {
	switch v.Type {
	case Bool:
		if v.Bool {
			return append(dst, '1')
		}
		return append(dst, '0')
	case Int:
		return strconv.AppendInt(dst, v.Int, 10)
	case Addr:
		if !v.Addr.IsValid() {
			return dst
		}
		return v.Addr.AppendTo(dst)
	case Bin:
		return append(dst, untilNUL(v.Bytes)...)
	}
	return append(dst, v.Bytes...)
}

// AppendHex appends b in hexadecimal.
func AppendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// Text gives v as text, in the scope's memory where it is not text already.
func (v *Value) Text(sc *stream.Scope) []byte {
	switch v.Type {
	case Str, Meth:
		return v.Bytes
	case Bin:
		return untilNUL(v.Bytes)
	}
	var buf [64]byte
	return sc.Copy(v.Append(buf[:0]))
}

// Number gives v as a number.
func (v *Value) Number() (int64, bool) {
	switch v.Type {
	case Bool:
		if v.Bool {
			return 1, true
		}
		return 0, true
	case Int:
		return v.Int, true
	case Str, Bin:
		return leadingNumber(v.Bytes), len(v.Bytes) > 0
	}
	return 0, false
}

// Single asks a [Func] for its one value (the last one, of fields that may occur
// several times).
const Single = -1

// Func gets the value number n, or [Single]; conditions ask for 0, 1, 2 … until
// it returns false.
type Func func(sc *stream.Scope, v *Value, n int) bool

// Fetch is a sample fetch function.
type Fetch struct {
	Name string
	// Args describes the arguments as -dK prints them, "" for none. A leading
	// "[" tells that all are optional.
	Args string
	Out  Type
	// Where is the compatibility matrix: 22 letters, Y or ".", in the order of
	// keywords.txt.
	Where string
	// Needs names what the value is taken from, for messages; "": it goes without saying.
	Needs   string
	Compile func(c *conf.Ctx, args []string) (Func, error)
}

// Places are where in the life of an exchange an expression is used, a set of bits
// in the order of [Fetch.Where]. A line that both sides of a proxy run stands in
// several.
type Places uint32

// Places of rules.
const (
	FrontConnection     Places = 1 << 0
	FrontSession        Places = 1 << 1
	FrontContent        Places = 1 << 2
	FrontRequest        Places = 1 << 3
	UseBackend          Places = 1 << 5
	BackContent         Places = 1 << 6
	BackRequest         Places = 1 << 7
	ServerSelection     Places = 1 << 9
	SourceSelection     Places = 1 << 10
	BackResponseContent Places = 1 << 11
	BackResponse        Places = 1 << 12
	FrontResponse       Places = 1 << 16
	Logs                Places = 1 << 18
	HealthCheck         Places = 1 << 19
	ConfigParser        Places = 1 << 20
	CommandLine         Places = 1 << 21
)

// Matrices of the usual kinds of fetches.
const (
	Everywhere  = "YYYYYYYYYYYYYYYYYYYYYY"
	Connection  = "YYYYYYYYYYYYYYYYYYYY.."
	Request     = "..YYYYYYYYY..........."
	RequestLog  = "..YYYYYYYYYYYYYYYYYY.."
	Response    = "...........YYYYYYYYY.."
	SessionWide = ".YYYYYYYYYYYYYYYYYY..."
)

// Convert changes a value in place; false: there is no value any more.
type Convert func(sc *stream.Scope, v *Value) bool

// Converter is a sample converter.
type Converter struct {
	Name    string
	Args    string
	In, Out Type
	Compile func(c *conf.Ctx, args []string) (Convert, error)
}

var (
	fetches    = map[string]*Fetch{}
	converters = map[string]*Converter{}
)

// RegisterFetch adds fetches.
func RegisterFetch(list ...Fetch) {
	for i := range list {
		fetches[list[i].Name] = &list[i]
	}
}

// RegisterConverter adds converters.
func RegisterConverter(list ...Converter) {
	for i := range list {
		converters[list[i].Name] = &list[i]
	}
}

// FindFetch gives a fetch by name, nil if there is none.
func FindFetch(name string) *Fetch { return fetches[name] }

// Names lists the fetches' names.
func Names() []string {
	var out []string
	for n := range fetches {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Expr is a compiled expression.
type Expr struct {
	Fetch *Fetch
	get   Func
	convs []Convert
	out   Type
}

// Type is the type of the values, [Any] if it depends.
func (e *Expr) Type() Type { return e.out }

// Eval gets the expression's value. false: there is none.
func (e *Expr) Eval(sc *stream.Scope, v *Value) bool { return e.Nth(sc, v, Single) }

// Nth gets value number n, see [Func].
func (e *Expr) Nth(sc *stream.Scope, v *Value, n int) bool {
	if !e.get(sc, v, n) {
		return false
	}
	for _, c := range e.convs {
		if !c(sc, v) {
			return false
		}
	}
	return true
}

// Usable tells whether the expression may be used at one of the places.
func (e *Expr) Usable(at Places) bool {
	for i := range e.Fetch.Where {
		if at&(1<<i) != 0 && e.Fetch.Where[i] == 'Y' {
			return true
		}
	}
	return false
}

// Needs names what the expression's fetch takes its value from, as messages do.
func (e *Expr) Needs() string {
	if e.Fetch.Needs != "" {
		return e.Fetch.Needs
	}
	if clientAddress[e.Fetch.Name] {
		return "client address"
	}
	if text := needs[e.Fetch.Where]; text != "" {
		return text
	}
	return "other information"
}

// Allowed gives the reason why the expression, which what names, has nothing to look
// at in a place, nil if it has.
func (e *Expr) Allowed(what string, where Places) error {
	if e.Usable(where) {
		return nil
	}
	return fmt.Errorf("fetch method '%s' extracts information from '%s', none of which is available here", what, e.Needs())
}

var clientAddress = map[string]bool{"src": true, "src_port": true, "dst": true, "dst_port": true}

// Converters lists the converters in no order.
func Converters() []*Converter { return slices.Collect(maps.Values(converters)) }

// FindConverter tells whether there is a converter of that name.
func FindConverter(name string) bool { return converters[name] != nil }

// ParseWords compiles an expression that may go on in the words behind it, as long
// as they begin with a converter's name. It gives the words that are left.
func ParseWords(c *conf.Ctx, words []string) (*Expr, []string, error) {
	if len(words) == 0 {
		return nil, nil, errors.New("missing fetch method")
	}
	text, rest := words[0], words[1:]
	for len(rest) > 0 {
		name, _, _ := strings.Cut(strings.TrimPrefix(rest[0], ","), ",")
		name, _, _ = strings.Cut(name, "(")
		if !FindConverter(name) {
			break
		}
		text += "," + strings.TrimPrefix(rest[0], ",")
		rest = rest[1:]
	}
	e, err := Parse(c, text)
	return e, rest, err
}

// needs are the usual kinds of fetches.
var needs = map[string]string{
	Connection: "client connection", Request: "HTTP request headers", anyHdr: "HTTP request headers", Response: "HTTP response headers",
	resHdr: "HTTP response headers", srvName: "server", beMatrix: "backend",
}

// Parse compiles "fetch(args),conv(args),…". All words that are not supported yet
// are reported, see [conf.Join].
func Parse(c *conf.Ctx, text string) (*Expr, error) {
	name, args, rest, err := call(text)
	if name == "" {
		return nil, errors.New("missing fetch method")
	}
	f := fetches[name]
	switch {
	case f == nil && !conf.IsKnown("smp", name):
		return nil, fmt.Errorf("unknown fetch method '%s'", name)
	case err != nil:
		return nil, err
	}
	var missing error
	e := &Expr{Fetch: f}
	if f == nil {
		missing = conf.NotYet("sample fetch", name)
	} else if err := e.parseFetch(c, name, args); err != nil {
		return nil, err
	}
	if err := e.parseConverters(c, name, rest, missing); err != nil {
		return nil, err
	}
	return e, nil
}

// parseFetch compiles the arguments of the fetch.
func (e *Expr) parseFetch(c *conf.Ctx, name string, args []string) (err error) {
	e.out = e.Fetch.Out
	args = orEmpty(e.Fetch.Args, args)
	if _, err = checkArgs(e.Fetch.Args, args); err != nil {
		return fmt.Errorf("fetch method '%s' : %w", name, err)
	}
	c.Fetch = name
	if e.get, err = e.Fetch.Compile(c, args); err != nil {
		return fmt.Errorf("invalid args in fetch method '%s' : %w", name, err)
	}
	return nil
}

// parseConverters compiles what follows the fetch of that name. missing is what is
// not supported yet of what came before.
func (e *Expr) parseConverters(c *conf.Ctx, name, rest string, missing error) error {
	for rest != "" {
		if rest[0] != ',' {
			return fmt.Errorf("missing comma after %s '%s'", which(len(e.convs) > 0), name)
		}
		var args []string
		var err error
		name, args, rest, err = call(rest[1:])
		if name == "" && err == nil {
			continue
		}
		k := converters[name]
		switch {
		case k == nil && !conf.IsKnown("cnv", name):
			return conf.Join(missing, fmt.Errorf("unknown converter '%s'", name))
		case k == nil && err != nil:
			return conf.Join(missing, conf.NotYet("converter", name))
		case err != nil:
			return conf.Join(missing, fmt.Errorf("invalid arg %d in converter '%s' : %w", len(args)+1, name, err))
		case k == nil:
			missing = conf.Join(missing, conf.NotYet("converter", name))
			continue
		}
		if err := e.parseConverter(c, k, name, args); err != nil {
			return conf.Join(missing, err)
		}
	}
	return missing
}

// parseConverter compiles the arguments of a converter and appends it.
func (e *Expr) parseConverter(c *conf.Ctx, k *Converter, name string, args []string) error {
	args = orEmpty(k.Args, args)
	if at, err := checkArgs(k.Args, args); err != nil {
		return fmt.Errorf("invalid arg %d in converter '%s' : %w", at, name, err)
	}
	conv, err := k.Compile(c, args)
	if err != nil {
		return fmt.Errorf("invalid args in converter '%s' : %w", name, err)
	}
	e.convs = append(e.convs, cast(k.In, conv))
	e.out = k.Out
	return nil
}

// orEmpty makes no arguments at all one that is empty, where there must be one.
func orEmpty(spec string, args []string) []string {
	if len(args) == 0 && spec != "" && spec[0] != '[' {
		return []string{""}
	}
	return args
}

func which(converter bool) string {
	if converter {
		return "converter"
	}
	return "fetch keyword"
}

// checkArgs compares arguments with their description and tells the number of the
// first one that is wrong.
func checkArgs(spec string, args []string) (int, error) {
	if spec == "" {
		if len(args) > 0 {
			return 1, fmt.Errorf("expected ')' before '%s)'", strings.Join(args, ","))
		}
		return 0, nil
	}
	must, may, _ := strings.Cut(spec, "[")
	types := strings.FieldsFunc(must, notType)
	least := len(types)
	types = append(types, strings.FieldsFunc(may, notType)...)
	for i, a := range args {
		if i == len(types) {
			return i + 1, fmt.Errorf("end of arguments expected at position %d, but got '%s'", i+1, a)
		}
		kind := argTypes[types[i]]
		switch {
		case kind.read == nil:
		case a == "" && i >= least:
		case a == "":
			return i + 1, fmt.Errorf("expected type '%s' at position %d, but got nothing", kind.name, i+1)
		case !kind.read(a):
			return i + 1, fmt.Errorf("failed to parse '%s' as type '%s' at position %d", a, kind.name, i+1)
		}
	}
	if len(args) < least {
		kind := argTypes[types[len(args)]]
		return len(args) + 1, fmt.Errorf("missing arguments (got %d/%d), type '%s' expected", len(args), least, kind.name)
	}
	return 0, nil
}

func notType(c rune) bool { return c == ',' || c == '[' || c == ']' }

// argTypes are the types of arguments: what messages call them, and what is one.
var argTypes = map[string]struct {
	name string
	read func(string) bool
}{
	"string": {"string", nil}, "backend": {"backend", nil}, "frontend": {"frontend", nil}, "server": {"server", nil},
	"integer": {"integer", func(s string) bool { _, err := strconv.ParseInt(s, 10, 64); return err == nil }},
	"msk4":    {"IPv4 mask", func(s string) bool { _, err := maskBits(s, 32); return err == nil }},
	"msk6":    {"IPv6 mask", func(s string) bool { _, err := maskBits(s, 128); return err == nil }},
	"place":   {"place", nil}, // of tests
}

// cast makes the input of a converter what it expects.
func cast(in Type, conv Convert) Convert {
	switch in {
	case Bin:
		return func(sc *stream.Scope, v *Value) bool {
			v.binary(sc)
			return conv(sc, v)
		}
	case Str:
		return func(sc *stream.Scope, v *Value) bool {
			if v.Type != Str {
				v.Bytes = v.Text(sc)
				v.Type = Str
			}
			return conv(sc, v)
		}
	case Int, Bool:
		return func(sc *stream.Scope, v *Value) bool {
			n, ok := v.Number()
			if !ok {
				return false
			}
			v.SetInt(n)
			return conv(sc, v)
		}
	case Addr:
		return func(sc *stream.Scope, v *Value) bool {
			if v.Type == Str {
				a, err := netip.ParseAddr(string(v.Bytes))
				if err != nil {
					return false
				}
				v.SetAddr(a)
			}
			return v.Type == Addr && conv(sc, v)
		}
	}
	return conv
}

// Binary gives v as bytes: a number or a boolean is eight of them, the highest
// first, an address those on the wire.
func (v *Value) Binary(sc *stream.Scope) []byte {
	v.binary(sc)
	return v.Bytes
}

// binary makes v bytes: a number or a boolean is eight of them, the highest
// first, an address those on the wire.
func (v *Value) binary(sc *stream.Scope) {
	switch v.Type {
	case Int, Bool:
		n, _ := v.Number()
		v.Bytes = sc.Copy(binary.BigEndian.AppendUint64(v.text[:0], uint64(n)))
	case Addr:
		v.Bytes = sc.Copy(v.Addr.AsSlice())
	default:
		return // text is its bytes, and stays text
	}
	v.Type = Bin
}

// call cuts "name(a,b)" off the front of s. Arguments may be quoted.
func call(s string) (name string, args []string, rest string, err error) {
	i := strings.IndexAny(s, "(,")
	if i < 0 {
		return s, nil, "", nil
	}
	name = s[:i]
	if s[i] == ',' {
		return name, nil, s[i:], nil
	}
	var cur strings.Builder
	var quote byte
	seen := false
	for i++; i < len(s); i++ {
		b := s[i]
		switch {
		case quote != 0:
			switch {
			case b == quote:
				quote = 0
			case b == '\\' && quote == '"' && i+1 < len(s):
				i++
				cur.WriteByte(s[i])
			default:
				cur.WriteByte(b)
			}
		case b == '\'' || b == '"':
			quote, seen = b, true
		case b == '\\' && i+1 < len(s):
			i++
			cur.WriteByte(s[i])
		case b == ',':
			args = append(args, cur.String())
			cur.Reset()
			seen = true
		case b == ')':
			args = append(args, cur.String())
			if len(args) == 1 && args[0] == "" && !seen {
				args = args[:0] // nothing between the parentheses
			}
			return name, args, s[i+1:], nil
		default:
			cur.WriteByte(b)
		}
		if len(args) > 64 {
			return "", nil, "", fmt.Errorf("too many arguments for '%s'", name)
		}
	}
	return name, append(args, cur.String()), "", errors.New("expected ')'")
}

// Split cuts an expression off the front of text: up to a space or the end of
// its calls. It is for log formats, where "]" ends it.
func Split(text string, end byte) (expr, rest string, ok bool) {
	depth := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case depth > 0 && (b == '\'' || b == '"'):
			quote = b
		case b == '(':
			depth++
		case b == ')':
			depth--
		case b == end && depth <= 0:
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

func init() {
	conf.RegisterDump("smp", func(w io.Writer) {
		io.WriteString(w, "# List of registered sample fetch functions:\n"+matrixHead)
		for _, n := range Names() {
			f := fetches[n]
			fmt.Fprintf(w, "[ %s ] %s%s: %s\n", strings.Join(strings.Split(f.Where, ""), " "), n, parens(f.Args), f.Out)
		}
	})
	conf.RegisterDump("cnv", func(w io.Writer) {
		var names []string
		for n := range converters {
			names = append(names, n)
		}
		sort.Strings(names)
		io.WriteString(w, "# List of registered sample converter functions:\n")
		for _, n := range names {
			k := converters[n]
			fmt.Fprintf(w, "%s%s: %s => %s\n", n, parens(k.Args), k.In, k.Out)
		}
	})
}

func parens(args string) string {
	if args == "" {
		return ""
	}
	return "(" + args + ")"
}

// matrixHead is the heading of "-dKsmp".
const matrixHead = `#                       _.---------------------- frontend tcp-request connection rule
#                      / _.--------------------- frontend tcp-request session rule
#                     / / _.-------------------- frontend tcp-request content rule
#                    / / / _.------------------- frontend http-request header rule
#                   / / / / _.------------------ frontend http-request body rule
#                  / / / / / _.----------------- frontend use-backend rule
#                 / / / / / / _.---------------- backend tcp-request content rule
#                / / / / / / / _.--------------- backend http-request header rule
#               / / / / / / / / _.-------------- backend http-request body rule
#              / / / / / / / / / _.------------- backend use-server, balance or stick-match rule
#             / / / / / / / / / / _.------------ server source selection
#            / / / / / / / / / / / _.----------- backend tcp-response content rule
#           / / / / / / / / / / / / _.---------- backend http-response header rule
#          / / / / / / / / / / / / / _.--------- backend http-response body rule
#         / / / / / / / / / / / / / / _.-------- backend stick-store rule
#        / / / / / / / / / / / / / / / _.------- frontend tcp-response content rule
#       / / / / / / / / / / / / / / / / _.------ frontend http-response header rule
#      / / / / / / / / / / / / / / / / / _.----- frontend http-response body rule
#     / / / / / / / / / / / / / / / / / / _.---- logs
#    / / / / / / / / / / / / / / / / / / / _.--- backend tcp-check rule
#   / / / / / / / / / / / / / / / / / / / / _.-- configuration parser
#  / / / / / / / / / / / / / / / / / / / / / _.- CLI parser
# / / / / / / / / / / / / / / / / / / / / / /  
# | | | | | | | | | | | | | | | | | | | | | | 
`
