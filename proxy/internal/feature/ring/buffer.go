package ring

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Buffer is a live ring. Any thread may use it.
type Buffer struct {
	name  string
	place *place
	descr atomic.Pointer[string]

	mu      sync.Mutex
	buf     []byte // events, each behind its length, at offset modulo len(buf)
	oldest  mark
	end     mark // of what will be written next
	dropped uint64
	readers []*reader

	turns []turn // one a reactor
}

// mark is a position in what was ever written: bytes and events before it.
type mark struct{ at, n uint64 }

// turn is what one reactor has written during the present turn of its loop.
type turn struct {
	b []byte
	_ [64]byte
}

const (
	// prefix is the length of an event's length, in bytes.
	prefix = 4
	// turnSize is how much a reactor gathers before it writes, in bytes.
	turnSize = 32 << 10
)

func newBuffer(p *place, name string, size int) *Buffer {
	b := &Buffer{name: name, place: p, buf: make([]byte, size), turns: make([]turn, len(p.turns))}
	b.descr.Store(&b.name)
	return b
}

// longest is the longest event that there is room for in a ring of a size.
func longest(size int) int { return size - prefix }

// add writes an event of reactor r.
func (b *Buffer) add(r *reactor.Reactor, event []byte) {
	t := &b.turns[r.Index]
	if len(t.b) == 0 {
		b.place.written(r, b)
	}
	t.b = binary.BigEndian.AppendUint32(t.b, uint32(len(event)))
	t.b = append(t.b, event...)
	if len(t.b) > turnSize {
		b.flush(r)
	}
}

// flush writes what reactor r has gathered.
func (b *Buffer) flush(r *reactor.Reactor) {
	t := &b.turns[r.Index]
	b.mu.Lock()
	for rest := t.b; len(rest) > 0; {
		n := prefix + int(binary.BigEndian.Uint32(rest))
		b.write(rest[:n])
		rest = rest[n:]
	}
	for _, x := range b.readers {
		x.notify()
	}
	b.mu.Unlock()
	t.b = t.b[:0]
}

// write puts an event, with its length, in the place of the oldest ones. It is
// called with the lock held.
func (b *Buffer) write(event []byte) {
	if len(event) > len(b.buf) { // of a ring that has become smaller meanwhile
		event = append([]byte(nil), event[:len(b.buf)]...)
		binary.BigEndian.PutUint32(event, uint32(longest(len(b.buf))))
	}
	for b.end.at-b.oldest.at+uint64(len(event)) > uint64(len(b.buf)) {
		b.oldest.at += uint64(prefix + b.length(b.oldest.at))
		b.oldest.n++
	}
	at := int(b.end.at % uint64(len(b.buf)))
	copy(b.buf, event[copy(b.buf[at:], event):])
	b.end.at += uint64(len(event))
	b.end.n++
}

// length is the length of the event at an offset.
func (b *Buffer) length(at uint64) int {
	var p [prefix]byte
	b.copy(p[:], at)
	return int(binary.BigEndian.Uint32(p[:]))
}

func (b *Buffer) copy(to []byte, at uint64) {
	n := copy(to, b.buf[at%uint64(len(b.buf)):])
	copy(to[n:], b.buf)
}

// resize makes the ring of another size. The newest events that there is room for
// stay.
func (b *Buffer) resize(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if size == len(b.buf) {
		return
	}
	old := &Buffer{buf: b.buf, oldest: b.oldest, end: b.end}
	// Offsets go on, so that readers stay where they are.
	b.buf, b.end = make([]byte, size), b.oldest
	for m := old.oldest; m.at < old.end.at; {
		event := make([]byte, prefix+old.length(m.at))
		old.copy(event, m.at)
		if b.write(event); b.end.at != m.at+uint64(len(event)) { // it was cut
			b.oldest, b.end = mark{m.at + uint64(len(event)), m.n + 1}, mark{m.at + uint64(len(event)), m.n + 1}
		}
		m = mark{m.at + uint64(len(event)), m.n + 1}
	}
}

// lost counts the events that a server did not get because newer ones took their
// place.
func (b *Buffer) lost() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.dropped
	for _, x := range b.readers {
		if x.counts && b.oldest.n > x.next.n {
			n += b.oldest.n - x.next.n
		}
	}
	return n
}

// reader reads a ring from one reactor.
type reader struct {
	b      *Buffer
	next   mark
	r      *reactor.Reactor
	counts bool // what it misses counts as dropped
	wake   func()
	asleep bool // wake is to be called when there is something
}

// read begins to read at the oldest event, or at the end of what there is. wake is
// posted to r when something was written after [reader.sleep].
func (b *Buffer) read(r *reactor.Reactor, atEnd bool, wake func()) *reader {
	x := &reader{b: b, r: r, wake: wake}
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.next = b.oldest; atEnd {
		x.next = b.end
	}
	b.readers = append(b.readers, x)
	return x
}

// close ends the reading.
func (x *reader) close() {
	b := x.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers = slices.DeleteFunc(b.readers, func(o *reader) bool { return o == x })
}

// notify wakes the reader. It is called with the lock held.
func (x *reader) notify() {
	if x.asleep {
		x.asleep = false
		x.r.Post(x.wake)
	}
}

// append appends the next event, if there is one. What was overwritten before it
// could be read is skipped.
func (x *reader) append(to []byte) ([]byte, bool) {
	b := x.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.next.at < b.oldest.at {
		if x.counts {
			b.dropped += b.oldest.n - x.next.n
		}
		x.next = b.oldest
	}
	if x.next.at >= b.end.at {
		return to, false
	}
	n := b.length(x.next.at)
	at := len(to)
	for cap(to) < at+n {
		to = append(to[:cap(to)], 0)
	}
	to = to[:at+n]
	b.copy(to[at:], x.next.at+prefix)
	x.next = mark{x.next.at + uint64(prefix+n), x.next.n + 1}
	return to, true
}

// back makes the reader read again from an event on.
func (x *reader) back(to mark) {
	x.b.mu.Lock()
	defer x.b.mu.Unlock()
	x.next = to
}

// sleep tells whether there is nothing to read: then wake will be called.
func (x *reader) sleep() bool {
	x.b.mu.Lock()
	defer x.b.mu.Unlock()
	x.asleep = x.next.at >= x.b.end.at
	return x.asleep
}

// place is where the rings of one worker live.
type place struct {
	mu    sync.Mutex
	rings map[string]*Buffer
	sends map[sendKey]*sender
	next  int // reactor of the next server
	turns []dirty
}

// dirty are the rings that one reactor has written to during the present turn.
type dirty struct {
	list []*Buffer
	_    [64]byte
}

// prepare is called with the lock held: it makes the rings that there always are.
func (p *place) prepare(w *stream.Worker) {
	if p.rings != nil {
		return
	}
	p.turns = make([]dirty, len(w.Reactors))
	p.rings, p.sends = make(map[string]*Buffer), make(map[sendKey]*sender)
	for _, k := range builtin {
		b := newBuffer(p, k.name, w.Reactors[0].BufSize())
		b.descr.Store(&k.descr)
		p.rings[k.name] = b
	}
	for _, r := range w.Reactors {
		r.Post(func() { r.OnTurn(func() { p.flush(r) }) })
	}
}

// written notes that a ring has to be flushed at the end of the turn.
func (p *place) written(r *reactor.Reactor, b *Buffer) {
	t := &p.turns[r.Index]
	t.list = append(t.list, b)
}

func (p *place) flush(r *reactor.Reactor) {
	t := &p.turns[r.Index]
	for _, b := range t.list {
		b.flush(r)
	}
	t.list = t.list[:0]
}

// builtin are the rings that need no section: where traces and what is told to the
// control plane go. Nothing writes to them yet.
var builtin = []struct{ name, descr string }{{"buf0", "in-memory ring buffer"}, {"dpapi", "DPAPI ring buffer"}}
