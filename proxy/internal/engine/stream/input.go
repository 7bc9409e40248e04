package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// input is what was read of a connection and not used yet: buf[r:w]. Below base
// lies the head of the message being handled, which must stay. The zero input
// has no buffer; it takes one when something is read.
type input struct {
	buf        []byte
	base, r, w int
}

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }
func (in *input) empty() bool   { return in.r == in.w }

// space gives room to read into, nil when there is none.
func (in *input) space(r *reactor.Reactor) []byte {
	if in.buf == nil {
		in.buf = r.Buffer()
	}
	if in.r == in.w {
		in.r, in.w = in.base, in.base
	}
	return in.buf[in.w:]
}

// read adds what there is to the buffer. 0, nil: nothing for now, or no room.
func (in *input) read(fd *transport.Conn) (int, error) {
	if !fd.CanRead() {
		return 0, nil
	}
	n, err := fd.TryRead(in.space(fd.Reactor()))
	in.w += n
	return n, err
}

// compact moves what is there to the front of the buffer.
func (in *input) compact() {
	in.base = 0
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
}

// shift makes room behind what is there, without touching what is below base. It
// tells whether there is some.
func (in *input) shift() bool {
	if in.w == len(in.buf) && in.r > in.base {
		in.w = in.base + copy(in.buf[in.base:], in.buf[in.r:in.w])
		in.r = in.base
	}
	return in.w < len(in.buf)
}

// release gives the buffer back.
func (in *input) release(r *reactor.Reactor) {
	if in.buf != nil {
		if len(in.buf) == reactor.BigBuffer {
			r.ReleaseBig(in.buf)
		} else {
			r.Release(in.buf)
		}
	}
	*in = input{}
}
