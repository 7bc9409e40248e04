package http2

// decoder is the state of a connection's compressed heads (RFC 7541) in one
// direction.
type decoder struct {
	table
	limit uint32 // of the table's size: what we have announced
}

func (d *decoder) init(limit uint32) {
	*d = decoder{table: table{max: defaultTable}, limit: max(limit, defaultTable)}
}

// Reasons of a COMPRESSION_ERROR.
const (
	badIndex    = "field index that does not exist"
	badInt      = "invalid integer in a field block"
	badHuffman  = "invalid Huffman code in a field block"
	badEnd      = "field block ends within a field"
	badSize     = "dynamic table size above the limit"
	badSizeTime = "dynamic table size update after a field"
)

// decode reads a field block and gives its fields to h. It returns what is wrong
// with the compression, which spoils it for the whole connection, or "".
//
// What is wrong with the message is noted in h, and the rest is decoded for the
// dynamic table's sake, without keeping it.
func (d *decoder) decode(block []byte, h *head) string {
	mayResize := 2 // RFC 7541 4.2: two updates tell of a smallest and a last size
	for len(block) > 0 {
		b := block[0]
		if b&0xe0 == 0x20 {
			n, rest, ok := readInt(block, 5)
			switch {
			case mayResize <= 0:
				return badSizeTime
			case !ok:
				return badInt
			case n > d.limit:
				return badSize
			}
			mayResize--
			d.resize(n)
			block = rest
			continue
		}
		mayResize = 0
		if h.dropping() {
			h.buf = h.buf[:h.kept]
		}
		start := len(h.buf)
		if b&0x80 != 0 { // an indexed field
			n, rest, ok := readInt(block, 7)
			if !ok {
				return badInt
			}
			block = rest
			switch {
			case n == 0 || n > staticLen+d.count:
				return badIndex
			case h.dropping():
			case n <= staticLen:
				f := &static[n]
				h.buf = append(append(h.buf, f.name...), f.value...)
				h.add(start, len(f.name), f.class)
			default:
				e := d.at(n - staticLen - 1)
				size := uint32(e.name) + uint32(e.value)
				h.buf = d.appendBytes(h.buf, uint32(e.off), size)
				h.add(start, int(e.name), e.class)
			}
			continue
		}

		// A literal: with indexing, or without.
		prefix := uint(4)
		if b&0x40 != 0 {
			prefix = 6
		}
		n, rest, ok := readInt(block, prefix)
		if !ok {
			return badInt
		}
		block = rest
		var c class
		switch {
		case n > staticLen+d.count:
			return badIndex
		case n > staticLen:
			e := d.at(n - staticLen - 1)
			if !h.dropping() || prefix == 6 {
				h.buf = d.appendBytes(h.buf, uint32(e.off), uint32(e.name))
			}
			c = e.class &^ badValue
		case n > 0:
			h.buf = append(h.buf, static[n].name...)
			c = static[n].class
		default:
			var why string
			if h.buf, block, why = readString(h.buf, block); why != "" {
				return why
			}
			c = classify(h.buf[start:])
		}
		name := len(h.buf) - start
		var why string
		if h.buf, block, why = readString(h.buf, block); why != "" {
			return why
		}
		c |= classifyValue(h.buf[start+name:])
		if prefix == 6 {
			d.add(h.buf[start:start+name], h.buf[start+name:], c)
		}
		if !h.dropping() {
			h.add(start, name, c)
		}
	}
	return ""
}

// readInt reads an integer (RFC 7541 5.1) of less than 2^31.
func readInt(b []byte, prefix uint) (n uint32, rest []byte, ok bool) {
	n = uint32(b[0]) & (1<<prefix - 1)
	b = b[1:]
	if n < 1<<prefix-1 {
		return n, b, true
	}
	for shift := uint(0); len(b) > 0 && shift <= 21; shift += 7 {
		c := b[0]
		b = b[1:]
		n += uint32(c&0x7f) << shift
		if c < 0x80 {
			return n, b, true
		}
	}
	return 0, nil, false
}

// readString appends a string literal (RFC 7541 5.2).
func readString(dst, b []byte) (out, rest []byte, why string) {
	if len(b) == 0 {
		return dst, nil, badEnd
	}
	huffman := b[0]&0x80 != 0
	n, b, ok := readInt(b, 7)
	switch {
	case !ok:
		return dst, nil, badInt
	case int(n) > len(b):
		return dst, nil, badEnd
	case !huffman:
		return append(dst, b[:n]...), b[n:], ""
	}
	if dst, ok = appendHuffman(dst, b[:n]); !ok {
		return dst, nil, badHuffman
	}
	return dst, b[n:], ""
}
