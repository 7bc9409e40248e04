package reactor

// Timer calls a function on its reactor at a time. It is meant to be embedded
// and set again and again: moving it later costs a store, since its place in the
// heap is only mended when the earlier time comes.
type Timer struct {
	// Fire is called on the reactor when the time has come, not in a coroutine.
	Fire Firer
	when int64 // 0: not set
	key  int64 // the time under which it stands in the heap
	pos  int32 // 1-based place in the heap, 0: not in it
}

// Firer is what a [Timer] calls.
type Firer interface{ Fire() }

// FireFunc makes a function a [Firer].
type FireFunc func()

// Fire calls f.
func (f FireFunc) Fire() { f() }

// Set makes t fire at when (nanoseconds of the reactor's clock). It replaces an
// earlier setting.
func (r *Reactor) Set(t *Timer, when int64) {
	if when <= 0 {
		when = 1
	}
	t.when = when
	switch {
	case t.pos == 0:
		t.key = when
		r.timers = append(r.timers, t)
		t.pos = int32(len(r.timers))
		r.timerUp(len(r.timers) - 1)
	case when < t.key:
		t.key = when
		r.timerUp(int(t.pos) - 1)
	}
}

// Unset makes t not fire. It may stay in the heap until its time would have
// come: use [Reactor.Remove] before letting go of what holds it.
func (t *Timer) Unset() { t.when = 0 }

// IsSet tells whether t will fire.
func (t *Timer) IsSet() bool { return t.when != 0 }

// Remove unsets t and takes it out of the reactor, so that nothing refers to it
// any more.
func (r *Reactor) Remove(t *Timer) {
	t.when = 0
	if t.pos == 0 {
		return
	}
	i := int(t.pos) - 1
	last := len(r.timers) - 1
	moved := r.timers[last]
	r.timers[last] = nil
	r.timers = r.timers[:last]
	t.pos = 0
	if i != last {
		r.timers[i] = moved
		moved.pos = int32(i + 1)
		r.timerDown(i)
		r.timerUp(int(moved.pos) - 1)
	}
}

// runTimers fires what is due and returns the time of the next timer, or 0.
func (r *Reactor) runTimers() int64 {
	for len(r.timers) > 0 {
		t := r.timers[0]
		if t.key > r.now {
			return t.key
		}
		when := t.when
		if when > r.now { // it was moved later meanwhile
			t.key = when
			r.timerDown(0)
			continue
		}
		r.Remove(t)
		if when != 0 {
			r.fire(t.Fire)
		}
	}
	return 0
}

func (r *Reactor) fire(f Firer) {
	defer r.Contain(f)
	f.Fire()
}

func (r *Reactor) timerUp(i int) {
	h := r.timers
	t := h[i]
	for i > 0 {
		p := (i - 1) / 4
		if h[p].key <= t.key {
			break
		}
		h[i] = h[p]
		h[i].pos = int32(i + 1)
		i = p
	}
	h[i] = t
	t.pos = int32(i + 1)
}

func (r *Reactor) timerDown(i int) {
	h := r.timers
	t := h[i]
	for {
		c := 4*i + 1
		if c >= len(h) {
			break
		}
		for k, end := c+1, min(c+4, len(h)); k < end; k++ {
			if h[k].key < h[c].key {
				c = k
			}
		}
		if h[c].key >= t.key {
			break
		}
		h[i] = h[c]
		h[i].pos = int32(i + 1)
		i = c
	}
	h[i] = t
	t.pos = int32(i + 1)
}

// Timers is the number of timers that are set. It looks at all of them.
func (r *Reactor) Timers() int {
	n := 0
	for _, t := range r.timers {
		if t.IsSet() {
			n++
		}
	}
	return n
}
