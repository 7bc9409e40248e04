package ring

import (
	"io"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// retry is how long a server is left alone when a connection to it has ended or
// could not be made.
const retry = time.Second

// batch is how much is sent at once, in bytes; one event may go beyond it.
const batch = 16 << 10

// settings are what a configuration says of a server.
type settings struct {
	server        *stream.ServerSettings
	connect, send time.Duration // 0: for ever
	counted       bool          // RFC 6587 octet counting
}

// sender forwards a ring to one of its servers, over one connection at a time. It
// lives on one reactor.
type sender struct {
	settings
	w       *stream.Worker
	r       *reactor.Reactor
	b       *Buffer
	from    *sender // whose place it takes, until it begins
	started bool

	reader  *reader
	conn    transport.Conn
	co      *reactor.Coro
	more    reactor.Waiter
	stopped bool
	out     []byte
	events  []sent // of out
	event   []byte
}

// sent is an event in what is being sent.
type sent struct {
	end int  // in out
	m   mark // of the event
}

func newSender(w *stream.Worker, r *reactor.Reactor, b *Buffer, s settings, from *sender) *sender {
	x := &sender{settings: s, w: w, r: r, b: b, from: from}
	x.reader = b.read(r, false, func() { x.more.Notify() })
	x.reader.counts = true
	return x
}

// begin starts the coroutine. What an earlier sender has sent is not sent again.
func (x *sender) begin() {
	if from := x.from; from != nil {
		x.from = nil
		from.r.Post(func() { // its stop was posted before
			next := from.reader.next
			x.r.Post(func() {
				if !x.stopped {
					x.reader.back(next)
					x.r.Start(x)
				}
			})
		})
		return
	}
	if !x.stopped {
		x.r.Start(x)
	}
}

// stop ends the sender for good.
func (x *sender) stop() {
	x.stopped = true
	x.reader.close()
	if x.co != nil {
		x.co.Kill()
	}
}

// Readable is not called: a coroutine always waits, or nothing matters.
func (x *sender) Readable() {}

// Run keeps a connection to the server, in a coroutine.
func (x *sender) Run() {
	x.co = x.r.Current()
	for !x.stopped {
		err := x.connection()
		x.conn.Close()
		if err == reactor.ErrKilled || x.stopped || x.r.Sleep(int64(retry)) != nil {
			break
		}
	}
	x.co = nil
}

// Panicked goes on after a panic.
func (x *sender) Panicked() {
	x.co = nil
	x.conn.Abort()
	if !x.stopped {
		x.r.Start(x)
	}
}

// connection makes one connection and sends until it ends.
func (x *sender) connection() error {
	set := x.server
	deadline := x.r.After(x.connect)
	if err := stream.Connect(x.r, &x.conn.FD, x, set.Addr, set.Source, deadline); err != nil {
		return err
	}
	if t := stream.UplinkOf(set).TLS; t != nil {
		scope := stream.Scope{W: x.w, R: x.r, Snap: x.w.Snapshot()}
		x.conn.Client(t.Config(t.Name(&scope)))
		if err := x.conn.Handshake(deadline); err != nil {
			return err
		}
	}
	for handled := 0; ; {
		n := x.fill()
		if n == 0 {
			if err := x.idle(); err != nil {
				return err
			}
			continue
		}
		if err := x.flush(); err != nil {
			return err
		}
		if handled += n; set.MaxReuse >= 0 && handled > set.MaxReuse {
			return nil
		}
	}
}

// fill takes events from the ring, in the form in which they are sent, and counts
// them.
func (x *sender) fill() int {
	x.out, x.events = x.out[:0], x.events[:0]
	for len(x.out) < batch {
		var ok bool
		x.event, ok = x.reader.append(x.event[:0])
		if !ok {
			break
		}
		if x.counted {
			x.out = strconv.AppendInt(x.out, int64(len(x.event)), 10)
			x.out = append(append(x.out, ' '), x.event...)
		} else {
			x.out = append(append(x.out, x.event...), '\n')
		}
		m := x.reader.next
		x.events = append(x.events, sent{len(x.out), mark{m.at - uint64(prefix+len(x.event)), m.n - 1}})
	}
	return len(x.events)
}

// flush sends what fill took. What the kernel has not taken when it fails is sent
// again over the next connection, from the event on that was not taken as a whole.
func (x *sender) flush() error {
	written := 0
	err := func() error {
		for {
			n, err := x.conn.TryWrite(x.out[written:], 0)
			written += n
			if err != nil {
				return err
			}
			done := false
			if written == len(x.out) {
				if done, err = x.conn.Flushed(); done || err != nil {
					return err
				}
			}
			if err := x.conn.WaitWrite(x.r.After(x.send)); err != nil {
				return err
			}
		}
	}()
	if err != nil {
		for _, e := range x.events {
			if e.end > written {
				x.reader.back(e.m)
				break
			}
		}
	}
	return err
}

// idle waits for something to send. A server that closes is noticed; what it says
// is of no interest.
func (x *sender) idle() error {
	x.conn.Watch(x.co)
	defer x.conn.Watch(nil)
	for x.reader.sleep() {
		switch n, err := x.conn.TryRead(x.r.Scratch); {
		case err != nil:
			return err
		case x.conn.HungUp():
			return io.EOF
		case n > 0:
			continue
		}
		if err := x.more.Wait(x.r, 0); err != nil {
			return err
		}
	}
	return nil
}
