package stream

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// pinger asks an idle HTTP/2 connection in intervals whether its peer is still
// there ("idle-ping").
type pinger struct {
	m     *mux
	timer reactor.Timer
	every time.Duration
	asked bool
	pongs int // that there were when it was asked
}

// ping begins when a connection gets idle.
func (m *mux) ping(every time.Duration) {
	if every <= 0 || m.dying {
		return
	}
	if m.pinger == nil {
		m.pinger = &pinger{m: m}
		m.pinger.timer.Fire = m.pinger
	}
	p := m.pinger
	p.every, p.asked = every, false
	m.r.Set(&p.timer, m.r.Now()+int64(every))
}

// Fire asks once more, if the last question was answered.
func (p *pinger) Fire() {
	m := p.m
	if m.gone || m.dying || m.Streams() > 0 {
		return
	}
	if p.asked {
		if m.Pongs() == p.pongs {
			m.lost(reactor.ErrTimeout)
			return
		}
		m.end.pinged()
	}
	p.asked, p.pongs = true, m.Pongs()
	m.Ping()
	m.touch()
	m.r.Set(&p.timer, m.r.Now()+int64(p.every))
}
