package sim

import "math/rand/v2"

// duplex is one end of a tunnel: it sends known bytes and expects known bytes,
// each direction at its own pace.
type duplex struct {
	w                 *World
	rnd               *rand.Rand
	e                 *end
	id                int
	sendSalt, sendLen int
	recvSalt, recvLen int
	sent, got         int
	prefix            []byte // sent before
	shut, eof         bool
	waker
	ended   bool
	abortAt int // bytes sent, 0: never
	over    func(verdict string)
}

func (d *duplex) wake(*end) {
	if !d.ended {
		d.soon(d.w, d.rnd, d.run)
	}
}

func (d *duplex) finish(verdict string) {
	if d.ended {
		return
	}
	d.ended = true
	d.w.note("tunnel %d, conn %d: %s, %d of %d sent, %d of %d received", d.id, d.e.c.id, verdict, d.sent, d.sendLen, d.got, d.recvLen)
	if d.over != nil {
		d.over(verdict)
	}
	d.e.close(false)
}

// feed takes bytes that were read before the tunnel began.
func (d *duplex) feed(b []byte) {
	if err := verify(b, d.id, d.recvSalt, d.got); err != nil {
		d.w.failf("tunnel %d, conn %d: %v", d.id, d.e.c.id, err)
	}
	d.got += len(b)
	if d.got > d.recvLen {
		d.w.failf("tunnel %d, conn %d: %d bytes of %d", d.id, d.e.c.id, d.got, d.recvLen)
	}
}

func (d *duplex) run() {
	if d.ended || d.e.closed || d.e.state == connecting {
		return
	}
	if d.e.state == failed {
		d.finish("refused")
		return
	}
	for !d.eof {
		buf := make([]byte, max(len(d.e.rx), 1))
		n, no := d.e.read(buf)
		if no == 11 {
			break
		}
		if no != 0 {
			d.finish("reset")
			return
		}
		if n == 0 {
			d.eof = true
			break
		}
		d.feed(buf[:n])
	}
	for d.sent < d.sendLen || len(d.prefix) > 0 {
		if d.abortAt > 0 && d.sent >= d.abortAt {
			d.e.close(d.rnd.IntN(2) == 0)
			d.finish("aborted")
			return
		}
		if len(d.prefix) > 0 {
			n, no := d.e.send(d.prefix, false)
			if no == 11 {
				return
			}
			if no != 0 {
				d.finish("broken")
				return
			}
			d.prefix = d.prefix[n:]
			continue
		}
		k := min(d.sendLen-d.sent, 1+d.rnd.IntN(30000))
		p := make([]byte, k)
		for i := range p {
			p[i] = at(d.id, d.sendSalt, d.sent+i)
		}
		n, no := d.e.send(p, false)
		if no == 11 {
			return
		}
		if no != 0 {
			d.finish("broken")
			return
		}
		d.sent += n
	}
	if !d.shut && d.sent == d.sendLen {
		d.shut = true
		d.e.shut()
	}
	if d.eof {
		if d.got < d.recvLen {
			d.finish("cut off")
		} else {
			d.finish("all done")
		}
	}
}

// startTCP begins a client of a frontend in mode tcp. Its first bytes tell the
// server who it is.
func (w *World) startTCP() {
	rnd := w.actorRand()
	t := w.newTruth()
	t.method = "TCP"
	t.upLen, t.downLen = size(rnd), size(rnd)
	w.clients++
	d := &duplex{w: w, rnd: rnd, id: t.id, sendSalt: saltUp, sendLen: t.upLen, recvSalt: saltDown, recvLen: t.downLen}
	if !w.calm && rnd.IntN(4) == 0 {
		d.abortAt = 1 + rnd.IntN(20000)
	}
	d.over = func(verdict string) {
		w.clients--
		if verdict == "all done" {
			t.answered = true
			w.Answered++
		} else if w.calm {
			w.failf("tunnel %d: %s although nothing went wrong", t.id, verdict)
		}
	}
	f := w.scene.tcp
	d.e = w.dial(f.addr, d)
	d.prefix = append(w.introduce(rnd, f, d.e, t), idPrefix(t.id)...)
	patience := int64(20e9) + rnd.Int64N(60e9)
	if w.calm {
		patience = 600e9
	}
	w.after(patience, func() { d.finish("gave up") })
}
