package stream

import (
	"crypto/tls"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/http2"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Bind is one address of a "bind" line.
type Bind struct {
	Addr           reactor.Addr
	Pos            config.Pos
	Name           string
	ID             int
	Interface      string
	MaxConn        int
	Backlog        int
	V4V6           bool
	V6Only         bool
	Transparent    bool
	DeferAccept    bool
	TFO            bool
	MSS            int
	TCPUserTimeout int // ms
	Level          int // stats sockets: see runtimeapi
	ExposeFD       bool
	Mode           os.FileMode // UNIX sockets, 0: default
	UID, GID       int         // UNIX sockets, -1: unchanged
	// FD is the descriptor that fd@N or sockpair@N means in this process, -1 for
	// other addresses; Pair tells that it is one that connections are passed over.
	FD   int
	Pair bool
	// Threads are the reactors that accept, nil for all; Shards is how many sockets
	// they have, 0 for one each.
	Threads []int
	Shards  int
	// TLS, if set, secures the connections. It is never changed: what may change
	// at run time is behind its callbacks.
	TLS *tls.Config
	// Greeting is what clients have to say first.
	Greeting Greeting
	// Proto is the protocol that "proto" forces by its name, or "" for what the
	// connection itself says.
	Proto string
	// IdlePing is how often idle HTTP/2 connections are asked whether they live; 0:
	// never.
	IdlePing time.Duration

	// Twin is the bind's number among the Twins that listen on one address, from 0:
	// the kernel spreads connections over them.
	Twin, Twins int

	// Handler, if set, serves accepted connections instead of the proxy's mode:
	// the Runtime socket is one.
	Handler func(*ClientConn)

	slots slot.Values
}

// Slots are what features know of the line.
func (b *Bind) Slots() *slot.Values { return &b.slots }

// Key identifies the socket: binds of two configurations with the same key
// share it.
func (b *Bind) Key() string {
	k := b.Addr.String()
	if b.Interface != "" {
		k += "@" + b.Interface
	}
	if b.Twin > 0 {
		k += "#" + strconv.Itoa(b.Twin)
	}
	return k
}

// FrontCounters is one reactor's share of a frontend's statistics.
type FrontCounters struct {
	Conns, Sessions, Requests counter.Int
	counter.Traffic
	DeniedReq, DeniedResp, ReqErrors counter.Int
	DeniedConn, DeniedSess           counter.Int
	Intercepted, LogLines            counter.Int
	FailedRewrites, Internal         counter.Int
	H2Sess, H2Req                    counter.Int // over HTTP/2
	Status                           [6]counter.Int
	TLS                              counter.TLS
	H2                               http2.Counters
	_                                [64]byte
}

// FrontState is what lives of a frontend.
type FrontState struct {
	Name  string
	Limit atomic.Int64 // maxconn in force
	// Paused is set by "disable frontend", Stopped by "shutdown frontend".
	Paused, Stopped             atomic.Bool
	Counters                    counter.Shards[FrontCounters]
	ConnRate, SessRate, ReqRate counter.Rate
	slots                       slot.Live

	// What every connection changes has cache lines of its own.
	_        counter.Line
	Cur, Max atomic.Int64
	limiter  limiter // rate-limit sessions
	_        counter.Line
}

// LiveSlots are what features keep of the frontend as long as it lives.
func (f *FrontState) LiveSlots() *slot.Live { return &f.slots }

// NewFrontState makes the state of a frontend.
func NewFrontState(name string, reactors int) *FrontState {
	return &FrontState{Name: name, Counters: counter.New[FrontCounters](reactors)}
}

// ListenerName is what the listener is called: the bind's name, or "sock-" and its
// number.
func (b *Bind) ListenerName() string {
	if b.Name != "" {
		return b.Name
	}
	return fmt.Sprintf("sock-%d", b.ID)
}
