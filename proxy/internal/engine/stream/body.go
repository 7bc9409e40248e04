package stream

import (
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// body is a message's body as it is received over HTTP/1.
type body struct {
	framing  message.Framing
	left     int64 // of Length
	done     bool
	chunks   http1.Chunks
	trailers []message.Field
	fd       *transport.Conn
	in       *input
	leg      *leg // it comes over HTTP/2
}

func (b *body) start(h *message.Header, fd *transport.Conn, in *input) {
	b.framing, b.left, b.fd, b.in = h.Framing, h.ContentLength, fd, in
	b.done, b.leg = false, nil
	if b.framing == message.Chunked {
		b.chunks = http1.Chunks{}
		b.trailers = b.trailers[:0]
	}
	if b.framing == message.NoBody || b.framing == message.Length && b.left <= 0 {
		b.done = true
	}
}

// startH2 is start for a body that comes over HTTP/2, which knows its end by
// itself.
func (b *body) startH2(h *message.Header, l *leg) {
	b.framing, b.left, b.leg = h.Framing, h.ContentLength, l
	b.fd, b.in = l.m.conn, &noInput
	b.trailers = b.trailers[:0]
	if b.done = l.s.RecvEnd(); b.done {
		b.trailers = append(b.trailers, l.s.Trailers...)
	}
}

// noInput stands for the buffer that a body over HTTP/2 has not.
var noInput input

// ready tells whether more of the body is at hand: what has come, and was not
// taken yet.
func (b *body) ready() bool {
	if b.leg != nil {
		return b.leg.s.Queued() > b.leg.owed
	}
	return !b.in.empty() || b.fd.FD.CanRead()
}

// take gives body bytes that are in the buffer, which are good until the next
// call that reads. It sets done at the end of the body.
func (b *body) take() ([]byte, error) {
	if b.done {
		return nil, nil
	}
	if b.leg != nil {
		p, last, err := b.leg.take()
		if last {
			b.done = true
			b.trailers = append(b.trailers[:0], b.leg.s.Trailers...)
		}
		return p, err
	}
	buf := b.in.bytes()
	switch b.framing {
	case message.Length:
		if int64(len(buf)) > b.left {
			buf = buf[:b.left]
		}
		b.left -= int64(len(buf))
		b.done = b.left == 0
		b.in.r += len(buf)
		return buf, nil
	case message.Chunked:
		if len(buf) == 0 {
			return nil, nil
		}
		data, n, done, err := b.chunks.Next(buf, &b.trailers)
		b.in.r += n
		b.done = done
		return data, err
	}
	b.in.r = b.in.w
	return buf, nil
}

// more reads more of the connection, waiting until the deadline. io.EOF is the
// end of a body of framing Close, and an error for the others.
func (b *body) more(deadline int64) error {
	if b.leg != nil {
		return b.leg.more(deadline)
	}
	for {
		if len(b.in.buf) != reactor.BigBuffer && b.in.empty() && (b.left < 0 || b.left > int64(len(b.in.buf))) {
			b.grow()
		}
		if !b.in.empty() && !b.in.shift() {
			return errTrailers // nothing else needs to be there as a whole
		}
		n, err := b.in.read(b.fd)
		if n > 0 {
			return nil
		}
		if err == io.EOF && b.framing == message.Close {
			b.done = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.fd.WaitRead(deadline); err != nil {
			return err
		}
	}
}

var errTrailers = &http1.Error{Status: 400, Reason: "too long a trailer section"}

// grow swaps a drained buffer that holds no head for a big one: bulk data goes
// in big pieces.
func (b *body) grow() {
	if b.in.base != 0 || b.in.buf == nil {
		return
	}
	r := b.fd.Reactor()
	if r.Exhausted() {
		return
	}
	b.in.release(r)
	b.in.buf = r.Big()
}

// spliceFrom is the number of bytes from which a body goes through splice(2)
// instead of a buffer.
const spliceFrom = 64 << 10

// sink is where a body goes, as HTTP/1 framing.
type sink struct {
	fd      *transport.Conn
	leg     *leg // it goes over HTTP/2
	chunked bool
	timeout int64
	sent    int64 // bytes written, framing included
}

// pump moves b to k until the end. rto is the longest time in nanoseconds
// without data. It returns on which side it failed, if at all.
func (st *Stream) pump(b *body, k *sink, rto int64) (rerr, werr error) {
	if k.leg != nil {
		return st.pumpH2(b, k, rto)
	}
	r := st.R
	noSplice := false
	for {
		// Everything that is in the buffer goes out in one write.
		out := r.Scratch[:0]
		flush := func(flags int) error {
			n := len(out)
			err := st.write(k.fd, out, nil, flags, k.timeout)
			k.sent += int64(n)
			out = r.Scratch[:0]
			return err
		}
		for !b.done {
			data, err := b.take()
			if err != nil {
				if len(out) > 0 {
					return err, flush(0) // what came before it is still good
				}
				return err, nil
			}
			if len(data) == 0 {
				break
			}
			if !k.chunked {
				if len(out)+len(data) <= cap(out) && len(data) < 4096 {
					out = append(out, data...)
					continue
				}
				if len(out) > 0 {
					if err := flush(msgMore); err != nil {
						return nil, err
					}
				}
				if err := st.write(k.fd, nil, data, 0, k.timeout); err != nil {
					return nil, err
				}
				k.sent += int64(len(data))
				continue
			}
			for len(data) > 0 {
				// "hex\r\n" data "\r\n"; pieces as large as fit
				room := cap(out) - len(out) - 32
				if room < 512 && len(out) > 0 {
					if err := flush(msgMore); err != nil {
						return nil, err
					}
					room = cap(out) - 32
				}
				n := min(room, len(data))
				out = http1.AppendChunkHeader(out, int64(n))
				out = append(out, data[:n]...)
				out = append(out, '\r', '\n')
				data = data[n:]
			}
		}
		if b.done {
			if k.chunked {
				if len(b.trailers) == 0 {
					out = append(out, http1.ChunkEnd...)
				} else {
					out = http1.AppendTrailers(out, b.trailers)
				}
			}
			if len(out) > 0 {
				return nil, flush(0)
			}
			return nil, nil
		}
		if len(out) > 0 {
			if err := flush(0); err != nil {
				return nil, err
			}
		}
		if n := st.spliceable(b, k); n != 0 && !noSplice {
			moved, lost, rerr, werr := reactor.Splice(&k.fd.FD, &b.fd.FD, n, rto, k.timeout)
			if moved == 0 && outOfPipes(rerr) {
				noSplice = true
				continue
			}
			k.sent += moved
			st.W.Counters[r.Index].SplicedBytes.Add(moved)
			if n > 0 {
				b.left -= moved + lost
				if b.left == 0 {
					b.done = true
				}
			} else if rerr == io.EOF {
				b.done, rerr = true, nil
			}
			if rerr != nil || werr != nil {
				return rerr, werr
			}
			continue
		}
		if err := b.more(deadlineIn(r, rto)); err != nil {
			return err, nil
		}
	}
}

// spliceable tells how many bytes (-1: until the end) may bypass user space, 0 if
// none may.
func (st *Stream) spliceable(b *body, k *sink) int64 {
	if b.leg != nil || !b.in.empty() || k.chunked || b.fd.TLS != nil || k.fd.TLS != nil || !st.maySplice(b.fd == &st.Sess.Conn) {
		return 0
	}
	switch b.framing {
	case message.Length:
		if b.left >= spliceFrom {
			return b.left
		}
	case message.Close:
		return -1
	}
	return 0
}

// maySplice tells whether a direction may bypass user space. As in HAProxy either
// proxy can ask for it, but nobody has to: only "no option splice-auto", or that of
// the direction, is against it.
func (st *Stream) maySplice(request bool) bool {
	on, off := st.FE.Options|st.BE.Options, st.FE.NoOptions|st.BE.NoOptions
	if request {
		return !st.Snap.Global.NoSplice && (on&(SpliceAuto|SpliceRequest) != 0 || off&(SpliceAuto|SpliceRequest) == 0)
	}
	return !st.Snap.Global.NoSplice && (on&(SpliceAuto|SpliceResponse) != 0 || off&(SpliceAuto|SpliceResponse) == 0)
}

// outOfPipes tells whether splicing failed for want of a pipe: copying works as
// well.
func outOfPipes(err error) bool {
	return err == syscall.EMFILE || err == syscall.ENFILE || err == syscall.ENOMEM
}

func deadlineIn(r *reactor.Reactor, ns int64) int64 {
	if ns <= 0 {
		return 0
	}
	return r.Now() + ns
}
