package stream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/queue"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// ServerSettings are a server's settings.
type ServerSettings = server.Settings

// BackCounters is one reactor's share of a backend's statistics.
type BackCounters struct {
	Sessions, Requests, Connects, Reuses counter.Int
	Chosen                               counter.Int // how often a server was chosen
	counter.Traffic
	DeniedReq, DeniedResp                   counter.Int
	ConnErrors, RespErrors, Retries, Redisp counter.Int
	ClientAborts, ServerAborts              counter.Int
	FailedRewrites, Internal                counter.Int
	Status                                  [6]counter.Int
	counter.Durations
	TLS counter.TLS
	H2  http2.Counters
	_   [64]byte
}

// BackState is what lives of a backend: its servers, queue and counters.
type BackState struct {
	// What every request changes comes first, on a cache line of its own.
	Cur, Max, LastUsed atomic.Int64
	_                  [40]byte

	Name       string
	Counters   counter.Shards[BackCounters]
	SessRate   counter.Rate
	Queue      queue.Queue  // streams that wait for any server
	LastChange atomic.Int64 // time of day in seconds
	Downs      atomic.Int64
	// DownTime is how long no server was usable in all, in seconds, but for the
	// time since LastChange.
	DownTime atomic.Int64
	down     atomic.Bool

	mu      sync.Mutex // orders changes of servers
	servers atomic.Pointer[[]*server.Server]
	applied *[]*server.Server // the list that a configuration has set last
	picker  atomic.Pointer[balance.Picker]
	draws   atomic.Uint64 // numbers for the choices of the queue
	balance Balance
	all     bool // option allbackups
	batch   atomic.Bool
	onState atomic.Pointer[StateFunc]
	slots   slot.Live
	load    server.Load
	backups atomic.Bool // they take traffic

	// Clock is the reactor that counts the seconds of slow starts; without one, servers
	// start at full speed.
	Clock   *reactor.Reactor
	warming map[*server.Server]bool // under mu
}

// LiveSlots are what features keep of the backend as long as it lives.
func (b *BackState) LiveSlots() *slot.Live { return &b.slots }

// StateFunc is told of a server's transitions, see [server.Server.OnState].
type StateFunc func(s *server.Server, old, cur server.State, reason string)

// OnState makes f be told of all transitions of b's servers, instead of the
// function set before.
func (b *BackState) OnState(f StateFunc) { b.onState.Store(&f) }

// NewBackState makes the state of a backend without servers.
func NewBackState(name string, reactors int, now time.Time) *BackState {
	b := &BackState{Name: name, Counters: counter.New[BackCounters](reactors)}
	b.LastChange.Store(now.Unix())
	b.servers.Store(new([]*server.Server))
	b.load.Cur = &b.Cur
	b.Queue.Pick = func() *server.Server {
		return b.Picker().Pick(balance.Query{Random: b.draws.Add(0x9e3779b97f4a7c15), Now: true})
	}
	b.Queue.Takes = func(s *server.Server) bool { return s.Usable() && (!s.Settings().Backup || b.backups.Load()) }
	return b
}

// Servers gives the servers in their order. The slice must not be changed.
func (b *BackState) Servers() []*server.Server { return *b.servers.Load() }

// Applied notes that the servers are those of the configuration, Untouched tells
// whether none was added or removed since. Both are for who applies configurations.
func (b *BackState) Applied() { b.applied = b.servers.Load() }

// Untouched: see [BackState.Applied].
func (b *BackState) Untouched() bool { return b.applied == b.servers.Load() }

// ByUser gives the servers of which something may have been set at run time. It is
// for who has [server.Server.ByUser] say what.
func (b *BackState) ByUser() []*server.Server {
	if !b.load.ByUser.Swap(false) {
		return nil
	}
	some := slices.ContainsFunc(b.Servers(), func(s *server.Server) bool { return s.ByUser() != nil })
	if !some {
		return nil
	}
	b.load.ByUser.Store(true)
	return b.Servers()
}

// Server finds a server by name, nil if there is none.
func (b *BackState) Server(name string) *server.Server {
	for _, s := range b.Servers() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// has tells whether s is one of b's servers.
func (b *BackState) has(s *server.Server) bool { return slices.Contains(b.Servers(), s) }

// NextID gives the next unused server number.
func (b *BackState) NextID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := 1
	for {
		used := false
		for _, s := range b.Servers() {
			if s.ID == id {
				used = true
				break
			}
		}
		if !used {
			return id
		}
		id++
	}
}

// serverChanges counts the lists of servers that were replaced.
var serverChanges atomic.Int64

// ServerChanges counts how often servers were added or removed, in all backends of
// the process.
func ServerChanges() int64 { return serverChanges.Load() }

// SetServers replaces the list of servers.
func (b *BackState) SetServers(list []*server.Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range list {
		s.Follow(&b.load)
		if s.OnChange == nil { // those that live already have it
			s.OnChange = b.changed
			s.OnState = func(s *server.Server, old, cur server.State, reason string) {
				if f := b.onState.Load(); f != nil {
					(*f)(s, old, cur, reason)
				}
			}
		}
	}
	list = append([]*server.Server(nil), list...)
	b.servers.Store(&list)
	serverChanges.Add(1)
	b.rebuild()
}

// Add appends a server.
func (b *BackState) Add(s *server.Server) {
	b.SetServers(append(append([]*server.Server(nil), b.Servers()...), s))
}

// Remove takes a server out.
func (b *BackState) Remove(s *server.Server) {
	var list []*server.Server
	for _, o := range b.Servers() {
		if o != s {
			list = append(list, o)
		}
	}
	s.MarkDeleted()
	b.SetServers(list)
}

// SetBalance sets the algorithm.
func (b *BackState) SetBalance(how Balance, allBackups bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balance, b.all = how, allBackups
	b.load.Static.Store(!how.Dynamic())
	b.rebuild()
}

// SetFullConn sets the number of streams at which servers may have as many as their
// maxconn says.
func (b *BackState) SetFullConn(n int) { b.load.Full.Store(int64(n)) }

// Batch runs f, which changes many servers, and balances over the result once
// instead of after each change. now is the time of day.
func (b *BackState) Batch(now time.Time, f func()) { b.Change(f)(now) }

// Change is [BackState.Batch] for who holds a lock while servers are changed: it
// gives what balances over the result, which takes its time with many servers. Until
// then streams go to the servers that there were and that still take some.
func (b *BackState) Change(f func()) (balance func(now time.Time)) {
	b.batch.Store(true)
	f()
	return func(now time.Time) {
		b.batch.Store(false)
		b.follow(now)
	}
}

// Choice gives the servers among which streams are balanced, by what they are now.
func (b *BackState) Choice() []*server.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return balance.Active(b.Servers(), b.all)
}

func (b *BackState) changed(s *server.Server) {
	st := s.State()
	if st.Op == server.Starting && b.Clock != nil {
		b.Clock.Post(func() { b.warm(s) })
	}
	if !b.batch.Load() { // Batch does it
		b.follow(st.LastChange)
	}
}

// warmup is a server's slow start.
type warmup struct {
	b     *BackState
	s     *server.Server
	timer reactor.Timer
}

// warm begins to count a server's slow start, unless that is done already.
func (b *BackState) warm(s *server.Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.warming[s] {
		return
	}
	if b.warming == nil {
		b.warming = make(map[*server.Server]bool)
	}
	b.warming[s] = true
	u := &warmup{b: b, s: s}
	u.timer.Fire = u
	b.Clock.Set(&u.timer, b.Clock.Now()+int64(time.Second))
}

// Fire lets the server have more, every second.
func (u *warmup) Fire() {
	r := u.b.Clock
	if u.s.Warm(r.Wall()) || u.s.Deleted() {
		u.b.mu.Lock()
		delete(u.b.warming, u.s)
		u.b.mu.Unlock()
	} else {
		r.Set(&u.timer, r.Now()+int64(time.Second))
	}
	u.b.Queue.Kick() // it may have more slots
}

// follow balances over what the servers are now.
func (b *BackState) follow(now time.Time) {
	b.mu.Lock()
	b.rebuild()
	b.transition(now)
	b.mu.Unlock()
	b.Queue.Kick()
}

// transition notes whether the backend as a whole went down or came up.
func (b *BackState) transition(now time.Time) {
	_, _, weight := b.Usable()
	down := weight == 0 && len(b.Servers()) > 0
	if b.down.Swap(down) == down {
		return
	}
	last := b.LastChange.Swap(now.Unix())
	if down {
		b.Downs.Add(1)
	} else if last != 0 {
		b.DownTime.Add(max(now.Unix()-last, 0))
	}
}

// rebuild makes the picker anew, unless [BackState.Batch] will.
func (b *BackState) rebuild() {
	if b.batch.Load() {
		return
	}
	set := balance.Set{All: b.Servers(), Active: balance.Active(b.Servers(), b.all)}
	var old balance.Picker
	if p := b.picker.Load(); p != nil {
		old = *p
	}
	p := b.balance.build(set, old)
	b.picker.Store(&p)
	b.backups.Store(len(set.Active) > 0 && set.Active[0].Settings().Backup)
}

// Picker gives the balancer over the servers that are usable now.
func (b *BackState) Picker() balance.Picker {
	if p := b.picker.Load(); p != nil {
		return *p
	}
	return balance.Empty
}

// Usable counts the servers that take new streams: active ones and backups.
func (b *BackState) Usable() (active, backup, weight int) {
	aw, bw := 0, 0
	for _, s := range b.Servers() {
		if s.Weight() == 0 {
			continue
		}
		if s.Settings().Backup {
			backup++
			bw += s.Weight()
		} else {
			active++
			aw += s.Weight()
		}
	}
	if active > 0 {
		return active, backup, aw
	}
	return active, backup, bw
}
