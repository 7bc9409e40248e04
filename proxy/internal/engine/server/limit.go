package server

import (
	"sync/atomic"
	"time"
)

// Scale is how finely a slow start raises a weight.
const Scale = 16

// Load is what a server's limit and weight follow of its backend.
type Load struct {
	// Cur is the number of streams in the backend, Full how many let its servers
	// have as many as maxconn says ("fullconn").
	Cur  *atomic.Int64
	Full atomic.Int64
	// Static tells that the weights of servers do not change while they are up.
	Static atomic.Bool
	// ByUser tells that there may be servers of which something was set at run time.
	ByUser atomic.Bool
}

// Follow makes s follow the load of its backend.
func (s *Server) Follow(l *Load) {
	s.load.Store(l)
	s.tellByUser()
}

// Slots is how many streams s may serve at the moment, 0: any number. It is on the
// ramp from minconn to maxconn while the backend is not full, and less while s has
// not warmed up.
func (s *Server) Slots() int64 {
	n := s.Limit.Load()
	if n == 0 {
		return 0
	}
	if floor := s.floor.Load(); floor > 0 {
		if l := s.load.Load(); l != nil {
			if cur, full := l.Cur.Load(), l.Full.Load(); cur < full {
				n = max(floor, cur*n/full)
			}
		}
	}
	if w := int64(s.warmth.Load()); w < 100 {
		n = max(n*w/100, 1)
	}
	return n
}

// warming gives the seconds since s came up, and those of its slow start.
func (s *Server) warming(now time.Time) (past, whole int) {
	whole = int((s.Settings().SlowStart + time.Second - 1) / time.Second)
	return int(max(now.Unix()-s.state.LastChange.Unix(), 0)), whole
}

// Warm lets s take more, as a slow start has gone on. It tells whether that has
// ended. It is called every second.
func (s *Server) Warm(now time.Time) (done bool) {
	s.mu.Lock()
	past, whole := s.warming(now)
	if s.state.Op == Starting && past >= whole {
		s.state.Op = Running // nobody is told: it was up before
	}
	done = s.state.Op != Starting
	changed := s.publish(now)
	s.mu.Unlock()
	if changed && s.OnChange != nil {
		s.OnChange(s)
	}
	return done
}

// Throttle is the share of its weight that s has during a slow start, in percent.
func (s *Server) Throttle() int {
	w := s.Weight() * Scale
	if w == 0 {
		return 100
	}
	return (100*s.Effective() + w - 1) / w
}

// limits puts the limits of the configuration in force.
func (st *State) limits(set *Settings) {
	st.MaxConn, st.MinConn = set.MaxConn, set.MinConn
	if st.MinConn == 0 {
		st.MinConn = st.MaxConn
	}
}

// SetMaxConn puts another limit in force, at run time. One that follows the load
// of the backend begins where it did.
func (st *State) SetMaxConn(n int) {
	if st.MinConn == st.MaxConn {
		st.MinConn = n
	}
	st.MaxConn, st.MaxByUser = n, true
}
