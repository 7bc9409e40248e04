package runtimeapi

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
)

// What holds where the configuration says nothing (configuration.txt 3.1,
// "stats timeout" and "stats maxconn").
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxConn = 10
)

// maxWaiting bounds the connections that wait for others to end.
const maxWaiting = 256

// Payloads are the largest payloads of commands, where the configuration says so
// ("tune.cli.max-payload-size"), in bytes.
var Payloads = slot.New[*stream.Global, int]()

func init() {
	conf.RegisterNumber(conf.Number{
		Name: "tune.cli.max-payload-size", Low: 1, High: 64 << 20, Size: true, InPlace: true, Want: "a positive integer argument of at most 64m.",
		Set: func(g *stream.Global, n int) { Payloads.Set(g, n) },
	})
	conf.Register(
		conf.Keyword{Name: "stats timeout", In: conf.Global, InPlace: true, Max: 1, Parse: statsTimeout},
		conf.Keyword{Name: "stats maxconn", In: conf.Global, InPlace: true, Max: 1, Parse: statsMaxconn},
	)
	conf.RegisterFinish(func(c *conf.Ctx) {
		s := conf.Runtime.Of(c.Snap.Global)
		if s == nil {
			return
		}
		if s.Timeout == 0 {
			s.Timeout = DefaultTimeout
		}
		if s.MaxConn == 0 {
			s.MaxConn = DefaultMaxConn
		}
		g := &gate{max: s.MaxConn}
		for _, b := range s.Binds {
			b.Handler = handler(g, s.Timeout)
		}
	})
}

// handler serves the connections of a "stats socket".
func handler(g *gate, timeout time.Duration) func(*stream.ClientConn) {
	return func(s *stream.ClientConn) {
		s.Conn.SetIdle(nil) // it is no stream
		r := s.Reactor()
		r.Go(func() {
			defer func() {
				s.Conn.Close()
				s.Listener.Cur.Add(-1)
			}()
			if !g.enter(r) {
				return
			}
			defer g.leave()
			w, b := s.Listener.Worker(), s.Listener.Bind.Load()
			if s.Secure(r.After(timeout)) != nil {
				return
			}
			o := Options{Worker: w, Level: Level(b.Level), Timeout: timeout, ExposeFD: b.ExposeFD, MaxLine: w.Snapshot().Global.BufSize}
			if o.Level == 0 {
				o.Level = Operator
			}
			Serve(&s.Conn, Worker, o)
		})
	}
}

// Attach serves a descriptor that is connected already, such as one end of a
// socket pair, in a coroutine of its own, and closes it at the end. done may be
// nil. It must be called on r.
func Attach(r *reactor.Reactor, n int, set *Set, o Options, done func()) error {
	fd := &transport.Conn{}
	if err := r.Open(&fd.FD, n, nil); err != nil {
		return err
	}
	r.Go(func() {
		defer func() {
			fd.Close()
			if done != nil {
				done()
			}
		}()
		Serve(fd, set, o)
	})
	return nil
}

// gate lets max connections in; others wait for their turn.
type gate struct {
	max     int
	mu      sync.Mutex
	inside  int
	waiting []*waiting
}

type waiting struct {
	r    *reactor.Reactor
	wait reactor.Waiter
	in   bool // touched by r only
}

// enter parks until there is room. It returns false when too many wait.
func (g *gate) enter(r *reactor.Reactor) bool {
	g.mu.Lock()
	if g.inside < g.max {
		g.inside++
		g.mu.Unlock()
		return true
	}
	if len(g.waiting) >= maxWaiting {
		g.mu.Unlock()
		return false
	}
	e := &waiting{r: r}
	g.waiting = append(g.waiting, e)
	g.mu.Unlock()
	for !e.in {
		if err := e.wait.Wait(r, 0); err == reactor.ErrKilled {
			if !g.cancel(e) {
				g.leave() // its turn was on the way
			}
			return false
		}
	}
	return true
}

// cancel takes e out of those who wait. It returns false if e is not there any
// more.
func (g *gate) cancel(e *waiting) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, e)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// leave gives the place to who waits longest.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.inside--
		return
	}
	e := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	e.r.Post(func() { e.in = true; e.wait.Notify() })
}

func statsTimeout(c *conf.Ctx) error {
	d, err := config.ParseTime(c.Arg(0), time.Millisecond)
	var bad *config.CharError
	switch {
	case errors.As(err, &bad):
		return conf.Causef("unexpected character '%c'", bad.Char)
	case errors.Is(err, config.ErrTimeOverflow):
		return c.Errorf("timer overflow in argument '%s' to 'stats timeout' (maximum value is 2147483647 ms or ~24.8 days)", c.Arg(0))
	case err != nil:
		return conf.Predicatef("expects a positive value")
	}
	if d == 0 {
		return conf.Predicatef("expects a positive value")
	}
	conf.Runtime.Make(c.Snap.Global).Timeout = d
	return nil
}

func statsMaxconn(c *conf.Ctx) error {
	n, err := strconv.Atoi(c.Arg(0))
	if err != nil || n <= 0 || n > math.MaxInt32 {
		return conf.Predicatef("expects a positive value")
	}
	conf.Runtime.Make(c.Snap.Global).MaxConn = n
	return nil
}
