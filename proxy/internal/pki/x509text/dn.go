package x509text

import (
	"strconv"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// attribute is one of a distinguished name.
type attribute struct {
	id    []byte // DER contents of the identifier
	tag   uint8
	value []byte
	der   []byte // the value with its tag and length
	set   int    // number of the relative name that it is in
}

// maxAttributes bounds the attributes of a name that are looked at.
const maxAttributes = 128

// walker goes through the attributes of a distinguished name (RFC 5280 4.1.2.4).
type walker struct {
	rest, in cryptobyte.String // after the present relative name; what is left of it
	set      int
}

func walk(name []byte) walker {
	s := cryptobyte.String(name)
	w := walker{set: -1}
	s.ReadASN1(&w.rest, asn1.SEQUENCE)
	return w
}

// next gives the next attribute.
func (w *walker) next(a *attribute) bool {
	for len(w.in) == 0 {
		if len(w.rest) == 0 || !w.rest.ReadASN1(&w.in, asn1.SET) {
			return false
		}
		w.set++
	}
	var pair, id, element, value cryptobyte.String
	var tag asn1.Tag
	if !w.in.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) || !pair.ReadAnyASN1Element(&element, &tag) {
		return false
	}
	a.der, a.tag, a.id, a.set = element, uint8(tag), id, w.set
	a.value = nil
	if element.ReadAnyASN1(&value, &tag) {
		a.value = value
	}
	return true
}

// nth gives attribute number n.
func nth(name []byte, n int, a *attribute) bool {
	w := walk(name)
	for ; n >= 0; n-- {
		if !w.next(a) {
			return false
		}
	}
	return true
}

func count(name []byte) int {
	var a attribute
	n := 0
	for w := walk(name); n < maxAttributes && w.next(&a); {
		n++
	}
	return n
}

// appendName appends the short name of an identifier, or its numbers.
func appendName(dst, id []byte) []byte {
	if s, ok := names[string(id)]; ok {
		return append(dst, s...)
	}
	return appendNumbers(dst, id)
}

// appendNumbers appends an identifier in dots (X.690 8.19).
func appendNumbers(dst, id []byte) []byte {
	var n uint64
	first := true
	for _, b := range id {
		if n > 1<<56 {
			return dst
		}
		n = n<<7 | uint64(b&0x7f)
		if b&0x80 != 0 {
			continue
		}
		if first {
			first = false
			top := min(n/40, 2)
			dst = strconv.AppendUint(dst, top, 10)
			n -= top * 40
		}
		dst = strconv.AppendUint(append(dst, '.'), n, 10)
		n = 0
	}
	return dst
}

// AppendDN appends a whole distinguished name in OpenSSL's old one-line form:
// "/C=FR/O=Example/CN=a". name is DER. Values are as they stand in it, whatever
// their encoding.
func AppendDN(dst, name []byte) []byte {
	var a attribute
	n := 0
	for w := walk(name); n < maxAttributes && w.next(&a); n++ {
		dst = append(appendName(append(dst, '/'), a.id), '=')
		dst = append(dst, a.value...)
	}
	return dst
}

// appendOneLine is AppendDN as alternative names have it: "+" joins attributes of
// one relative name, and what is not printable is escaped.
func appendOneLine(dst, name []byte) []byte {
	var a attribute
	n, set := 0, -1
	for w := walk(name); n < maxAttributes && w.next(&a); n++ {
		sep := byte('/')
		if a.set == set {
			sep = '+'
		}
		set = a.set
		dst = append(appendName(append(dst, sep), a.id), '=')
		for _, c := range a.value {
			switch {
			case c < ' ' || c > '~':
				dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
			case c == '/' || c == '+': // what separates names
				dst = append(dst, '\\', c)
			default:
				dst = append(dst, c)
			}
		}
	}
	return dst
}

// Entry gives the value of the attribute with that short name (or number), in any
// case: the first, second … one if n is positive, the last … one if it is
// negative. nil: there is none.
func Entry(name []byte, entry string, n int) []byte {
	total := count(name)
	var a attribute
	var buf [64]byte
	for i, seen := 0, 0; i < total; i++ {
		at := i
		if n < 0 {
			at = total - 1 - i
		}
		if !nth(name, at, &a) || !equalFold(appendName(buf[:0], a.id), entry) {
			continue
		}
		if seen++; n < 0 && -seen == n || seen == n {
			if a.value == nil {
				return []byte{}
			}
			return a.value
		}
	}
	return nil
}

func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// AppendRFC2253 appends a name in the form of RFC 2253 as OpenSSL writes it: the
// last attribute first, what is not ASCII escaped byte by byte in UTF-8.
func AppendRFC2253(dst, name []byte) []byte {
	var a attribute
	set := -1
	for i := count(name) - 1; i >= 0; i-- {
		if !nth(name, i, &a) {
			break
		}
		switch set {
		case -1:
		case a.set:
			dst = append(dst, '+')
		default:
			dst = append(dst, ',')
		}
		set = a.set
		dst = append(appendName(dst, a.id), '=')
		if _, known := names[string(a.id)]; !known {
			dst = appendHex(dst, a.der)
			continue
		}
		dst = appendValue(dst, &a)
	}
	return dst
}

func appendHex(dst, der []byte) []byte {
	dst = append(dst, '#')
	for _, c := range der {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

const digits = "0123456789ABCDEF"

// Tags of strings (X.680 8.4).
const (
	utf8String      = 12
	numericString   = 18
	printableString = 19
	t61String       = 20
	ia5String       = 22
	utcTime         = 23
	generalizedTime = 24
	visibleString   = 26
	universalString = 28
	bmpString       = 30
)

// appendValue appends a value, escaped. What is no string is dumped.
func appendValue(dst []byte, a *attribute) []byte {
	v, width := a.value, 1
	switch a.tag {
	case utf8String: // its bytes are escaped one by one
		for i, c := range v {
			dst = escape(dst, c, i == 0, i == len(v)-1)
		}
		return dst
	case numericString, printableString, t61String, ia5String, utcTime, generalizedTime, visibleString:
	case universalString:
		width = 4
	case bmpString:
		width = 2
	default:
		return appendHex(dst, a.der)
	}
	v = v[:len(v)/width*width]
	for i := 0; i < len(v); i += width {
		var r rune
		for _, c := range v[i : i+width] {
			r = r<<8 | rune(c)
		}
		first, last := i == 0, i+width == len(v)
		var buf [utf8.UTFMax]byte
		for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
			dst = escape(dst, c, first, last)
		}
	}
	return dst
}

// escape appends a byte of a value (RFC 2253 2.4).
func escape(dst []byte, c byte, first, last bool) []byte {
	switch c {
	case '"', '+', ',', ';', '<', '>', '\\':
		return append(dst, '\\', c)
	case ' ':
		if first || last {
			return append(dst, '\\', c)
		}
	case '#':
		if first && !last {
			return append(dst, '\\', c)
		}
	}
	if c < ' ' || c >= 0x7f {
		return append(dst, '\\', digits[c>>4], digits[c&15])
	}
	return append(dst, c)
}
