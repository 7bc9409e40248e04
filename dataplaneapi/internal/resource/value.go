package resource

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// fields finds the property that a name in a pattern means; "list.field" is a property of an array's items.
type fields struct {
	byName map[string]*Property
	// rests are the "{x...}" properties that may be empty (the schema does not require them).
	optional map[string]bool
}

func newFields(props []*Property, required []string) *fields {
	f := &fields{byName: map[string]*Property{}, optional: map[string]bool{}}
	for _, p := range props {
		f.byName[p.Name] = p
		f.optional[p.Name] = !slices.Contains(required, p.Name)
		for _, sub := range p.itemProps {
			f.byName[p.Name+"."+sub.Name] = sub
		}
	}
	return f
}

func (f *fields) get(name string) *Property {
	if p := f.byName[name]; p != nil {
		return p
	}
	return &Property{Name: name, Type: "string"}
}

// optionalRest tells whether "{x...}" may stand for no word. Only values of ACLs do: everything else wants one.
func (f *fields) optionalRest(name string) bool { return name == "value" && f.optional[name] }

// absent tells whether a value means the same as no value: null, false, an empty text or array.
func absent(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// equal compares two JSON values; an integer may come as int64 or float64.
func equal(a, b any) bool { return reflect.DeepEqual(normal(a), normal(b)) }

func normal(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case float64:
		if v == math.Trunc(v) {
			return int64(v)
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if !absent(x) {
				out[k] = normal(x)
			}
		}
		return out
	}
	return v
}

// parse reads the value of a property from a word.
func (p *Property) parse(w string) (any, bool) {
	for v, spelt := range p.Words {
		if spelt == w {
			return v, true
		}
	}
	switch p.Type {
	case "integer":
		switch {
		case p.Duration:
			unit := unitOf(p.Unit)
			ms, ok := parseDuration(w, unit)
			return ms, ok
		case p.Size:
			return parseSize(w)
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil, false
		}
		return n, len(p.Enum) == 0 || slices.Contains(p.Enum, w)
	case "array":
		if p.Many { // the word is one item
			return p.item().parse(w)
		}
		all := []any{}
		for _, s := range strings.Split(w, ",") {
			v, ok := p.item().parse(s)
			if !ok {
				return nil, false
			}
			all = append(all, v)
		}
		return all, true
	}
	if w == "" && p.Name != "" && len(p.Enum) > 0 {
		return nil, false
	}
	return w, len(p.Enum) == 0 || slices.Contains(p.Enum, w)
}

// accepts tells whether a value is one that the pattern's place can hold (an enum decides between alternatives).
func (p *Property) accepts(v any) bool {
	return len(p.Enum) == 0 || slices.Contains(p.Enum, plain(v))
}

// format writes the value of a property as a word, not yet quoted.
func (p *Property) format(v any) string {
	if s, ok := v.(string); ok {
		if spelt, ok := p.Words[s]; ok {
			return spelt
		}
		return s
	}
	if p.Type == "integer" && p.Duration {
		if n, ok := normal(v).(int64); ok {
			return formatDuration(n, unitOf(p.Unit))
		}
	}
	if all, ok := v.([]any); ok {
		words := make([]string, len(all))
		for i := range all {
			words[i] = p.item().format(all[i])
		}
		return strings.Join(words, ",")
	}
	return plain(v)
}

func plain(v any) string {
	switch v := normal(v).(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

func unitOf(u string) int64 {
	if u == "s" {
		return 1000
	}
	return 1
}

var units = []struct {
	suffix string
	ms     int64
}{{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}

// parseDuration reads a time of the configuration language (manual 2.5) in milliseconds. unit is what a bare number
// counts.
func parseDuration(w string, unit int64) (int64, bool) {
	i := 0
	for i < len(w) && w[i] >= '0' && w[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(w[:i], 10, 64)
	if err != nil {
		return 0, false
	}
	if w[i:] == "us" {
		return n / 1000, true
	}
	if w[i:] != "" {
		unit = 0
		for _, u := range units {
			if w[i:] == u.suffix {
				unit = u.ms
			}
		}
	}
	if unit == 0 || n > math.MaxInt64/unit {
		return 0, false
	}
	return n * unit, true
}

func formatDuration(ms, unit int64) string {
	if ms == 0 {
		return "0"
	}
	for _, u := range units {
		if ms%u.ms == 0 && (u.ms > 1 || unit != 1) {
			return strconv.FormatInt(ms/u.ms, 10) + u.suffix
		}
	}
	return strconv.FormatInt(ms, 10)
}

// parseSize reads a size in bytes, with the suffixes k, m and g.
func parseSize(w string) (any, bool) {
	num, mul := w, int64(1)
	if w != "" {
		switch w[len(w)-1] | 0x20 {
		case 'k':
			num, mul = w[:len(w)-1], 1<<10
		case 'm':
			num, mul = w[:len(w)-1], 1<<20
		case 'g':
			num, mul = w[:len(w)-1], 1<<30
		}
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/mul {
		return nil, false
	}
	return n * mul, true
}

// joinWords writes words as text of the configuration language, so that splitWords gives them back.
func joinWords(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = config.Quote(w)
	}
	return strings.Join(q, " ")
}

// splitWords reads the words of a text of the configuration language. The text is one line: a line feed in it is a blank.
func splitWords(s string) []string {
	s = strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
	f := config.Parse("", []byte("x "+s+"\n"))
	if len(f.Lines) == 0 || len(f.Lines[0].Words) == 0 {
		return nil
	}
	return f.Lines[0].Words[1:]
}

// hasComment tells whether a part of the text would be a comment.
func hasComment(s string) bool {
	words := splitWords(s + " end")
	return len(words) == 0 || words[len(words)-1] != "end"
}

// A codec splits one word into several properties.
type codec struct {
	parse  func(w string, names []string, props *fields, obj map[string]any) bool
	format func(names []string, props *fields, obj map[string]any) (w, missing string)
}

// codecs are the odd forms of words that a pattern cannot say.
var codecs = map[string]codec{}

func init() {
	codecs["address"] = codec{parseAddress, formatAddress}
	codecs["pair"] = codec{parsePair, formatPair}
}

// parseAddress splits "host:port" or "host:port-end" (manual 2.9). What has no numeric port stays whole.
func parseAddress(w string, names []string, _ *fields, obj map[string]any) bool {
	if w == "" {
		return false
	}
	obj[names[0]] = w
	if strings.ContainsAny(w, "/,") {
		return true
	}
	i := strings.LastIndexByte(w, ':')
	if i < 0 {
		return true
	}
	if strings.HasSuffix(w, "]") {
		obj[names[0]] = Unbracket(w)
		return true
	}
	host, port := w[:i], w[i+1:]
	low, high, ranged := strings.Cut(port, "-")
	n, err := strconv.ParseUint(low, 10, 16)
	if err != nil || n == 0 {
		return true
	}
	var m uint64
	if ranged {
		if m, err = strconv.ParseUint(high, 10, 16); err != nil || len(names) < 3 {
			return true
		}
	}
	if host == "" && len(names) < 3 {
		return true // a server without a host is not an address
	}
	// An IPv6 address without brackets: the last colon divides only when what is before it is an address by itself.
	bare := strings.TrimPrefix(strings.TrimPrefix(host, "ipv6@"), "udp6@")
	if strings.Contains(bare, ":") && !strings.HasPrefix(bare, "[") && net.ParseIP(bare) == nil {
		return true
	}
	obj[names[0]] = Unbracket(host)
	if host == "" {
		delete(obj, names[0])
	}
	obj[names[1]] = int64(n)
	if ranged {
		obj[names[2]] = int64(m)
	}
	return true
}

// ipv6 parts an address that is one of IPv6, in brackets or not, from the family in front of it.
func ipv6(s string) (family, ip string, ok bool) {
	at := strings.IndexByte(s, '@') + 1
	family, ip = s[:at], s[at:]
	if strings.HasPrefix(ip, "[") && strings.HasSuffix(ip, "]") {
		ip = ip[1 : len(ip)-1]
	}
	a, err := netip.ParseAddr(ip)
	return family, ip, err == nil && a.Is6()
}

// Unbracket writes an address of IPv6 as JSON has it, without the brackets that it has in the file.
func Unbracket(s string) string {
	if family, ip, ok := ipv6(s); ok {
		return family + ip
	}
	return s
}

func bracket(s string) string {
	if family, ip, ok := ipv6(s); ok {
		return family + "[" + ip + "]"
	}
	return s
}

func formatAddress(names []string, _ *fields, obj map[string]any) (string, string) {
	host, _ := obj[names[0]].(string)
	host = bracket(host)
	port := obj[names[1]]
	if absent(port) {
		if host == "" {
			return "", names[0]
		}
		return host, ""
	}
	if host == "" && len(names) < 3 {
		return "", names[0]
	}
	w := host + ":" + plain(port)
	if len(names) > 2 && !absent(obj[names[2]]) {
		w += "-" + plain(obj[names[2]])
	}
	return w, ""
}

// parsePair splits "a:b", the second being a number.
func parsePair(w string, names []string, props *fields, obj map[string]any) bool {
	a, b, ok := strings.Cut(w, ":")
	if !ok {
		return false
	}
	v, ok := props.get(names[1]).parse(b)
	obj[names[0]], obj[names[1]] = a, v
	return ok
}

func formatPair(names []string, props *fields, obj map[string]any) (string, string) {
	for _, n := range names {
		if absent(obj[n]) {
			return "", n
		}
	}
	return plain(obj[names[0]]) + ":" + props.get(names[1]).format(obj[names[1]]), ""
}
