package ring

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

var places = slot.NewLive[*stream.Worker, place]()

func init() {
	snapshot.RegisterCarrier(snapshot.Carrier{Name: "ring", Prepare: prepare})
}

// prepare gives the sections of a new configuration the buffers that there are by
// their names, so that what was logged stays, and new ones to others.
func prepare(t *snapshot.Transition) (snapshot.Steps, error) {
	p := places.In(t.Worker)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prepare(t.Worker)
	list := *sections.Make(t.New.Global)
	for _, s := range list {
		b := p.rings[s.name]
		if b == nil {
			b = newBuffer(p, s.name, s.size)
		}
		s.live.Store(b)
	}
	return snapshot.Steps{
		Undo: func() {
			for _, s := range list {
				s.live.Store(nil)
			}
		},
		After: func() { p.follow(t.Worker, list) },
	}, nil
}

// sendKey is a server of a ring.
type sendKey struct{ ring, server string }

// follow makes what lives what a configuration in force says.
func (p *place) follow(w *stream.Worker, list []*Section) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rings := make(map[string]*Buffer)
	for _, k := range builtin {
		rings[k.name] = p.rings[k.name]
	}
	sends := make(map[sendKey]*sender)
	for _, s := range list {
		b := s.live.Load()
		b.descr.Store(&s.descr)
		b.resize(s.size)
		rings[s.name] = b
		for _, l := range s.px.ServerLines {
			key := sendKey{s.name, l.Name}
			says := settings{l.Settings, s.px.Timeouts.Connect, s.px.Timeouts.Server, (*counted.Make(s.px))[l.Settings]}
			x := p.sends[key]
			if x == nil || !x.settings.same(&says) {
				var from *sender
				if x != nil {
					from = x // goes on where the one before ends
				}
				x = newSender(w, w.Reactors[p.next%len(w.Reactors)], b, says, from)
				p.next++
			} else {
				delete(p.sends, key)
			}
			sends[key] = x
		}
	}
	for _, x := range p.sends {
		x.r.Post(x.stop)
	}
	for _, x := range sends {
		if !x.started {
			x.started = true
			x.r.Post(x.begin)
		}
	}
	p.rings, p.sends = rings, sends
}

// same tells whether two servers are talked to in the same way.
func (s *settings) same(o *settings) bool {
	x, y := s.server, o.server
	return s.connect == o.connect && s.send == o.send && s.counted == o.counted &&
		x.Addr == y.Addr && x.Source == y.Source && x.MaxReuse == y.MaxReuse && stream.SameSecurity(x, y)
}
