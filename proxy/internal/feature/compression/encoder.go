package compression

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"

	"github.com/klauspost/compress/flate"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Gears of an encoder. Level 1 compresses each slice by itself, and keeps nothing
// between them, so that a stream that pauses costs no memory; higher levels have a
// window, see [window]. Each slice ends on a byte and is flushed: the gear may change
// between any two.
const (
	stored = 0
	fast   = 1
)

// encoder makes the compressed form of a body from its slices.
type encoder struct {
	form   form
	begun  bool
	level  int // of the next slice
	most   int // tune.comp.maxlevel, or less if there is no memory for it
	sum    uint32
	size   uint32
	window *window // while level is one that needs it
	dst    appender
}

// appender is a slice that is written to.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// begin makes e ready for a body, with no window yet.
func (e *encoder) begin(f form, level int) {
	*e = encoder{form: f, level: level, most: level}
	if f == asZlib {
		e.sum = 1
	}
}

// add appends the form of a slice to dst, and what ends the body if it is the last.
func (e *encoder) add(dst, p []byte, last bool) []byte {
	if !e.begun {
		e.begun = true
		switch e.form {
		case asGzip:
			dst = append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255)
		case asZlib:
			dst = append(dst, 0x78, 0x01)
		}
	}
	switch e.form {
	case asGzip:
		e.sum = crc32.Update(e.sum, crc32.IEEETable, p)
		e.size += uint32(len(p))
	case asZlib:
		e.sum = adler(e.sum, p)
	}
	switch {
	case len(p) == 0 && last:
		dst = append(dst, 1, 0, 0, 0xff, 0xff)
	case len(p) == 0:
	case e.level == stored:
		dst = store(dst, p, last)
	case e.level == fast:
		e.dst.b = dst
		_ = flate.StatelessDeflate(&e.dst, p, last, nil) // the appender does not fail
		dst, e.dst.b = e.dst.b, nil
	default:
		dst = e.window.add(dst, p, last)
	}
	if last {
		switch e.form {
		case asGzip:
			dst = binary.LittleEndian.AppendUint32(dst, e.sum)
			dst = binary.LittleEndian.AppendUint32(dst, e.size)
		case asZlib:
			dst = binary.BigEndian.AppendUint32(dst, e.sum)
		}
	}
	return dst
}

// store appends blocks that are not compressed.
func store(dst, p []byte, last bool) []byte {
	for len(p) > 0 {
		n := min(len(p), 0xffff)
		final := byte(0)
		if last && n == len(p) {
			final = 1
		}
		dst = append(dst, final, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		dst = append(dst, p[:n]...)
		p = p[n:]
	}
	return dst
}

// adler updates a sum of RFC 1950, which the library begins anew only.
func adler(sum uint32, p []byte) uint32 {
	const mod = 65521
	// The sum of both parts follows from the sums of each.
	next := adler32.Checksum(p)
	n := uint32(len(p) % mod)
	a1, b1, a2, b2 := sum&0xffff, sum>>16, next&0xffff, next>>16
	a := (a1 + a2 + mod - 1) % mod
	b := (b1 + b2 + uint32(uint64(n)*uint64(a1+mod-1)%mod)) % mod
	return b<<16 | a
}

// shift has the next slices be compressed with one level more or less, between
// nothing and the most there may be. A window that is left is given back: what
// passed meanwhile is missing in it.
func (e *encoder) shift(st *stream.Stream, less bool) {
	switch {
	case less && e.level > fast:
		e.level = fast
		e.leave(st)
	case less:
		e.level = stored
	case e.level == stored:
		e.level = fast
	case e.level < e.most:
		if e.window = borrow(st, e.most); e.window != nil {
			e.level = e.most
		}
	}
}

// leave gives the window back.
func (e *encoder) leave(st *stream.Stream) {
	if e.window != nil {
		e.window.giveBack(st)
		e.window = nil
	}
}
