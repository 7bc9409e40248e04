package http2

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"golang.org/x/net/http2/hpack"
)

// class is what a field's name means to the protocol. It is found out once, when
// the name is first decoded, and remembered with entries of the tables.
type class uint8

const (
	plain class = iota
	method
	scheme
	authority
	path
	protocol
	status
	host
	cookie
	contentLength
	te
	expect
	hopByHop // forbidden in HTTP/2
	unknownPseudo
	badName
	// badValue is added when the value has forbidden characters.
	badValue class = 0x80
)

// classify looks at a name (RFC 9113 8.2, 8.3).
func classify(name []byte) class {
	if len(name) > 0 && name[0] == ':' {
		switch string(name) {
		case ":method":
			return method
		case ":scheme":
			return scheme
		case ":authority":
			return authority
		case ":path":
			return path
		case ":protocol":
			return protocol
		case ":status":
			return status
		}
		return unknownPseudo
	}
	switch string(name) {
	case "host":
		return host
	case "cookie":
		return cookie
	case "content-length":
		return contentLength
	case "te":
		return te
	case "expect":
		return expect
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return hopByHop
	}
	if !http1.ValidName(name) {
		return badName
	}
	return plain
}

func classifyValue(v []byte) class {
	if http1.ValidValue(v) {
		return 0
	}
	return badValue
}

// staticField is an entry of the static table (RFC 7541 appendix A).
type staticField struct {
	name, value []byte
	class       class
}

const staticLen = 61

var static = func() (t [staticLen + 1]staticField) {
	d := hpack.NewDecoder(defaultTable, nil)
	for i := 1; i <= staticLen; i++ {
		f, err := d.DecodeFull([]byte{0x80 | byte(i)})
		if err != nil {
			panic(err) // the library has no static table
		}
		t[i] = staticField{[]byte(f[0].Name), []byte(f[0].Value), classify([]byte(f[0].Name))}
	}
	return t
}()

// byName finds the static table's entry of a name: open addressing, 0 is empty.
var byName = func() (t [128]uint8) {
	for i := staticLen; i > 0; i-- {
		h := nameHash(static[i].name)
		for t[h] != 0 && string(static[t[h]].name) != string(static[i].name) {
			h = (h + 1) % 128
		}
		t[h] = uint8(i) // of several the first
	}
	return t
}()

func nameHash(n []byte) uint8 {
	return (uint8(len(n))*41 + n[0]*3 + n[len(n)-1]*7 + n[len(n)/2]*5) % 128
}

// staticName is the index of a name in the static table, 0 if it is not there.
func staticName(name []byte) uint8 {
	if len(name) == 0 {
		return 0
	}
	for h := nameHash(name); ; h = (h + 1) % 128 {
		i := byName[h]
		if i == 0 || string(static[i].name) == string(name) {
			return i
		}
	}
}

// entryOverhead is what an entry counts beyond its bytes (RFC 7541 4.1).
const entryOverhead = 32

// entry is a field of a dynamic table: the name's bytes and the value's follow
// each other in the ring from off on.
type entry struct {
	off, name, value uint16
	class            class
}

// table is the dynamic table of a decoder (RFC 7541 2.3.2). Its memory grows
// with what is in it.
type table struct {
	bytes   []byte  // a ring; its length is a power of two
	entries []entry // a ring; its length is a power of two
	next    uint32  // where the next entry's bytes go
	first   uint32  // the oldest entry
	count   uint32
	size    uint32 // as RFC 7541 4.1 counts
	max     uint32 // of size: what the encoder uses
}

// at returns an entry: 0 is the latest.
func (t *table) at(i uint32) *entry {
	return &t.entries[(t.first+t.count-1-i)&uint32(len(t.entries)-1)]
}

// appendBytes appends n bytes of the ring from off on.
func (t *table) appendBytes(dst []byte, off, n uint32) []byte {
	off &= uint32(len(t.bytes) - 1)
	if end := off + n; end <= uint32(len(t.bytes)) {
		return append(dst, t.bytes[off:end]...)
	}
	dst = append(dst, t.bytes[off:]...)
	return append(dst, t.bytes[:n-(uint32(len(t.bytes))-off)]...)
}

// add puts a field in. What is too large for the table empties it.
func (t *table) add(name, value []byte, c class) {
	n := uint32(len(name) + len(value))
	if n > maxTable || n+entryOverhead > t.max {
		t.evict(0)
		return
	}
	t.evict(t.max - n - entryOverhead)
	used := t.size - entryOverhead*t.count
	if used+n > uint32(len(t.bytes)) {
		t.growBytes(used + n)
	}
	if t.count == uint32(len(t.entries)) {
		t.growEntries()
	}
	t.entries[(t.first+t.count)&uint32(len(t.entries)-1)] = entry{uint16(t.next), uint16(len(name)), uint16(len(value)), c}
	t.put(name)
	t.put(value)
	t.count++
	t.size += n + entryOverhead
}

func (t *table) put(b []byte) {
	if len(b) == 0 {
		return
	}
	n := copy(t.bytes[t.next:], b)
	copy(t.bytes, b[n:])
	t.next = (t.next + uint32(len(b))) & uint32(len(t.bytes)-1)
}

// evict removes the oldest entries until no more than size is used.
func (t *table) evict(size uint32) {
	for t.size > size {
		e := &t.entries[t.first&uint32(len(t.entries)-1)]
		t.size -= uint32(e.name) + uint32(e.value) + entryOverhead
		t.first++
		t.count--
	}
}

// resize is a change of the table's maximum size.
func (t *table) resize(size uint32) {
	t.max = size
	t.evict(size)
	if t.count == 0 {
		*t = table{max: size}
	}
}

func (t *table) growBytes(need uint32) {
	size := uint32(256)
	for size < need {
		size *= 2
	}
	b := make([]byte, 0, size)
	for i := range t.count {
		e := &t.entries[(t.first+i)&uint32(len(t.entries)-1)]
		off := uint32(len(b))
		b = t.appendBytes(b, uint32(e.off), uint32(e.name)+uint32(e.value))
		e.off = uint16(off)
	}
	t.next = uint32(len(b)) & (size - 1)
	t.bytes = b[:size]
}

func (t *table) growEntries() {
	b := make([]entry, max(8, 2*len(t.entries)))
	for i := range t.count {
		b[i] = t.entries[(t.first+i)&uint32(len(t.entries)-1)]
	}
	t.entries, t.first = b, 0
}
