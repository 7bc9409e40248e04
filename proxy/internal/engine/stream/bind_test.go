package stream_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// listens is a system that tells what is asked of listening sockets.
type listens struct {
	reactor.Sys
	backlog atomic.Int64
}

func (l *listens) Listen(fd, backlog int) syscall.Errno {
	l.backlog.Store(int64(backlog))
	return l.Sys.Listen(fd, backlog)
}

// TestBacklog: what the kernel is told of a listening socket's queue.
func TestBacklog(t *testing.T) {
	sys := &listens{Sys: reactor.Linux}
	r, err := reactor.New(0, sys, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w := stream.NewWorker([]*reactor.Reactor{r})
	front := &stream.Proxy{Name: "web", Frontend: true, FE: stream.NewFrontState("web", 1)}
	for i, c := range []struct{ backlog, maxconn, want int }{{0, 0, 4096}, {77, 0, 77}, {0, 55, 55}, {77, 55, 77}} {
		for _, a := range []reactor.Addr{{IP: netip.MustParseAddr("127.0.0.1")}, {Path: fmt.Sprintf("%s/%d", t.TempDir(), i)}} {
			if _, err := w.OpenListener(&stream.Bind{Addr: a, FD: -1, UID: -1, GID: -1, Backlog: c.backlog, MaxConn: c.maxconn}, front, nil); err != nil {
				t.Fatal(err)
			}
			if got := sys.backlog.Load(); got != int64(c.want) {
				t.Errorf("%+v, %s: the kernel is told %d", c, a, got)
			}
		}
	}
}

// TestBindMaxConn: a bind line with "maxconn" accepts no more until one of its
// connections ends; the frontend's other lines go on.
func TestBindMaxConn(t *testing.T) {
	s := stage(t, "frontend f\n bind 10.0.0.1:80 maxconn 2\n bind 10.0.0.1:81\n default_backend x\nbackend x\n server s1 10.2.0.1:80\n")
	s.Listen("10.2.0.1:80").Serve(func(string) string { return ok })
	var peers []*sim.Peer
	for range 4 {
		p := s.Dial("10.0.0.1:80")
		p.Send(get)
		peers = append(peers, p)
	}
	answered := func() (n int) {
		s.Pass(time.Second)
		for _, p := range peers {
			if strings.Contains(p.Got(), "200 OK") {
				n++
			}
		}
		return n
	}
	if n := answered(); n != 2 {
		t.Errorf("%d connections are served, want 2", n)
	}
	for range 3 {
		other := s.Dial("10.0.0.1:81")
		other.Send(get)
		other.Expect("ok")
	}
	peers[0].Close()
	if n := answered(); n != 3 {
		t.Errorf("%d connections are served after one has left, want 3", n)
	}
}

// TestNewBacklog: a listener that goes on under another configuration has its
// queue, unless it is paused.
func TestNewBacklog(t *testing.T) {
	sys := &listens{Sys: reactor.Linux}
	r, err := reactor.New(0, sys, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := stream.NewWorker([]*reactor.Reactor{r})
	w.Init()
	workertest.Run(t, w)
	front := &stream.Proxy{Name: "web", Frontend: true, FE: stream.NewFrontState("web", 1)}
	bind := func(backlog int) *stream.Bind {
		return &stream.Bind{Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1")}, FD: -1, UID: -1, GID: -1, Backlog: backlog}
	}
	l, err := w.OpenListener(bind(77), front, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Start()
	for _, c := range []struct {
		backlog, want int64
		paused        bool
	}{{99, 99, false}, {99, 0, false}, {55, 0, true}, {44, 44, false}} {
		sys.backlog.Store(0)
		front.FE.Paused.Store(c.paused)
		l.Replace(bind(int(c.backlog)), front)
		done := make(chan struct{})
		r.Post(func() { close(done) })
		<-done
		if got := sys.backlog.Load(); got != c.want {
			t.Errorf("%+v: the kernel is told %d", c, got)
		}
	}
}
