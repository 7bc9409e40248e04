package stream

import (
	"io"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

func init() {
	settings(nil, Word{Name: "nosplice", InPlace: true, Set: func(g *Global, _ string) { g.NoSplice = true }})
}

// transfer is the way of one direction's data: from its source to its sink,
// whatever the protocols, the framing and the direction.
type transfer struct {
	st   *Stream
	src  Source // nil: there is nothing
	dst  sink
	done bool  // all was sent
	rerr error // of the source
	werr error // of the sink
}

// failed tells whether the transfer came to nothing.
func (t *transfer) failed() bool { return t.rerr != nil || t.werr != nil }

// first sends the head that the sink holds, with what is at hand of the data.
func (t *transfer) first() {
	var p []byte
	last := true
	if t.src != nil {
		p, last, t.rerr = t.src.Next(everything)
	}
	if t.send(p, last); t.werr == nil && !last {
		t.werr = t.dst.Flush(t.rerr == nil && t.src.Ready())
	}
}

// send passes data on.
func (t *transfer) send(p []byte, last bool) {
	if len(p) == 0 && !last {
		return
	}
	var trailers []message.Field
	if last && t.src != nil {
		trailers = t.src.Trailers()
	}
	t.werr = t.dst.Send(p, last, trailers)
	t.done = last && t.werr == nil
}

// run moves all that there is until the end, or until an error.
func (t *transfer) run() {
	splice := t.maySplice()
	if src, dst := t.direct(); src != nil && src.framing == message.Tunnel && dst.framing == message.Tunnel {
		src.relay = t
	}
	for !t.done && !t.failed() {
		if splice {
			if n := t.src.(*h1Source).spliceable(); n != 0 {
				splice = t.splice(n)
				continue
			}
		}
		p, last, err := t.src.Next(everything)
		if t.send(p, last); t.werr != nil || t.done || len(p) > 0 && err == nil {
			continue // more may be at hand: small pieces go together
		}
		if t.werr = t.dst.Flush(false); t.werr == nil {
			if t.rerr = err; err == nil {
				t.rerr = t.src.Wait()
			}
		}
	}
}

// direct gives the ends if both are sockets in clear, and nothing stands in between.
func (t *transfer) direct() (*h1Source, *h1Sink) {
	src, from := t.src.(*h1Source)
	dst, to := t.dst.(*h1Sink)
	if !from || !to || src.conn.TLS != nil || dst.conn.TLS != nil {
		return nil, nil
	}
	return src, dst
}

// Relay is of [reactor.Relay]: what comes through a tunnel while its coroutine waits is
// passed on in its place, which is all that small messages need. The rest is left to
// it: what does not go at once, much data, and the end.
func (t *transfer) Relay() bool {
	st, src, dst := t.st, t.src.(*h1Source), t.dst.(*h1Sink)
	if src.conn.HungUp() || !dst.conn.CanWrite() || !src.in.empty() {
		return false
	}
	n, err := src.in.read(src.conn)
	full := src.in.w == len(src.in.buf)
	if n > 0 {
		n, t.werr = dst.conn.FD.TryWrite(src.in.bytes(), 0)
		src.in.r += n
		st.came(src.client, int64(n))
		st.moved(dst.client, int64(n))
	}
	src.err = err
	if err != nil || t.werr != nil || full || !src.in.empty() {
		if full {
			src.full++
		}
		return false
	}
	src.full = 0
	if src.in.base == 0 {
		src.in.release(st.R)
	}
	return true
}

// maySplice tells whether the data may bypass user space: if nothing stands in
// between, and the options do not say otherwise. As in HAProxy either proxy can
// ask for it, but nobody has to: only "no option splice-auto", or that of the
// direction, is against it.
func (t *transfer) maySplice() bool {
	src, dst := t.direct()
	if src == nil || dst.framing == message.Chunked {
		return false
	}
	st := t.st
	on, off := st.FE.Options|st.BE.Options, st.FE.NoOptions|st.BE.NoOptions
	if src.client {
		return !st.Snap.Global.NoSplice && (on&(SpliceAuto|SpliceRequest) != 0 || off&(SpliceAuto|SpliceRequest) == 0)
	}
	return !st.Snap.Global.NoSplice && (on&(SpliceAuto|SpliceResponse) != 0 || off&(SpliceAuto|SpliceResponse) == 0)
}

// splice moves n bytes (-1: until the end) past user space, and waits for more. It
// tells whether that can be done at all.
func (t *transfer) splice(n int64) bool {
	st, src, dst := t.st, t.src.(*h1Source), t.dst.(*h1Sink)
	if t.werr = dst.Flush(false); t.werr != nil {
		return true
	}
	moved, lost, rerr, werr := reactor.Splice(&dst.conn.FD, &src.conn.FD, n, -1, st.writeTimeout(dst.client))
	if moved > 0 {
		st.moved(dst.client, moved)
		st.W.Counters[st.R.Index].SplicedBytes.Add(moved)
	}
	st.came(src.client, moved+lost)
	src.spliced(moved + lost)
	switch {
	case outOfPipes(rerr):
		return false // copying works as well
	case rerr == io.EOF && n < 0:
		src.done = true
	default:
		t.rerr, t.werr = rerr, werr
	}
	if !t.failed() && !src.done {
		t.rerr = src.Wait()
	}
	return true
}

// outOfPipes tells whether splicing failed for want of a pipe.
func outOfPipes(err error) bool {
	return err == syscall.EMFILE || err == syscall.ENFILE || err == syscall.ENOMEM
}

// readTimeout is how long, in nanoseconds, data of one side may fail to come.
func (st *Stream) readTimeout(client bool) int64 {
	switch {
	case st.tunnelling:
		return st.tunnelTimeout(client)
	case client:
		return int64(st.FE.Timeouts.Client)
	}
	return int64(st.BE.Timeouts.Server)
}

// writeTimeout is how long, in nanoseconds, one side may take nothing of what is
// sent to it.
func (st *Stream) writeTimeout(client bool) int64 {
	if st.tunnelling {
		return st.tunnelTimeout(!client)
	}
	return st.readTimeout(client)
}

// readDeadline is until when data of one side has to come; 0: there is no hurry.
func (st *Stream) readDeadline(client bool) int64 {
	t, now := st.readTimeout(client), st.R.Now()
	switch {
	case t <= 0:
		return 0
	case st.tunnelling:
		return max(st.activity+t, now+1)
	}
	return now + t
}

func deadlineIn(r *reactor.Reactor, ns int64) int64 {
	if ns <= 0 {
		return 0
	}
	return r.Now() + ns
}
