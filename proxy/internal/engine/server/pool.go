package server

// Pooled is an idle connection to a server. Its owner watches it and calls
// [Pool.Remove] when it dies.
type Pooled interface {
	// Discard closes it.
	Discard()
}

// Pool is one reactor's idle connections to one server: the one used last is
// taken first, so that those not needed grow old and can be closed.
type Pool struct {
	list []Pooled
	busy []Pooled // those that carry streams and may take more (HTTP/2)
	low  int      // fewest since the last purge: that many were not needed
	// purged is when the last purge was.
	purged int64
}

// Len is how many connections there are.
func (p *Pool) Len() int { return len(p.list) }

// Take takes the newest connection, nil when there is none.
func (p *Pool) Take() Pooled {
	n := len(p.list)
	if n == 0 {
		return nil
	}
	c := p.list[n-1]
	p.list[n-1] = nil
	p.list = p.list[:n-1]
	p.low = min(p.low, n-1)
	return c
}

// At is the connection at i, of those from the oldest at 0 to the newest.
func (p *Pool) At(i int) Pooled { return p.list[i] }

// TakeAt takes the connection at i.
func (p *Pool) TakeAt(i int) {
	copy(p.list[i:], p.list[i+1:])
	p.list[len(p.list)-1] = nil
	p.list = p.list[:len(p.list)-1]
	p.low = min(p.low, len(p.list))
}

// Put adds a connection.
func (p *Pool) Put(c Pooled) { p.list = append(p.list, c) }

// Remove takes c out, if it is there.
func (p *Pool) Remove(c Pooled) bool {
	for i := len(p.list) - 1; i >= 0; i-- {
		if p.list[i] == c {
			p.TakeAt(i)
			return true
		}
	}
	return false
}

// Begin puts a connection that carries streams, and may carry more, where others
// find it.
func (p *Pool) Begin(c Pooled) { p.busy = append(p.busy, c) }

// Shared is how many connections [Pool.Begin] put there.
func (p *Pool) Shared() int { return len(p.busy) }

// SharedAt is one of them, the newest last.
func (p *Pool) SharedAt(i int) Pooled { return p.busy[i] }

// End takes a connection away that [Pool.Begin] put there.
func (p *Pool) End(c Pooled) {
	for i := len(p.busy) - 1; i >= 0; i-- {
		if p.busy[i] == c {
			copy(p.busy[i:], p.busy[i+1:])
			p.busy[len(p.busy)-1] = nil
			p.busy = p.busy[:len(p.busy)-1]
			return
		}
	}
}

// Purge discards half of what was not needed since the last purge (all of it
// when everything is set), oldest first, and returns how many.
func (p *Pool) Purge(everything bool) int {
	n := (p.low + 1) / 2
	if everything {
		n = len(p.list)
	}
	old := append([]Pooled(nil), p.list[:n]...)
	rest := copy(p.list, p.list[n:])
	clear(p.list[rest:])
	p.list = p.list[:rest]
	if cap(p.list) > 64 && cap(p.list) > 4*rest {
		p.list = append(make([]Pooled, 0, 2*rest), p.list...)
	}
	p.low = rest
	for _, c := range old {
		c.Discard()
	}
	return n
}

// Due tells whether the time for the next purge has come, and if so notes it.
func (p *Pool) Due(now, period int64) bool {
	if now-p.purged < period {
		return false
	}
	p.purged = now
	return true
}
