package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/check"
	"github.com/forebay-lb/forebay/proxy/internal/feature/proxyproto"
)

// scene is the configuration in force, and what was made of it.
type scene struct {
	w        *World
	fronts   []*front
	tcp      *front // the one in mode tcp, or nil
	backends []*stream.BackState
	origins  int
	servers  []*server.Server // all that there ever were
	highest  map[*server.Server]int64
	limits   map[*stream.FrontState]int64
	modes    map[*stream.BackState]stream.Mode
	nulls    map[*stream.FrontState]bool // null connections may be left out of the log
	mixes    map[*stream.BackState]bool  // clients may share its servers' connections
	filters  []*Filter                   // all that there ever were
	services int                         // answers of services
	h2       int                         // how much of HTTP/2 there is: none, some, or all
	threads  int
}

type front struct {
	addr   reactor.Addr
	name   string
	mode   stream.Mode
	accept bool // clients begin with a header of the PROXY protocol
	fs     *stream.FrontState
	l      *stream.Listener
	bind   *stream.Bind
}

// build makes the world of the seed.
func (w *World) build() {
	rnd := w.rnd
	w.calm = rnd.IntN(4) == 0
	if !w.calm {
		w.faults.stalls = []int{0, 0, 50, 500}[rnd.IntN(4)]
		w.faults.interrupts = []int{0, 100}[rnd.IntN(2)]
		if rnd.IntN(3) == 0 {
			w.faults.noSockets, w.faults.noRoute, w.faults.noPipes = 300, 300, 10
		}
	}
	threads := 1 + rnd.IntN(3)
	for i := range threads {
		r, err := reactor.New(i, w, reactor.Options{BufSize: 16384, MaxEvents: []int{1, 3, 200}[rnd.IntN(3)]})
		if err != nil {
			w.failf("%v", err)
			return
		}
		r.NoTrim = true
		r.OnPanic = func(p any, stack []byte) { w.failf("panic: %v\n%s", p, stack) }
		w.rs = append(w.rs, r)
	}
	w.worker = stream.NewWorker(w.rs)
	w.worker.Init()
	w.worker.OnDrained = func() {
		if w.drained || w.listens() || w.worker.Curr.Load() > 0 {
			w.failf("the worker says that it is drained: before: %v, listening: %v, connections: %d", w.drained, w.listens(), w.worker.Curr.Load())
		}
		w.drained = true
	}
	s := &scene{
		w: w, threads: threads, highest: make(map[*server.Server]int64),
		limits: make(map[*stream.FrontState]int64), modes: make(map[*stream.BackState]stream.Mode), nulls: make(map[*stream.FrontState]bool),
		mixes: make(map[*stream.BackState]bool), h2: rnd.IntN(4),
	}
	w.scene = s
	no := w.faults
	w.faults.noSockets = 0 // starting succeeds
	for i := range 1 + rnd.IntN(3) {
		s.addBackend(fmt.Sprintf("b%d", i), stream.HTTP)
	}
	for i := range 1 + rnd.IntN(2) {
		s.fronts = append(s.fronts, &front{
			addr: reactor.Addr{IP: proxyIP, Port: uint16(80 + i)}, name: fmt.Sprintf("web%d", i), mode: stream.HTTP,
			fs: stream.NewFrontState(fmt.Sprintf("web%d", i), threads),
		})
	}
	all := append([]*front(nil), s.fronts...)
	if rnd.IntN(2) == 0 {
		s.addBackend("tcp", stream.TCP)
		s.tcp = &front{addr: reactor.Addr{IP: proxyIP, Port: 9000}, name: "raw", mode: stream.TCP, fs: stream.NewFrontState("raw", threads)}
		all = append(all, s.tcp)
	}
	w.all = all
	snap := s.snapshot(all)
	w.worker.SetSnapshot(snap)
	check.Sync(w.worker)
	for _, f := range all {
		f.bind = &stream.Bind{Addr: f.addr, FD: -1}
		if f.accept = rnd.IntN(3) == 0; f.accept {
			f.bind.Greeting = stream.ProxyHeader
		}
		if !w.calm && rnd.IntN(6) == 0 {
			f.bind.MaxConn = 1 + rnd.IntN(5)
		}
		l, err := w.worker.OpenListener(f.bind, snap.Frontends[f.name], nil)
		if err != nil {
			w.failf("%v", err)
			return
		}
		f.l = l
		w.worker.Listeners[f.bind.Key()] = l
		l.Start()
		if !w.calm && rnd.IntN(6) == 0 {
			n := int64(1 + rnd.IntN(6))
			f.fs.Limit.Store(n)
			s.limits[f.fs] = n
		}
	}
	w.faults = no
	span := int64(2e9) + rnd.Int64N(20e9)
	for range 3 + rnd.IntN(30/min(w.long, 10)) {
		w.at(w.now+rnd.Int64N(span), func() {
			switch {
			case s.tcp != nil && w.rnd.IntN(4) == 0:
				w.startTCP()
			case s.speaksH2():
				w.startH2Client()
			default:
				w.startClient()
			}
		})
	}
	changes := rnd.IntN(12)
	for range changes {
		w.at(w.now+rnd.Int64N(span), func() { s.change(all) })
	}
	stop := w.now + span + 1e9
	if !w.calm && rnd.IntN(3) == 0 {
		stop = w.now + span/2 + rnd.Int64N(span) // while clients are there
	}
	w.at(stop, w.tryStop)
}

// speaksH2 tells whether the next peer speaks HTTP/2.
func (s *scene) speaksH2() bool {
	switch s.h2 {
	case 0:
		return false
	case 1:
		return true
	}
	return s.w.rnd.IntN(2) == 0
}

// tryStop is the soft stop, which comes when all clients have ended in calm
// runs.
func (w *World) tryStop() {
	if (w.calm || w.long > 1) && w.clients > 0 {
		w.after(1e9, w.tryStop)
		return
	}
	w.note("soft stop")
	w.stopped = true
	w.worker.SoftStop()
	check.StopAll(w.worker)
}

// balance draws an algorithm.
func (s *scene) balance() stream.Balance {
	b := []stream.Balance{
		{Algorithm: "roundrobin", New: balance.RoundRobin}, {Algorithm: "static-rr", New: balance.StaticRR, Static: true},
		{Algorithm: "leastconn", New: balance.LeastConn}, {Algorithm: "first", New: balance.First},
		{Algorithm: "random", New: balance.Random, Config: balance.Config{Draws: 2}},
	}
	rnd := s.w.rnd
	if rnd.IntN(3) > 0 {
		return b[rnd.IntN(len(b))]
	}
	k := stream.Balance{Algorithm: "uri", New: balance.ByKey, Key: byPath}
	k.Config.Hash = balance.HashType{Consistent: rnd.IntN(3) > 0, Avalanche: rnd.IntN(2) == 0}
	k.Config.Hash.Function = []string{"sdbm", "djb2", "wt6", "crc32"}[rnd.IntN(4)]
	k.Config.Hash.Sum = balance.Functions[k.Config.Hash.Function]
	if k.Config.Hash.Consistent {
		k.Config.Factor = []int{0, 0, 101, 150, 1000}[rnd.IntN(5)]
		k.Config.Affinity = balance.Affinity(rnd.IntN(3))
	}
	return k
}

// byPath is a key: some requests have none, many have the same.
func byPath(st *stream.Stream, h *balance.HashType) (uint32, bool) {
	if st.BE.Mode == stream.TCP {
		return h.Address(addrPort(st.Sess.Src).Addr()), true
	}
	path := st.Req.PathQuery()
	if n := len(path); n > 0 && path[n-1] != '7' {
		return h.Hash(path[n-1:]), true
	}
	return 0, false
}

// addBackend makes the state of a backend with some servers.
func (s *scene) addBackend(name string, mode stream.Mode) {
	b := stream.NewBackState(name, s.threads, s.w.Wall())
	b.Clock = s.w.rs[0]
	b.SetBalance(s.balance(), s.w.rnd.IntN(2) == 0)
	if s.w.rnd.IntN(2) == 0 {
		b.SetFullConn(1 + s.w.rnd.IntN(10))
	}
	s.backends = append(s.backends, b)
	s.modes[b] = mode
	for range 1 + s.w.rnd.IntN(4) {
		s.addServer(b)
	}
}

const longestWarmup = 4 * time.Second

// addServer adds a server with an origin of its own.
func (s *scene) addServer(b *stream.BackState) {
	w, rnd := s.w, s.w.rnd
	s.origins++
	o := &origin{w: w, addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{10, 2, 0, byte(s.origins)}), Port: 8080}, tcp: s.modes[b] == stream.TCP, b: b}
	w.origins[o.addr] = o
	set := &server.Settings{Addr: o.addr, Weight: 1 + rnd.IntN(3), PoolMaxConn: -1, MaxReuse: -1}
	switch rnd.IntN(6) {
	case 0:
		set.PoolMaxConn = rnd.IntN(3)
	case 1:
		set.MaxReuse = rnd.IntN(3)
	case 2:
		set.PoolPurgeDelay = time.Duration(1+rnd.IntN(5)) * time.Second
	}
	if rnd.IntN(3) == 0 {
		set.MaxConn = 1 + rnd.IntN(3)
		o.limit = set.MaxConn
		if rnd.IntN(2) == 0 {
			set.MinConn = 1 + rnd.IntN(set.MaxConn)
		}
		if rnd.IntN(3) == 0 {
			set.MaxQueue = 1 + rnd.IntN(3)
		}
	}
	if rnd.IntN(3) == 0 {
		set.SlowStart = time.Duration(1+rnd.Int64N(longestWarmup.Milliseconds())) * time.Millisecond
	}
	set.Backup = rnd.IntN(6) == 0
	if rnd.IntN(2) == 0 {
		inter := time.Duration(200+rnd.IntN(3000)) * time.Millisecond
		set.Check = server.Check{Enabled: true, Inter: inter, FastInter: inter / 2, DnInter: inter, Rise: 1 + rnd.IntN(2), Fall: 1 + rnd.IntN(3)}
	}
	if !w.calm {
		o.down = rnd.IntN(10) == 0
		o.hole = rnd.IntN(20) == 0
	}
	if !o.tcp && s.speaksH2() {
		o.h2, set.Proto = true, "h2"
		if rnd.IntN(4) == 0 {
			o.ws1, set.WS = true, "h1"
		}
	}
	if rnd.IntN(3) == 0 {
		o.pp = 1 + rnd.IntN(2)
		pre := []*proxyproto.Sender{proxyproto.V1, proxyproto.V2}[o.pp-1]
		stream.Uplinks.Make(set).Preamble = pre
		if rnd.IntN(2) == 0 {
			proxyproto.ForChecks.Set(set, pre)
		}
	}
	id := b.NextID()
	v := server.New(b.Name, fmt.Sprintf("s%d", s.origins), id, s.threads, set, w.Wall())
	s.highest[v] = int64(set.MaxConn)
	s.servers = append(s.servers, v)
	b.Add(v)
}

var waits = []time.Duration{50, 200, 500, 1000, 3000, 5000}

// snapshot makes a graph with random settings over the state that there is.
func (s *scene) snapshot(all []*front) *stream.Snapshot {
	w, rnd := s.w, s.w.rnd
	wait := func() time.Duration {
		if w.calm {
			return 2 * time.Minute
		}
		return waits[rnd.IntN(len(waits))] * time.Millisecond
	}
	times := func() stream.Timeouts {
		t := stream.Timeouts{Client: wait(), Server: wait(), Connect: wait()}
		if rnd.IntN(2) == 0 {
			t.HTTPRequest = wait()
		}
		if rnd.IntN(2) == 0 {
			t.HTTPKeepAlive = wait()
		}
		if rnd.IntN(2) == 0 {
			t.Queue = wait()
		}
		if rnd.IntN(3) == 0 {
			t.Tunnel = wait()
		}
		if rnd.IntN(3) == 0 {
			t.ClientFin, t.ServerFin = wait(), wait()
		}
		return t
	}
	options := func() (on, off stream.Option) {
		for _, o := range []stream.Option{stream.HTTPClose, stream.HTTPServerClose, stream.NoLinger, stream.DontLogNull, stream.HTTPIgnoreProbes} {
			if rnd.IntN(8) == 0 && (!w.calm || o != stream.NoLinger) {
				on |= o
			}
		}
		switch rnd.IntN(3) {
		case 0:
			on |= stream.AbortOnClose
		case 1:
			off |= stream.AbortOnClose
		}
		return on, off
	}
	snap := &stream.Snapshot{
		Global:    &stream.Global{Threads: s.threads, BufSize: 16384, MaxRewrite: 1024, MaxHeaders: 101, NoSplice: rnd.IntN(3) == 0},
		Frontends: make(map[string]*stream.Proxy),
		Backends:  make(map[string]*stream.Proxy),
	}
	if rnd.IntN(3) == 0 {
		snap.Global.MaxAccept = 1 + rnd.IntN(3)
	}
	s.drawH2(snap.Global)
	var web []*stream.Proxy
	for _, b := range s.backends {
		p := &stream.Proxy{Name: b.Name, Backend: true, Mode: s.modes[b], Timeouts: times(), BE: b}
		p.Options, p.NoOptions = options()
		p.Reuse = stream.Reuse(rnd.IntN(4))
		s.mixes[b] = s.mixes[b] || p.Reuse != stream.ReuseNever
		p.Retries = rnd.IntN(4)
		p.Redispatch = []int{0, -1, 1, 2}[rnd.IntN(4)]
		if w.calm {
			p.Retries = 3
		}
		snap.Backends[p.Name] = p
		snap.Proxies = append(snap.Proxies, p)
		if rnd.IntN(5) == 0 {
			p.Filters = s.drawFilters()
		}
		if p.Mode == stream.HTTP {
			web = append(web, p)
		}
	}
	for _, f := range all {
		p := &stream.Proxy{Name: f.name, Frontend: true, Mode: f.mode, Timeouts: times(), FE: f.fs, Log: w.log}
		p.Options, p.NoOptions = options()
		s.nulls[f.fs] = s.nulls[f.fs] || p.Has(stream.DontLogNull)
		if f.mode == stream.TCP {
			p.DefaultName = "tcp"
		} else {
			p.DefaultName = web[0].Name
			p.Switching = []stream.SwitchRule{{Find: func(sc *stream.Scope) *stream.Proxy {
				word, _, _ := strings.Cut(strings.TrimPrefix(string(sc.Request().PathQuery()), "/"), "/")
				return sc.Snap.Backends[word]
			}}}
			if rnd.IntN(3) == 0 {
				p.RequestRules = append(p.RequestRules, urgent{w})
			}
			if !w.calm && rnd.IntN(3) == 0 {
				p.RequestRules = append(p.RequestRules, moody{w})
			}
		}
		if rnd.IntN(3) == 0 {
			p.Filters = s.drawFilters()
		}
		snap.Frontends[p.Name] = p
		snap.Proxies = append(snap.Proxies, p)
	}
	return snap
}

// drawFilters draws filters that together leave all data as it was.
func (s *scene) drawFilters() (list []stream.Filter) {
	rnd := s.w.rnd
	delay := func() {
		if rnd.IntN(2) == 0 && !s.w.calm {
			list = append(list, &Filter{Kind: Delay, Rand: rnd, Most: 1 + rnd.Int64N(1e9)})
		}
	}
	delay()
	if rnd.IntN(2) == 0 {
		list = append(list, &Filter{Kind: Grow})
		delay()
		list = append(list, &Filter{Kind: Shrink})
		delay()
	}
	for _, f := range list {
		s.filters = append(s.filters, f.(*Filter))
	}
	return list
}

// urgent is a rule that gives each request a place in the queue.
type urgent struct{ w *World }

// Exec is the rule.
func (u urgent) Exec(sc *stream.Scope) stream.Verdict {
	sc.Stream.PriorityClass, sc.Stream.PriorityOffset = u.w.rnd.IntN(5)-2, u.w.rnd.IntN(4000)-2000
	return stream.Continue
}

// moody is a rule of a frontend that takes its time now and then, and now and then
// answers by itself, before a backend has the request.
type moody struct{ w *World }

// Exec is the rule.
func (m moody) Exec(sc *stream.Scope) stream.Verdict {
	st := sc.Stream
	rnd := m.w.rnd
	if rnd.IntN(8) == 0 && st.R.Sleep(rnd.Int64N(1e9)) != nil {
		return stream.Drop
	}
	if rnd.IntN(8) > 0 {
		return stream.Continue
	}
	if rnd.IntN(2) == 0 {
		st.Service = service(m)
		return stream.Answer
	}
	st.Reply = &stream.Reply{Status: 403, Body: make([]byte, rnd.IntN(40_000))}
	return stream.Answer
}

// service answers as moody does, with a body that it makes piece by piece.
type service struct{ w *World }

// Name is of stream.Service.
func (service) Name() string { return "<SIM>" }

// Serve is of stream.Service.
func (v service) Serve(st *stream.Stream) stream.Source {
	v.w.scene.services++
	st.Res.Status = 403
	return &pieces{left: v.w.rnd.IntN(40_000), most: 1 + v.w.rnd.IntN(3000)}
}

// pieces are zeros.
type pieces struct {
	left, most int
	buf        []byte
}

// Next is of stream.Source.
func (p *pieces) Next(max int) ([]byte, bool, error) {
	n := min(max, p.left, p.most)
	p.left -= n
	p.buf = make([]byte, n)
	return p.buf, p.left == 0, nil
}

// Wait is of stream.Source.
func (p *pieces) Wait() error { return nil }

// Ready is of stream.Source.
func (p *pieces) Ready() bool { return p.left > 0 }

// Trailers is of stream.Source.
func (p *pieces) Trailers() []message.Field { return nil }

// drawH2 draws the settings of HTTP/2.
func (s *scene) drawH2(g *stream.Global) {
	rnd := s.w.rnd
	draw := func() stream.H2 {
		h := stream.H2{
			InitialWindow: []int{0, 0, 1, 1000, 65536, 1 << 20}[rnd.IntN(6)],
			RxBuf:         []int{0, 0, 100_000, 1_638_400}[rnd.IntN(4)],
			MaxStreams:    []int{0, 0, 1, 3, 20}[rnd.IntN(5)],
			MaxFrames:     []int{0, 1, 10}[rnd.IntN(3)],
			MaxRst:        []int{0, 1}[rnd.IntN(2)],
		}
		if s.w.calm {
			// With more than a buffer each, streams that nobody reads hold up others.
			h.InitialWindow = min(max(h.InitialWindow, 1), 16384)
		} else {
			h.Glitches = []int{0, 0, 5, 100}[rnd.IntN(4)]
		}
		return h
	}
	h := stream.HTTP2.Make(g)
	h.Front, h.Back = draw(), draw()
	h.Front.MaxTotal = []int{0, 0, 1, 5, 50}[rnd.IntN(5)]
	h.HeaderTable = []int{0, 0, 128, 65536}[rnd.IntN(4)]
	h.MaxFrame = []int{0, 0, 16384}[rnd.IntN(3)]
}

// change is what an administrator does.
func (s *scene) change(all []*front) {
	w, rnd := s.w, s.w.rnd
	if w.stopped {
		return
	}
	now := w.Wall()
	b := s.backends[rnd.IntN(len(s.backends))]
	var v *server.Server
	if list := b.Servers(); len(list) > 0 {
		v = list[rnd.IntN(len(list))]
	}
	kind := rnd.IntN(10)
	if w.calm && kind > 1 && kind < 9 {
		kind = 0
	}
	w.note("change %d at %s", kind, b.Name)
	switch kind {
	case 0, 1:
		snap := s.snapshot(all)
		w.worker.SetSnapshot(snap)
		for _, f := range all {
			f.l.Replace(f.bind, snap.Frontends[f.name])
		}
	case 2:
		if v != nil {
			v.SetAdmin(now, server.ForcedMaint, 0, "sim")
			w.after(rnd.Int64N(5e9), func() { v.SetAdmin(w.Wall(), 0, server.ForcedMaint, "sim") })
		}
	case 3:
		if v != nil {
			v.SetAdmin(now, server.ForcedDrain, 0, "sim")
			w.after(rnd.Int64N(5e9), func() { v.SetAdmin(w.Wall(), 0, server.ForcedDrain, "sim") })
		}
	case 4:
		if v != nil {
			n := rnd.IntN(5)
			v.Update(now, "sim", func(st *server.State) { st.UserWeight, st.WeightByUser = n, true })
		}
	case 5:
		s.addServer(b)
	case 6:
		if v != nil {
			v.SetAdmin(now, server.ForcedMaint, 0, "sim")
			b.Remove(v)
			s.purge(v)
		}
	case 7:
		s.kill(rnd)
	case 8: // an origin dies or comes back
		if v != nil {
			o := w.origins[*v.Addr()]
			o.down = !o.down
			if o.down {
				for _, c := range o.conns {
					if c.rnd.IntN(2) == 0 {
						c.finish(c.rnd.IntN(2) == 0)
					}
				}
				for _, c := range o.h2conns {
					if c.rnd.IntN(2) == 0 {
						c.finish(c.rnd.IntN(2) == 0)
					}
				}
			}
		}
	case 9:
		if v != nil { // maxconn grows
			n := v.State().MaxConn
			if n > 0 {
				n++
				w.origins[*v.Addr()].limit = n
				s.highest[v] = int64(n)
				v.Update(now, "sim", func(st *server.State) { st.MaxConn, st.MaxByUser = n, true })
				b.Queue.Kick()
			}
		}
	}
	check.Sync(w.worker)
}

// purge closes the idle connections of a server that was taken out.
func (s *scene) purge(v *server.Server) {
	for _, r := range s.w.rs {
		r.Post(func() { v.Pools[r.Index].Purge(true) })
	}
}

// kill ends a stream as "shutdown session" does.
func (s *scene) kill(rnd *rand.Rand) {
	r := s.w.rs[rnd.IntN(len(s.w.rs))]
	n := rnd.IntN(4)
	r.Post(func() {
		s.w.worker.EachStream(r, func(st *stream.Stream) bool {
			if n--; n < 0 {
				s.w.note("kill stream %d", st.ID)
				st.Kill('K')
				return false
			}
			return true
		})
	})
}

// log is called for every exchange that ends.
func (w *World) log(st *stream.Stream) {
	w.logged++
	w.note("log %q %d %c%c", cut(st.ReqLine), st.Status, st.Term.Cause, st.Term.State)
	if st.Term.Cause == 0 || st.Term.State == 0 {
		w.failf("stream %d has no termination state", st.ID)
	}
	if st.FE.Mode == stream.TCP {
		w.sessions++
		return
	}
	var b, id int
	var method string
	line := strings.Replace(string(st.ReqLine), " http://sim/", " /", 1)
	if n, _ := fmt.Sscanf(line, "%s /b%d/%d HTTP/", &method, &b, &id); n == 3 && id < len(w.truths) {
		t := w.truths[id]
		if src := addrPort(st.Sess.Src); src != t.route.src {
			w.failf("request %d comes from %v, and is logged as one from %v", id, t.route.src, src)
		}
		st.Sess.Dst() // as "%fi" does, whether or not the connection is still there
		if t.logs++; t.logs > 1 {
			w.failf("request %d was logged twice", id)
		}
	}
}
