package sim

import (
	"bytes"
	"container/heap"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature" // the keywords
)

// Stage is a worker with a configuration as text on the simulated network and
// clock, for tests that say what happens when. Nothing is drawn by chance:
// connections take no time and cut nothing, and the clock moves only while the
// test waits ([Stage.Pass], or a [Peer] that waits for something).
type Stage struct {
	// Worker is what runs.
	Worker *stream.Worker
	t      testing.TB
	w      *World
	log    reactor.Addr
	lines  []string
}

// patience is how long a peer waits for something, on the simulated clock.
const patience = int64(10 * time.Minute)

var stages atomic.Uint32

// NewStage starts a worker. In the configuration {log} is the address of a log
// server, whose lines [Stage.Lines] gives. files is where the configuration
// finds its files; it may be nil.
func NewStage(t testing.TB, text string, files fs.FS) *Stage {
	t.Helper()
	n := stages.Add(1)
	s := &Stage{t: t, log: reactor.Addr{IP: netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), Port: 514}}
	w := &World{Seed64: 1, now: 1e9, rnd: rand.New(rand.NewPCG(1, 0x57a6e)), calm: true, long: 1, stage: s}
	w.hosts = make(map[reactor.Addr]host)
	s.w = w
	r, err := reactor.New(0, w, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.NoTrim = true
	r.OnPanic = func(p any, stack []byte) { t.Errorf("panic: %v\n%s", p, stack) }
	w.rs = append(w.rs, r)
	w.worker = stream.NewWorker(w.rs)
	s.Worker = w.worker
	w.worker.Init()
	if err := snapshot.Start(w.worker, s.load(text, files), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.err != nil {
			t.Error(w.err)
		}
		r.Close()
	})
	return s
}

func (s *Stage) load(text string, files fs.FS) *stream.Snapshot {
	s.t.Helper()
	text = strings.ReplaceAll(text, "{log}", s.log.String())
	snap, d := snapshot.Load(snapshot.Input{
		Sources: []*config.File{config.Parse("stage.cfg", []byte(text))}, Files: files, Threads: 1, MaxConn: 2000,
	})
	if snap == nil {
		s.t.Fatal(d.All())
	}
	return snap
}

// Apply puts another configuration in force.
func (s *Stage) Apply(text string) {
	s.t.Helper()
	if _, err := snapshot.Apply(s.Worker, s.load(text, nil)); err != nil {
		s.t.Fatal(err)
	}
	s.Pass(0)
}

// host is who takes the proxy's connections at an address.
type host interface {
	refuses() bool
	silent() bool
	accept(e *end) actor
}

// Now is the time since the stage was set.
func (s *Stage) Now() time.Duration { return time.Duration(s.w.now - 1e9) }

// Pass lets time pass.
func (s *Stage) Pass(d time.Duration) {
	until := s.w.now + int64(d)
	for s.step(until) {
	}
	s.w.now = until
	for s.step(until) { // timers that are due right now
	}
}

// until lets things happen until done.
func (s *Stage) until(what string, done func() bool) {
	s.t.Helper()
	limit := s.w.now + patience
	for !done() {
		if !s.step(limit) {
			s.t.Fatalf("at %v: %s: it does not happen", s.Now(), what)
		}
	}
}

// step lets the next thing happen, if it does by the time given.
func (s *Stage) step(limit int64) bool {
	w, r := s.w, s.w.rs[0]
	if w.err != nil {
		s.t.Fatal(w.err)
	}
	w.Steps++
	t := r.NextTimer()
	if r.Pending() || w.pollers[0].again || len(w.pollers[0].ready) > 0 || t != 0 && t <= w.now {
		r.Turn(0)
		return true
	}
	if len(w.events) > 0 && (t == 0 || w.events[0].at <= t) {
		t = w.events[0].at
	}
	if t == 0 || t > limit {
		return false
	}
	w.now = max(w.now, t)
	for len(w.events) > 0 && w.events[0].at <= w.now {
		heap.Pop(&w.events).(event).f()
	}
	return true
}

// Lines gives the log lines that came since it was last asked, from the
// program's name on.
func (s *Stage) Lines() []string {
	s.Pass(0)
	l := s.lines
	s.lines = nil
	return l
}

// datagram takes what the proxy logs.
func (s *Stage) datagram(to reactor.Addr, p []byte) {
	if to != s.log {
		return
	}
	line := strings.TrimRight(string(p), "\n")
	if _, text, ok := strings.Cut(line, "]: "); ok {
		line = text
	}
	s.lines = append(s.lines, line)
}

// Frontend gives the counters of a frontend.
func (s *Stage) Frontend(name string) *stream.FrontCounters {
	return &s.Worker.Snapshot().Frontends[name].FE.Counters[0]
}

// Backend gives the state of a backend.
func (s *Stage) Backend(name string) *stream.BackState { return s.Worker.Snapshot().Backends[name].BE }

// Dial connects a client. addr is where the proxy listens.
func (s *Stage) Dial(addr string) *Peer {
	s.t.Helper()
	p := &Peer{s: s}
	p.e = s.w.dial(addrOf(addr), p)
	s.until("a connection to "+addr, func() bool { return p.e.state != connecting })
	if p.e.state != established {
		s.t.Fatalf("%s refuses", addr)
	}
	return p
}

func addrOf(s string) reactor.Addr {
	a := netip.MustParseAddrPort(s)
	return reactor.Addr{IP: a.Addr(), Port: a.Port()}
}

// Listen is a server at an address.
func (s *Stage) Listen(addr string) *Host {
	h := &Host{s: s, addr: addrOf(addr)}
	s.w.hosts[h.addr] = h
	return h
}

// Host is a server of a stage.
type Host struct {
	// Refuse makes it refuse connections, Swallow leave them unanswered. Tried
	// notes when connections were tried.
	Refuse, Swallow bool
	Tried           []time.Duration
	Delay           time.Duration // of connecting
	s               *Stage
	addr            reactor.Addr
	pending         []*Peer
	serve           func(p *Peer, head string) string
	// Conns are all connections that were accepted.
	Conns []*Peer
}

func (h *Host) refuses() bool {
	h.Tried = append(h.Tried, h.s.Now())
	return h.Refuse
}
func (h *Host) silent() bool { return h.Swallow }

func (h *Host) accept(e *end) actor {
	p := &Peer{s: h.s, e: e, serve: h.serve}
	h.Conns = append(h.Conns, p)
	h.pending = append(h.pending, p)
	return p
}

// Accept gives the next connection of the proxy, waiting for it.
func (h *Host) Accept() *Peer {
	h.s.t.Helper()
	h.s.until("a connection to "+h.addr.String(), func() bool { return len(h.pending) > 0 })
	p := h.pending[0]
	h.pending = h.pending[1:]
	return p
}

// Idle tells whether there is no connection that [Host.Accept] did not give.
func (h *Host) Idle() bool {
	h.s.Pass(0)
	return len(h.pending) == 0
}

// Serve makes the server answer each head that ends with an empty line with what
// f gives, at once.
func (h *Host) Serve(f func(head string) string) {
	h.serve = func(_ *Peer, head string) string { return f(head) }
}

// ServeEach is Serve with a function that is told the number of the connection,
// from 1.
func (h *Host) ServeEach(f func(conn int, head string) string) {
	h.serve = func(p *Peer, head string) string { return f(slices.Index(h.Conns, p)+1, head) }
}

// Peer is a client's or a server's part in a connection. It is a [net.Conn] of
// which reads let time pass.
type Peer struct {
	s       *Stage
	e       *end
	got     []byte
	all     []byte
	serve   func(*Peer, string) string
	eof     bool
	reset   bool
	endedAt time.Duration
	paused  bool
}

func (p *Peer) wake(*end) {
	if p.paused {
		return
	}
	var buf [4096]byte
	for !p.eof && !p.reset {
		n, no := p.e.read(buf[:])
		switch {
		case no == eagain:
			n = -1
		case no != 0:
			p.reset = true
		case n == 0 && p.e.reset:
			p.reset = true
		case n == 0:
			p.eof = true
		}
		if p.eof || p.reset {
			p.endedAt = p.s.Now()
		}
		if n <= 0 {
			break
		}
		p.got = append(p.got, buf[:n]...)
		p.all = append(p.all, buf[:n]...)
	}
	for p.serve != nil {
		i := bytes.Index(p.got, []byte("\r\n\r\n"))
		if i < 0 {
			break
		}
		head := string(p.got[:i+4])
		p.got = p.got[i+4:]
		if out := p.serve(p, head); out != "" {
			p.Send(out)
		}
	}
}

// Send sends text, as far as there is room for it.
func (p *Peer) Send(text string) { p.Write([]byte(text)) }

// Pause makes the peer read nothing, Resume go on.
func (p *Peer) Pause()  { p.paused = true }
func (p *Peer) Resume() { p.paused = false; p.wake(p.e) }

// Drip sends text byte by byte, one every so often.
func (p *Peer) Drip(text string, every time.Duration) {
	for i := range len(text) {
		p.s.w.after(int64(every)*int64(i), func() { p.Send(text[i : i+1]) })
	}
}

// After does something later.
func (s *Stage) After(d time.Duration, f func()) { s.w.after(int64(d), f) }

// Expect waits for text, and takes what came up to and including it.
func (p *Peer) Expect(text string) string {
	p.s.t.Helper()
	var i int
	p.s.until(fmt.Sprintf("%q (there is %q)", text, cut(p.got)), func() bool {
		i = bytes.Index(p.got, []byte(text))
		return i >= 0 || p.eof || p.reset
	})
	if i < 0 {
		p.s.t.Fatalf("at %v: %q instead of %q, and the end", p.s.Now(), cut(p.got), text)
	}
	out := string(p.got[:i+len(text)])
	p.got = p.got[i+len(text):]
	return out
}

// Head waits for a head and takes it.
func (p *Peer) Head() string {
	p.s.t.Helper()
	return p.Expect("\r\n\r\n")
}

// Rest waits for the end of the connection and gives what came before it.
func (p *Peer) Rest() string {
	p.s.t.Helper()
	p.s.until(fmt.Sprintf("the end (there is %q)", cut(p.got)), func() bool { return p.eof || p.reset })
	out := string(p.got)
	p.got = nil
	return out
}

// Got gives what came and was not taken yet.
func (p *Peer) Got() string {
	p.s.Pass(0)
	return string(p.got)
}

// Ended tells whether the other side closed, and EndedAt when.
func (p *Peer) Ended() bool            { return p.Got() == "" && (p.eof || p.reset) }
func (p *Peer) EndedAt() time.Duration { return p.endedAt }

// WasReset tells whether the other side ended with a reset.
func (p *Peer) WasReset() bool { return p.reset }

// Shut ends what this side sends.
func (p *Peer) Shut() { p.e.shut() }

// Close closes.
func (p *Peer) Close() error {
	p.e.close(false)
	return nil
}

// Reset ends the connection with a reset.
func (p *Peer) Reset() { p.e.close(true) }

// Read takes what came, waiting for it.
func (p *Peer) Read(b []byte) (int, error) {
	p.s.until("more to read", func() bool { return len(p.got) > 0 || p.eof || p.reset })
	if len(p.got) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.got)
	p.got = p.got[n:]
	return n, nil
}

// Write sends.
func (p *Peer) Write(b []byte) (int, error) {
	p.write(append([]byte(nil), b...))
	return len(b), nil
}

// write sends what fits, and the rest bit by bit.
func (p *Peer) write(b []byte) {
	n, no := p.e.send(b, false)
	if no == 0 && n < len(b) || no == eagain {
		p.s.w.after(1e6, func() { p.write(b[max(n, 0):]) })
	}
}

// LocalAddr, RemoteAddr and the deadlines are there for [net.Conn].
func (p *Peer) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(addrPort(p.e.local)) }
func (p *Peer) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(addrPort(p.e.peer().local)) }

// SetDeadline does nothing: reads wait for long enough, see patience.
func (p *Peer) SetDeadline(time.Time) error      { return nil }
func (p *Peer) SetReadDeadline(time.Time) error  { return nil }
func (p *Peer) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*Peer)(nil)

// Verbose prints what happens.
func (s *Stage) Verbose() { s.w.verbose = os.Stdout }
