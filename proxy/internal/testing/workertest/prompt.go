package workertest

import (
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// prompt is the real system, under which a test fails when a reactor waits while
// the kernel keeps bytes of one of its connections back, because more of them
// was promised. It is what a client notices as a delay of 200 ms.
type prompt struct {
	reactor.Sys
	t       testing.TB
	sockets [1 << 14]struct {
		owner atomic.Pointer[watcher] // numbers are used again, by another reactor perhaps
		kept  atomic.Bool
	}
	*Sends
}

// Sends counts what a worker asked of the kernel.
type Sends struct {
	// Count is how many sends there were (not splices), More those that promised more, Pushed how
	// often a promise was taken back, and Shut how many connections were half closed.
	Count, More, Pushed, Shut atomic.Int64
}

// watcher is a poller that looks for broken promises before it waits.
type watcher struct {
	reactor.Poller
	sys  *prompt
	kept []int
}

func (s *prompt) NewPoller() (reactor.Poller, error) {
	p, err := s.Sys.NewPoller()
	return &watcher{Poller: p, sys: s}, err
}

func (w *watcher) Add(fd int, tag uint64) syscall.Errno {
	if fd < len(w.sys.sockets) {
		w.sys.sockets[fd].owner.Store(w)
	}
	return w.Poller.Add(fd, tag)
}

func (w *watcher) Wait(out []reactor.Ready, timeout int64) int {
	for _, fd := range w.kept {
		if w.sys.sockets[fd].kept.Swap(false) {
			w.sys.t.Errorf("a reactor waits while the end of what descriptor %d sent is kept back", fd)
		}
	}
	w.kept = w.kept[:0]
	return w.Poller.Wait(out, timeout)
}

// count notes a send before the peer can see it.
func (s *prompt) count(flags int) (more bool) {
	s.Count.Add(1)
	if more = flags&reactor.More != 0; more {
		s.More.Add(1)
	}
	return more
}

// taken notes that k of n bytes were taken.
func (s *prompt) taken(fd, k, n int, more bool) {
	if fd >= len(s.sockets) || k <= 0 {
		return
	}
	more = more && k == n
	v := &s.sockets[fd]
	if owner := v.owner.Load(); v.kept.Swap(more) != more && more && owner != nil {
		owner.kept = append(owner.kept, fd)
	}
}

func (s *prompt) Send(fd int, p []byte, flags int) (int, syscall.Errno) {
	more := s.count(flags)
	k, e := s.Sys.Send(fd, p, flags)
	s.taken(fd, k, len(p), more)
	return k, e
}

func (s *prompt) Sendv(fd int, a, b []byte, flags int) (int, syscall.Errno) {
	more := s.count(flags)
	k, e := s.Sys.Sendv(fd, a, b, flags)
	s.taken(fd, k, len(a)+len(b), more)
	return k, e
}

func (s *prompt) Splice(from, to, n int, more bool) (int, syscall.Errno) {
	k, e := s.Sys.Splice(from, to, n, more)
	s.taken(to, k, n, more)
	return k, e
}

func (s *prompt) SetsockoptInt(fd, level, opt, val int) syscall.Errno {
	if level == syscall.IPPROTO_TCP && opt == syscall.TCP_NODELAY && fd < len(s.sockets) && s.sockets[fd].kept.Swap(false) {
		s.Pushed.Add(1)
	}
	return s.Sys.SetsockoptInt(fd, level, opt, val)
}

func (s *prompt) Shutdown(fd, how int) syscall.Errno {
	s.Shut.Add(1)
	s.gone(fd)
	return s.Sys.Shutdown(fd, how)
}

func (s *prompt) Close(fd int) syscall.Errno {
	s.gone(fd)
	return s.Sys.Close(fd)
}

// gone notes that a FIN takes along what was kept back.
func (s *prompt) gone(fd int) {
	if fd >= 0 && fd < len(s.sockets) {
		s.sockets[fd].kept.Store(false)
	}
}
