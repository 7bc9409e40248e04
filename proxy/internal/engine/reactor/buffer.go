package reactor

// BigBuffer is the size in bytes of the buffers that bulk data is copied
// through where it cannot be spliced.
const BigBuffer = 256 << 10

// pool is a stack of things that are kept for the next who needs one. low is
// the smallest number that was in it since the last trim: that many were of no
// use.
type pool[T any] struct {
	free []T
	low  int
	lent int
}

func (p *pool[T]) get() (t T, ok bool) {
	n := len(p.free)
	if n == 0 {
		return t, false
	}
	t = p.free[n-1]
	var zero T
	p.free[n-1] = zero
	p.free = p.free[:n-1]
	p.low = min(p.low, n-1)
	return t, true
}

func (p *pool[T]) put(t T) { p.free = append(p.free, t) }

// trim removes half of what was not used since the last trim and returns it.
func (p *pool[T]) trim() []T {
	n := (p.low + 1) / 2
	out := make([]T, n)
	copy(out, p.free[:n])
	rest := copy(p.free, p.free[n:])
	clear(p.free[rest:])
	p.free = p.free[:rest]
	if cap(p.free) > 64 && cap(p.free) > 4*len(p.free) {
		p.free = append(make([]T, 0, 2*len(p.free)), p.free...)
	}
	p.low = len(p.free)
	return out
}

// Buffer gives a buffer of the configured size ([Options.BufSize]). Its contents
// are undefined.
func (r *Reactor) Buffer() []byte {
	r.bufs.lent++
	if b, ok := r.bufs.get(); ok {
		return b
	}
	return make([]byte, r.bufSize)
}

// Release gives a buffer of [Reactor.Buffer] back.
func (r *Reactor) Release(b []byte) {
	if cap(b) == r.bufSize {
		r.bufs.lent--
		r.bufs.put(b[:r.bufSize])
	}
}

// Big gives a buffer of [BigBuffer] bytes.
func (r *Reactor) Big() []byte {
	r.bigs.lent++
	if b, ok := r.bigs.get(); ok {
		return b
	}
	return make([]byte, BigBuffer)
}

// ReleaseBig gives a buffer of [Reactor.Big] back.
func (r *Reactor) ReleaseBig(b []byte) {
	r.bigs.lent--
	r.bigs.put(b[:BigBuffer])
}

// Lent is how many buffers and pipes are not in the pools: with whoever uses them,
// or lost.
func (r *Reactor) Lent() int { return r.bufs.lent + r.bigs.lent + r.pipes.lent }

// trimPeriod is how often, in nanoseconds, the pools give back what was of no
// use since the last time.
const trimPeriod = 2e9

// Fire trims the pools: it is the reactor's own timer.
func (r *Reactor) Fire() {
	if r.Exhausted() { // what is of no use now is not kept at all
		r.bufs.low, r.bigs.low, r.pipes.low, r.idleLow = 2*len(r.bufs.free), 2*len(r.bigs.free), 2*len(r.pipes.free), 2*len(r.idle)
	}
	freed := len(r.bufs.trim())*r.bufSize + len(r.bigs.trim())*BigBuffer
	for _, p := range r.pipes.trim() {
		r.closePipe(p)
	}
	coros := (r.idleLow + 1) / 2
	if len(r.idle) <= 4 {
		coros = 0
	}
	for _, co := range r.idle[:coros] {
		r.Remove(&co.timer)
		co.stop()
		freed += 8 << 10
	}
	n := copy(r.idle, r.idle[coros:])
	clear(r.idle[n:])
	r.idle = r.idle[:n]
	r.idleLow = n
	if cap(r.idle) > 64 && cap(r.idle) > 4*n {
		r.idle = append(make([]*Coro, 0, 2*n), r.idle...)
	}
	if cap(r.timers) > 64 && cap(r.timers) > 4*len(r.timers) {
		r.timers = append(make([]*Timer, 0, 2*len(r.timers)), r.timers...)
	}
	for _, f := range r.onTrim {
		freed += f()
	}
	r.freed += freed
	switch {
	case freed < 64<<10 && r.freed >= burst:
		// The pools have settled after a burst: hand the memory back now, the
		// collector would not run for minutes in an idle process.
		r.freed = 0
		if !r.NoTrim {
			r.FreeMemory()
		}
	}
	r.Set(&r.trim, r.now+trimPeriod)
}

// burst is how much has to be freed for it to be handed back at once.
const burst = 4 << 20

// GiveBack makes what the process does not use any more go back to the kernel soon:
// much was replaced. It is called on the reactor.
func (r *Reactor) GiveBack() { r.freed += burst }
