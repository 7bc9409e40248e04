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
	p, err := r.lendPipe()
	if err != nil {
		return 0, 0, err, nil
	}
	defer func() {
		lost = int64(p.n)
		r.returnPipe(p)
	}()
	for n != 0 {
		want := PipeSize
		if n > 0 {
			want = int(min(n, PipeSize))
		}
		k, err := p.fill(src, want, rto)
		if k == 0 {
			return moved, 0, err, nil
		}
		if n > 0 {
			n -= int64(k)
		}
		// Less than was asked for was all that there is for now.
		m, err := p.drain(dst, k == PipeSize && n != 0, wto)
		moved += m
		if err != nil {
			return moved, 0, nil, err
		}
	}
	return moved, 0, nil, nil
}

// lendPipe gives an empty pipe.
func (r *Reactor) lendPipe() (*pipe, error) {
	p, ok := r.pipes.get()
	if !ok {
		pr, pw, e := r.Sys.Pipe(PipeSize)
		if e != 0 {
			return nil, e
		}
		p = &pipe{r: pr, w: pw}
	}
	r.pipes.lent++
	return p, nil
}

// returnPipe takes a pipe back. One that holds bytes of a stream is of no use to
// another.
func (r *Reactor) returnPipe(p *pipe) {
	r.pipes.lent--
	if p.n == 0 {
		r.pipes.put(p)
	} else {
		r.closePipe(p)
	}
}

// fill moves at most want bytes from src into the pipe, waiting for the first. It
// returns 0 and no error if it is not to wait, see [Splice].
func (p *pipe) fill(src *FD, want int, timeout int64) (int, error) {
	for src.r != nil {
		if src.state&EventRead != 0 {
			switch k, e := src.r.Sys.Splice(int(src.fd), p.w, want, false); {
			case e == 0 && k == 0:
				return 0, io.EOF
			case e == 0:
				p.n += k
				return k, nil
			case e == syscall.EINTR:
				continue
			case e != syscall.EAGAIN:
				return 0, e
			}
			src.state &^= EventRead
		}
		if timeout < 0 {
			return 0, nil
		}
		if err := src.WaitRead(src.deadline(timeout)); err != nil {
			return 0, err
		}
	}
	return 0, ErrClosed
}

// drain moves all that is in the pipe to dst. more says that further bytes follow
// at once. It returns how many reached dst.
func (p *pipe) drain(dst *FD, more bool, timeout int64) (moved int64, err error) {
	for p.n > 0 {
		if dst.r == nil {
			return moved, ErrClosed
		}
		if dst.state&EventWrite != 0 {
			more := more && !dst.prompt
			k, e := dst.r.Sys.Splice(p.r, int(dst.fd), p.n, more)
			if e == 0 && k > 0 {
				dst.promise(more && k == p.n)
				p.n -= k
				moved += int64(k)
				continue
			}
			if e == syscall.EINTR {
				continue
			}
			if e != 0 && e != syscall.EAGAIN {
				return moved, e
			}
			dst.state &^= EventWrite
		}
		if err := dst.WaitWrite(dst.deadline(timeout)); err != nil {
			return moved, err
		}
	}
	return moved, nil
}
