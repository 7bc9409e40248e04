package pattern

import "github.com/forebay-lb/forebay/proxy/internal/feature/sample"

// Method is a way of matching ("-m").
type Method string

// Methods.
const (
	Found Method = "found"
	Bool  Method = "bool"
	Int   Method = "int"
	IP    Method = "ip"
	Bin   Method = "bin"
	Len   Method = "len"
	Str   Method = "str"
	Beg   Method = "beg"
	Sub   Method = "sub"
	Dir   Method = "dir"
	Dom   Method = "dom"
	End   Method = "end"
	Reg   Method = "reg"
	// RegM is Reg of "map_regm", which shows by itself. Conditions do not have it.
	RegM Method = "regm"
)

// Valid tells whether m is a method.
func (m Method) Valid() bool {
	switch m {
	case Found, Bool, Int, IP, Bin, Len, Str, Beg, Sub, Dir, Dom, End, Reg:
		return true
	}
	return false
}

// Default is the method for values of a type when nothing else is said, if there
// is one.
func Default(t sample.Type) (Method, bool) {
	switch t {
	case sample.Bool:
		return Bool, true
	case sample.Int:
		return Int, true
	case sample.Addr:
		return IP, true
	case sample.Str, sample.Meth:
		return Str, true
	}
	return "", false
}

// shape is what a key becomes to be looked up. Each shape that a list is matched by
// has an index of its own.
type shape uint8

const (
	asText shape = iota // as it is: every list has this index, by which entries are changed
	asFolded
	asDir // without delimiters around it
	asDirFolded
	asDom
	asDomFolded
	asNumber
	asAddr
	asBytes
	asRegexp
	asRegexpFolded
	shapes
	shapeless // the method looks at no pattern
)

func shapeOf(m Method, fold bool) shape {
	s := asText
	switch m {
	case Found, Bool:
		return shapeless
	case Int, Len:
		return asNumber
	case IP:
		return asAddr
	case Bin:
		return asBytes
	case Dir:
		s = asDir
	case Dom:
		s = asDom
	case Reg, RegM:
		s = asRegexp
	}
	if fold {
		s++
	}
	return s
}

// delims are what parts of a text stand between.
func (s shape) delims() string {
	switch s {
	case asDir, asDirFolded:
		return "/?"
	case asDom, asDomFolded:
		return "/?.:"
	}
	return ""
}

func (s shape) folded() bool {
	switch s {
	case asFolded, asDirFolded, asDomFolded, asRegexpFolded:
		return true
	}
	return false
}

// InTree tells whether HAProxy keeps keys of the method in a tree, as "get map"
// shows.
func (m Method) InTree(fold bool) bool { return m == IP || (m == Str || m == Beg) && !fold }
