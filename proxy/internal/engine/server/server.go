package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Settings are what the configuration (or "add server") says of a server. They
// are never changed once published.
type Settings struct {
	// Host is the address as configured (a name or a literal), Addr what it
	// resolved to. Addr.Port is 0 when the port of the client's connection is
	// used; PortOffset is then added to it.
	Host       string
	Addr       reactor.Addr
	InitAddr   string // how Host was to be resolved ("init-addr"), "": not said
	PortOffset int
	MapPort    bool
	Weight     int // 0 to 256
	MaxConn    int // 0: no limit
	// MinConn is where the limit of streams begins, which follows the load of the
	// backend up to MaxConn; 0: it is MaxConn always.
	MinConn   int
	MaxQueue  int           // 0: no limit
	SlowStart time.Duration // how long it takes to full speed after it was down
	HashKey   HashKey
	Backup    bool
	Disabled  bool // starts in maintenance
	Source    reactor.Addr
	// EndSessions ends what it serves when it is marked down, EndBackups what backup
	// servers serve when it is marked up.
	EndSessions, EndBackups bool

	PoolMaxConn    int // -1: no limit, 0: no idle connections
	PoolPurgeDelay time.Duration
	MaxReuse       int // -1: no limit

	Check Check
	// Proto is the protocol that "proto" forces by its name, or "" for what TLS
	// agrees on.
	Proto string
	// IdlePing is how often idle HTTP/2 connections are asked whether they live; 0:
	// never.
	IdlePing time.Duration
	// WS is how WebSockets are carried: "h1", "h2", or "" ("auto").
	WS   string
	ID   int    // forced "id", 0: none
	GUID string // "guid", "": none

	slots slot.Values
}

// Slots are what others know of the line. Settings begin as copies of other ones
// ([slot.Slot.Edit]).
func (s *Settings) Slots() *slot.Values { return &s.slots }

// HashKey is what a server's places on the ring of consistent hashing are derived
// from ("hash-key").
type HashKey uint8

// Its values. A server that has no address, or no identifier, is known by its number.
const (
	ByID HashKey = iota
	ByAddr
	ByAddrPort
	ByID32
	ByGUID
)

// Check is what the server line says of its health checks. The kind of check is
// the backend's.
type Check struct {
	Enabled                   bool
	Addr                      reactor.Addr // invalid: the server's
	Port                      int          // 0: the server's
	Inter, FastInter, DnInter time.Duration
	Rise, Fall                int
}

// Admin flags, with the values that "show servers state" gives them.
type Admin uint8

// Administrative states (management.txt 9.3, "show servers state").
const (
	ForcedMaint    Admin = 0x01 // by the Runtime socket
	InheritedMaint Admin = 0x02 // from a tracked server
	ConfigMaint    Admin = 0x04 // "disabled" in the configuration
	ForcedDrain    Admin = 0x08
	InheritedDrain Admin = 0x10
	ResolveMaint   Admin = 0x20 // no address
	HostMaint      Admin = 0x40

	Maint = ForcedMaint | InheritedMaint | ConfigMaint | ResolveMaint | HostMaint
	Drain = ForcedDrain | InheritedDrain
)

// Op is the operational state, numbered as "show servers state" has it.
type Op uint8

// Operational states.
const (
	Stopped Op = iota
	Starting
	Running
	Stopping
)

// State is a copy of all that lives and changes in a server's state.
type State struct {
	Op         Op
	Admin      Admin
	UserWeight int // as set at run time or configured
	InitWeight int // as configured
	LastChange time.Time
	DownSince  time.Time
	DownTotal  time.Duration

	// Health goes from 0 to Rise+Fall-1; at Rise and above the server is up.
	Health       int
	CheckPaused  bool   // "disable health"
	CheckStatus  string // "L4OK", "L7STS" …; "" while none was made
	CheckResult  int    // 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed
	CheckCode    int    // HTTP status or SMTP code, 0: none
	CheckDesc    string
	CheckTook    time.Duration
	LastChecked  time.Time
	Checks       int64 // made
	CheckFails   int64 // failed while up
	Downs        int64 // transitions to down
	MaxConn      int   // in force, 0: no limit
	MinConn      int   // in force, not above MaxConn unless that was set at run time
	Addr         reactor.Addr
	AddrByUser   bool // set at run time
	WeightByUser bool
	MaxByUser    bool
}

// Counters is one reactor's share of a server's statistics.
type Counters struct {
	Sessions, Requests, Connects, Reuses counter.Int // Sessions: attempts to have it serve a stream
	Chosen                               counter.Int
	counter.Traffic
	ConnErrors, RespErrors, Retries, Redisp counter.Int
	ClientAborts, ServerAborts, DeniedResp  counter.Int
	Internal                                counter.Int
	Status                                  [6]counter.Int // 1xx … 5xx, other at 0
	counter.Durations
	TLS counter.TLS
	_   [64]byte
}

// Server is one server of a backend.
type Server struct {
	// What every request changes comes first: it has a cache line of its own, so that
	// one thread's requests do not take from the others what all of them read.

	// Cur is the number of streams being served, MaxCur its highest value; Queued
	// and MaxQueued the same for those waiting for this very server.
	Cur, MaxCur, Queued atomic.Int64
	// Idle is the number of idle connections of all reactors, Private those among
	// them that only one client uses; Used those in use, peak the highest Used since
	// need was last estimated.
	Idle, Used, peak atomic.Int64
	LastUsed         atomic.Int64 // reactor time of the last session, 0: never

	MaxQueued, Private atomic.Int64
	// need is how many connections the server's traffic takes at a time, highest the
	// highest peak before the present one.
	need, highest atomic.Int64
	// Granted is how many that waited for this very server were given a slot. It is
	// the queue's, under its lock.
	Granted int64

	Backend, Name string
	ID            int          // number within the backend, from 1
	Dynamic       bool         // added at run time, or in the configuration applied later
	Limit         atomic.Int64 // maxconn in force, 0: none; see [Server.Slots]
	Counters      counter.Shards[Counters]
	SessRate      counter.Rate

	// Pools are the idle connections, one a reactor, touched only by it.
	Pools []Pool

	// OnChange is told after each change that concerns load balancing.
	OnChange func(*Server)
	// OnState is told of transitions (up, down, maintenance) with the reason.
	OnState func(s *Server, old, cur State, reason string)

	settings atomic.Pointer[Settings]
	given    atomic.Pointer[Settings] // by the configuration, before anything was kept
	byUser   atomic.Bool              // something of the state was set at run time
	usable   atomic.Bool
	weight   atomic.Int32
	// effective is the weight in units of 1/Scale, which grows during a slow start;
	// floor is what the limit begins with where it follows the backend's load, 0
	// where it does not; warmth is the share of the limit that a slow start allows,
	// in percent.
	effective, warmth atomic.Int32
	floor             atomic.Int64
	load              atomic.Pointer[Load]
	addr              atomic.Pointer[reactor.Addr]
	deleted           atomic.Bool
	down              atomic.Bool

	mu    sync.Mutex
	state State
	slots slot.Live
}

// LiveSlots are what features keep of the server as long as it lives.
func (s *Server) LiveSlots() *slot.Live { return &s.slots }

// Use counts a connection that is taken into use.
func (s *Server) Use() { counter.Max(&s.peak, s.Used.Add(1)) }

// Spare tells whether one more idle connection would be more than what was in
// use at a time lately: connections that nobody takes again must not pile up.
func (s *Server) Spare() bool { return s.Used.Load()+s.Idle.Load() > s.Needed() }

// Needed is an estimate of how many connections the server's traffic takes at a
// time.
func (s *Server) Needed() int64 { return max(s.peak.Load(), s.need.Load()) }

// MaxUsed is the highest number of connections that were in use at a time.
func (s *Server) MaxUsed() int64 { return max(s.peak.Load(), s.highest.Load()) }

// Estimate forgets half of what was more than needed since the last call. One
// thread calls it regularly.
func (s *Server) Estimate() {
	peak := s.peak.Swap(s.Used.Load())
	counter.Max(&s.highest, peak)
	s.need.Store(max(peak, (s.need.Load()+peak)/2))
}

// New makes a server that is up, or in maintenance if its settings say so. now
// is the time of day.
func New(backend, name string, id, reactors int, set *Settings, now time.Time) *Server {
	s := &Server{Backend: backend, Name: name, ID: id, Counters: counter.New[Counters](reactors), Pools: make([]Pool, reactors)}
	s.settings.Store(set)
	s.given.Store(set)
	s.state = State{
		Op: Running, UserWeight: set.Weight, InitWeight: set.Weight, LastChange: now,
		Addr: set.Addr,
	}
	s.state.limits(set)
	if set.Disabled {
		s.state.Admin |= ConfigMaint
		s.state.Op = Stopped
	}
	if !set.Addr.IsValid() {
		s.state.Admin |= ResolveMaint
		s.state.Op = Stopped
	}
	s.state.Health = healthAt(set, s.state.Op)
	s.publish(now)
	return s
}

// healthAt is the health counter of a server that is just up or down: one
// failure short of down is the most that a first check can decide.
func healthAt(set *Settings, op Op) int {
	if op == Stopped {
		return 0
	}
	return set.Check.Rise // the first failed check brings it down, as in HAProxy
}

// Settings gives the settings in force.
func (s *Server) Settings() *Settings { return s.settings.Load() }

// Usable tells whether new streams may be sent to s.
func (s *Server) Usable() bool { return s.usable.Load() }

// Weight is the effective weight: 0 when draining or down.
func (s *Server) Weight() int { return int(s.weight.Load()) }

// Effective is the effective weight in units of 1/[Scale], which are what a slow
// start grows by.
func (s *Server) Effective() int { return int(s.effective.Load()) }

// Addr is the address in force.
func (s *Server) Addr() *reactor.Addr { return s.addr.Load() }

// Deleted tells whether s was removed: its connections are not kept.
func (s *Server) Deleted() bool { return s.deleted.Load() }

// MarkDeleted makes s unusable for good.
func (s *Server) MarkDeleted() {
	s.deleted.Store(true)
	s.usable.Store(false)
	s.weight.Store(0)
}

// State gives a copy of the state.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Update changes the state by f under the lock, publishes what follows from it
// and tells the backend. reason is for the log.
func (s *Server) Update(now time.Time, reason string, f func(*State)) {
	s.mu.Lock()
	old := s.state
	f(&s.state)
	if (old.Op == Stopped || old.Op == Stopping) && s.state.Op == Running && s.Settings().SlowStart > 0 {
		s.state.Op = Starting // until Warm says otherwise
	}
	if s.state.Op != old.Op || s.state.Admin != old.Admin {
		s.state.LastChange = now
		switch {
		case old.Op != Stopped && s.state.Op == Stopped:
			s.state.DownSince = now
		case old.Op == Stopped && s.state.Op != Stopped && !old.DownSince.IsZero():
			s.state.DownTotal += now.Sub(old.DownSince)
			s.state.DownSince = time.Time{}
		}
	}
	cur := s.state
	changed := s.publish(now)
	s.mu.Unlock()
	if changed && s.OnChange != nil {
		s.OnChange(s)
	}
	if s.OnState != nil && (cur.Op != old.Op || cur.Admin != old.Admin) {
		s.OnState(s, old, cur, reason)
	}
}

// SetAdmin sets and clears administrative flags and derives the operational
// state: a server in maintenance is stopped, one that leaves it is up unless its
// checks must find out first.
func (s *Server) SetAdmin(now time.Time, set, clear Admin, reason string) {
	s.Update(now, reason, func(st *State) {
		was := st.Admin
		st.Admin = st.Admin&^clear | set
		switch {
		case st.Admin&Maint != 0:
			st.Op = Stopped
			st.Health = 0
		case was&Maint != 0:
			set := s.Settings()
			st.Op = Running
			if set.Check.Enabled && !st.CheckPaused {
				st.Health = healthAt(set, Running)
			}
		}
	})
}

var replacing []func(old, new *Settings)

// OnReplace makes f be called when new settings take the place of old ones: what
// lives on behind the old ones, and what was set at run time, is carried into the
// new ones, which nobody else sees yet.
func OnReplace(f func(old, new *Settings)) { replacing = append(replacing, f) }

// Replace puts new settings in force, keeping what was set at run time unless
// the configuration itself says something new.
func (s *Server) Replace(now time.Time, set *Settings) {
	old := s.settings.Load()
	s.given.Store(set)
	kept := *set
	for _, f := range replacing {
		f(old, &kept)
	}
	set = &kept
	s.settings.Store(set)
	s.Update(now, "configuration", func(st *State) {
		if set.Weight != old.Weight || !st.WeightByUser {
			st.UserWeight, st.WeightByUser = set.Weight, false
		}
		st.InitWeight = set.Weight
		if set.MaxConn != old.MaxConn || set.MinConn != old.MinConn || !st.MaxByUser {
			st.limits(set)
			st.MaxByUser = false
		}
		if set.Addr != old.Addr || !st.AddrByUser {
			st.Addr, st.AddrByUser = set.Addr, false
		}
		if set.Addr.IsValid() {
			st.Admin &^= ResolveMaint
		}
		if set.Disabled != old.Disabled {
			if set.Disabled {
				st.Admin |= ConfigMaint
			} else {
				st.Admin &^= ConfigMaint
			}
		}
		if st.Admin&Maint != 0 {
			st.Op, st.Health = Stopped, 0
		} else if st.Op == Stopped && (old.Disabled && !set.Disabled || !set.Check.Enabled) {
			st.Op, st.Health = Running, healthAt(set, Running)
		}
		st.Health = min(st.Health, max(set.Check.Rise+set.Check.Fall-1, 0))
	})
}

// publish derives what the hot path reads. It returns whether what concerns load
// balancing changed.
func (s *Server) publish(now time.Time) bool {
	st := &s.state
	usable := st.Op != Stopped && st.Admin&(Maint|Drain) == 0 && !s.deleted.Load()
	w := st.UserWeight
	if !usable || st.Op == Stopping {
		w = 0
	}
	changed := s.usable.Swap(usable) != usable
	changed = s.weight.Swap(int32(w)) != int32(w) || changed
	eff, warmth := w*Scale, 100
	if past, whole := s.warming(now); st.Op == Starting && past < whole {
		warmth = 100 * past / whole
		if l := s.load.Load(); l == nil || !l.Static.Load() {
			eff = w * ((Scale*past + whole) / whole)
		}
	}
	changed = s.effective.Swap(int32(eff)) != int32(eff) || changed
	s.warmth.Store(int32(warmth))
	s.byUser.Store(st.Admin&(ForcedMaint|ForcedDrain) != 0 || st.WeightByUser || st.AddrByUser || st.MaxByUser || st.CheckPaused)
	s.tellByUser()
	s.down.Store(st.Op == Stopped || st.Admin&Maint != 0)
	floor := st.MinConn
	if floor == st.MaxConn {
		floor = 0
	}
	s.floor.Store(int64(floor))
	s.Limit.Store(int64(st.MaxConn))
	if a := s.addr.Load(); a == nil || *a != st.Addr {
		cp := st.Addr
		s.addr.Store(&cp)
	}
	return changed
}

// Up tells whether the server is up and not in maintenance (it may be
// draining).
func (s State) Up() bool { return s.Op != Stopped && s.Admin&Maint == 0 }

// Down tells whether s is stopped or in maintenance: its idle connections are of
// no use.
func (s *Server) Down() bool { return s.down.Load() }
