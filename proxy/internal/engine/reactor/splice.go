package reactor

import (
	"io"
	"syscall"
)

// PipeSize is the size in bytes asked for each pipe that data is spliced
// through.
const PipeSize = 1 << 20

type pipe struct{ r, w, n int }

func (r *Reactor) closePipe(p *pipe) {
	r.Sys.Close(p.r)
	r.Sys.Close(p.w)
}

// Splice moves n bytes (negative: until the end) from src to dst inside the
// kernel, waiting as needed. rto and wto are the longest times without progress
// in nanoseconds on either side (0: none); a negative rto makes it return when
// src has nothing more for now. It returns what reached dst, what was read of src
// and did not, and from which side an error came; the end of data is io.EOF of src.
func Splice(dst, src *FD, n int64, rto, wto int64) (moved, lost int64, rerr, werr error) {
	r := src.r
	if r == nil || dst.r == nil {
		return 0, 0, ErrClosed, nil
	}
	p, ok := r.pipes.get()
	if !ok {
		pr, pw, e := r.Sys.Pipe(PipeSize)
		if e != 0 {
			return 0, 0, e, nil
		}
		p = &pipe{r: pr, w: pw}
	}
	r.pipes.lent++
	defer func() {
		r.pipes.lent--
		if p.n == 0 {
			r.pipes.put(p)
		} else {
			lost = int64(p.n)
			r.closePipe(p) // holds bytes of this stream
		}
	}()
	for n != 0 || p.n > 0 {
		more := false
		for n != 0 && p.n == 0 {
			want := PipeSize
			if n > 0 && n < int64(want) {
				want = int(n)
			}
			if src.r == nil {
				return moved, 0, ErrClosed, nil
			}
			if src.state&EventRead != 0 {
				k, e := r.Sys.Splice(int(src.fd), p.w, want, false)
				if e == 0 && k == 0 {
					return moved, 0, io.EOF, nil
				}
				if e == 0 {
					p.n += k
					if n > 0 {
						n -= int64(k)
					}
					more = k == PipeSize && n != 0 // else that was all there is for now
					break
				}
				if e == syscall.EINTR {
					continue
				}
				if e != syscall.EAGAIN {
					return moved, 0, e, nil
				}
				src.state &^= EventRead
			}
			if rto < 0 {
				return moved, 0, nil, nil
			}
			if err := src.WaitRead(src.deadline(rto)); err != nil {
				return moved, 0, err, nil
			}
		}
		for p.n > 0 {
			if dst.r == nil {
				return moved, 0, nil, ErrClosed
			}
			if dst.state&EventWrite != 0 {
				more := more && !dst.prompt
				k, e := r.Sys.Splice(p.r, int(dst.fd), p.n, more)
				if e == 0 && k > 0 {
					dst.promise(more && k == p.n)
					p.n -= k
					moved += int64(k)
					continue
				}
				if e == syscall.EINTR {
					continue
				}
				if e != syscall.EAGAIN {
					return moved, 0, nil, e
				}
				dst.state &^= EventWrite
			}
			if err := dst.WaitWrite(dst.deadline(wto)); err != nil {
				return moved, 0, nil, err
			}
		}
	}
	return moved, 0, nil, nil
}
