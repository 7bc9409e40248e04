package reactor

import (
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is left of one task, wait, descriptor or trim must not meet the next.

// spy is a system whose time is set, which takes down what is sent and how long
// the reactor waited.
type spy struct {
	Sys
	now    int64
	flags  []int // of sends
	pushed int   // TCP_NODELAY was set
	named  int   // Getsockname was called
	idle   int64 // how long each wait takes
}

func (s *spy) Now() int64 { return s.now }

func (s *spy) Send(fd int, p []byte, flags int) (int, syscall.Errno) {
	s.flags = append(s.flags, flags)
	return s.Sys.Send(fd, p, flags)
}

func (s *spy) SetsockoptInt(fd, level, opt, v int) syscall.Errno {
	if level == syscall.IPPROTO_TCP && opt == syscall.TCP_NODELAY {
		s.pushed++
	}
	return 0
}

func (s *spy) Getsockname(int) (Addr, syscall.Errno) {
	s.named++
	return Addr{Path: fmt.Sprint(s.named)}, 0
}

func (s *spy) NewPoller() (Poller, error) {
	p, err := s.Sys.NewPoller()
	return &idlePoller{p, s}, err
}

type idlePoller struct {
	Poller
	s *spy
}

func (p *idlePoller) Wait(list []Ready, ns int64) int {
	p.s.now += p.s.idle
	return p.Poller.Wait(list, 0)
}

func newSpy(t *testing.T) (*Reactor, *spy) {
	t.Helper()
	s := &spy{Sys: Linux, now: 1e9}
	r, err := New(0, s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, s
}

// pass lets time pass. What is due then comes in the second turn.
func (s *spy) pass(r *Reactor, d int64) {
	s.now += d
	r.Turn(0)
	r.Turn(0)
}

// The kernel is asked once a connection what its own address is.
func TestLocal(t *testing.T) {
	r, s := newSpy(t)
	a, _ := socketpair(t, r)
	for range 2 {
		if got := a.Local().Path; got != "1" {
			t.Errorf("%q: asked %d times", got, s.named)
		}
	}
	a.Close()
	if got := a.Local().Path; got != "1" {
		t.Errorf("%q after the end", got)
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	if err := r.Open(a, p[0], nil); err != nil {
		t.Fatal(err)
	}
	if got := a.Local().Path; got != "2" {
		t.Errorf("%q of the next connection", got)
	}
	a.Close()
	if new(FD).Local() != (Addr{}) || s.named != 2 {
		t.Error("what was never open has an address")
	}
}

// Being killed is told again and again, and to nobody else.
func TestKilledUntilTheEnd(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	var first *Coro
	var got []error
	r.Go(func() {
		first = r.Current()
		for range 3 {
			got = append(got, a.WaitRead(0))
		}
	})
	first.Kill()
	if len(got) != 3 || got[0] != ErrKilled || got[1] != ErrKilled || got[2] != ErrKilled {
		t.Fatalf("waits of a task that was killed: %v", got)
	}
	var second *Coro
	var err error
	over := false
	r.Go(func() {
		second = r.Current()
		err = a.WaitRead(r.Now() + 1e6)
		over = true
	})
	if second != first {
		t.Fatal("the coroutine is not used again")
	}
	until(t, r, func() bool { return over })
	if err != ErrTimeout {
		t.Errorf("the next task's wait: %v", err)
	}
}

func TestWakeUpIsNotPassedOn(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	r.Go(func() { r.Current().Wake() })
	over := false
	r.Go(func() {
		a.WaitRead(0)
		over = true
	})
	if over {
		t.Error("a wait ended for the wake-up of the task before")
	}
	a.Close()
	until(t, r, func() bool { return over })
}

func TestKilledWhileWaitingForHelpers(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	var co *Coro
	var w Waiter
	done, over := false, false
	var err error
	r.Go(func() {
		co = r.Current()
		w.Until(r, func() bool { return done })
		err = a.WaitRead(0)
		over = true
	})
	co.Kill()
	if over {
		t.Fatal("who waits for helpers does so whatever happens")
	}
	done = true
	w.Notify()
	if !over || err != ErrKilled {
		t.Errorf("over %v, %v", over, err)
	}
}

// A deadline that has passed ends a wait before it begins.
func TestPassedDeadline(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	for _, deadline := range []int64{r.Now(), r.Now() - 1e9} {
		over := false
		r.Go(func() {
			if err := a.WaitRead(deadline); err != ErrTimeout {
				t.Error(err)
			}
			over = true
		})
		if !over {
			t.Errorf("a deadline %d ns ago is waited for", r.Now()-deadline)
			until(t, r, func() bool { return over })
		}
	}
}

// The deadline of a wait that ended early does not end the next one.
func TestDeadlineOfTheWaitBefore(t *testing.T) {
	r, s := newSpy(t)
	a, b := socketpair(t, r)
	ended := 0
	r.Go(func() {
		for range 2 {
			var deadline int64
			if ended == 0 {
				deadline = r.Now() + 1e6
			}
			if err := a.WaitRead(deadline); err != nil {
				t.Error(err)
			}
			ended++
			a.TryRead(make([]byte, 10))
		}
	})
	b.TryWrite([]byte("x"), 0)
	until(t, r, func() bool { return ended == 1 })
	s.pass(r, 1e9)
	if ended != 1 {
		t.Error("ended by a deadline that is not its own")
	}
	b.TryWrite([]byte("x"), 0)
	until(t, r, func() bool { return ended == 2 })
}

func TestCloseWakesWhoWaits(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	var errs []error
	r.Go(func() {
		for a.CanWrite() {
			if _, err := a.TryWrite(make([]byte, 1<<16), 0); err != nil {
				t.Error(err)
			}
		}
		errs = append(errs, a.WaitWrite(0))
	})
	r.Go(func() { errs = append(errs, a.WaitRead(0)) })
	if len(errs) != 0 {
		t.Fatal(errs)
	}
	a.Close()
	if len(errs) != 2 || errs[0] != ErrClosed || errs[1] != ErrClosed {
		t.Errorf("%v", errs)
	}
}

// The time of a write begins anew with what the peer takes.
func TestWriteTimeWithoutProgress(t *testing.T) {
	const timeout = 1e9
	r, s := newSpy(t)
	a, b := socketpair(t, r)
	var err error
	sent, over := 0, false
	r.Go(func() {
		sent, err = a.Write(make([]byte, 4<<20), 0, timeout)
		over = true
	})
	buf := make([]byte, 1<<20)
	steps := 0
	for ; !over && steps < 1000; steps++ {
		s.pass(r, timeout*6/10)
		for {
			if n, e := unix.Read(b.Fd(), buf); e != nil || n == 0 {
				break
			}
		}
		r.Turn(0)
	}
	if sent != 4<<20 || err != nil || steps < 3 {
		t.Fatalf("%d sent in %d steps: %v", sent, steps, err)
	}
	over = false
	r.Go(func() {
		sent, err = a.Write(make([]byte, 4<<20), 0, timeout)
		over = true
	})
	for range 3 {
		r.Turn(0) // the peer has room for some of it
	}
	s.pass(r, timeout-1)
	if over {
		t.Error("too early")
	}
	s.pass(r, 2)
	if !over || err != ErrTimeout {
		t.Errorf("over %v, %v", over, err)
	}
}

// What was promised and did not follow leaves at the end of the turn. What one
// descriptor wished and promised is not the next one's.
func TestPromises(t *testing.T) {
	r, s := newSpy(t)
	var f FD
	open := func() {
		t.Helper()
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(p[1]) })
		if err := r.Open(&f, p[0], nil); err != nil {
			t.Fatal(err)
		}
	}
	say := func(flags int) {
		t.Helper()
		if _, err := f.TryWrite([]byte("x"), flags); err != nil {
			t.Fatal(err)
		}
	}
	pushed := func(want int, when string) {
		t.Helper()
		s.pushed = 0
		if r.Turn(0); s.pushed != want {
			t.Errorf("%s: pushed %d times, want %d", when, s.pushed, want)
		}
	}
	open()
	say(More)
	pushed(1, "more was promised")
	pushed(0, "once is enough")
	say(More)
	say(0)
	pushed(0, "it followed")
	say(More)
	f.Close() // it promised more
	open()
	say(More)
	pushed(1, "a new descriptor")

	f.Prompt(true)
	s.flags = nil
	say(More)
	f.Close()
	open()
	say(More)
	if len(s.flags) != 2 || s.flags[0]&More != 0 || s.flags[1]&More == 0 {
		t.Errorf("flags %x", s.flags)
	}
	f.Close()
}

// flat counts how often it is readable.
type flat struct {
	n  int
	do func()
}

func (h *flat) Readable() {
	h.n++
	if h.do != nil {
		h.do()
	}
}

// An event of a descriptor that is closed by who is told before it is not told to
// the one that has its number next.
func TestEventOfTheNumberBefore(t *testing.T) {
	r := newTest(t)
	var fds [2]FD
	var fresh FD
	var next flat
	var told [2]flat
	spare, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(spare[0]); unix.Close(spare[1]) })
	for i := range fds {
		told[i].do = func() {
			if fresh.IsOpen() {
				return
			}
			other := &fds[1-i]
			n := other.Fd()
			other.Close()
			if err := unix.Dup2(spare[0], n); err != nil {
				t.Fatal(err)
			}
			if err := r.Open(&fresh, n, &next); err != nil {
				t.Fatal(err)
			}
		}
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(p[1]) })
		if err := r.Open(&fds[i], p[0], &told[i]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fds[i].Close)
		unix.Write(p[1], []byte("x"))
	}
	t.Cleanup(fresh.Close)
	until(t, r, func() bool { return told[0].n+told[1].n > 0 })
	if told[0].n+told[1].n != 1 || next.n != 0 {
		t.Errorf("told %d and %d, the next %d", told[0].n, told[1].n, next.n)
	}
}

func TestIdleTime(t *testing.T) {
	r, s := newSpy(t)
	s.idle = 7e6
	for range 3 {
		r.Turn(1e9)
	}
	if n := r.IdleNs.Load(); n != 21e6 {
		t.Errorf("%d ns idle of 21000000", n)
	}
}

// EachFrom visits every descriptor once, however large the steps.
func TestEachFrom(t *testing.T) {
	for _, step := range []int{1, 2, 3, 7, 1000, 5000} {
		r := newTest(t)
		hs := make([]flat, 5)
		for i := range hs {
			a, _ := socketpair(t, r)
			a.SetIdle(&hs[i])
		}
		seen := map[Handler]int{}
		at, steps := 0, 0
		for ; steps < 5000; steps++ {
			if at = r.EachFrom(at, step, func(h Handler) { seen[h]++ }); at == 0 {
				break
			}
		}
		if at != 0 {
			t.Errorf("steps of %d: no end", step)
		}
		for i := range hs {
			if seen[&hs[i]] != 1 {
				t.Errorf("steps of %d: visited %d times", step, seen[&hs[i]])
			}
		}
	}
}

// Half of what nobody needed since the last trim is given back.
func TestPoolTrim(t *testing.T) {
	var p pool[int]
	for i := range 10 {
		p.put(i)
	}
	p.trim() // nothing was there all the time
	if len(p.free) != 10 {
		t.Fatalf("%d are left of 10 that are new", len(p.free))
	}
	for _, step := range []struct{ used, gone int }{{8, 1}, {9, 0}, {0, 5}, {0, 2}, {1, 1}} {
		var out []int
		for range step.used {
			x, _ := p.get()
			out = append(out, x)
		}
		for _, x := range out {
			p.put(x)
		}
		before := len(p.free)
		if gone := len(p.trim()); gone != step.gone || len(p.free) != before-gone {
			t.Errorf("%d of %d were used: %d given back, %d left; want %d", step.used, before, gone, len(p.free), step.gone)
		}
	}
}

// Only buffers of the pool's size come into it.
func TestReleaseOfAnotherSize(t *testing.T) {
	r := newTest(t)
	before := r.Lent()
	for _, n := range []int{r.BufSize() / 2, 2 * r.BufSize()} {
		r.Release(make([]byte, n))
	}
	if r.Lent() != before || len(r.bufs.free) != 0 {
		t.Errorf("%d lent, %d in the pool", r.Lent(), len(r.bufs.free))
	}
	b := r.Buffer()
	r.Release(b)
	if len(r.bufs.free) != 1 {
		t.Error("a buffer of the pool is not taken back")
	}
}

// relayOf is a relay of a function.
type relayOf func() bool

func (f relayOf) Relay() bool { return f() }

// A relay is asked in place of the coroutine until it has had enough, and only while
// that one waits by it.
func TestWaitRelay(t *testing.T) {
	r, s := newSpy(t)
	a, b := socketpair(t, r)
	buf := make([]byte, 10)
	var said, got string
	enough := false
	var errs []error
	r.Go(func() {
		relay := relayOf(func() bool {
			n, _ := a.TryRead(buf)
			said += string(buf[:n])
			return !enough
		})
		errs = append(errs, a.WaitRelay(relay, 0))
		errs = append(errs, a.WaitRead(0))
		n, _ := a.TryRead(buf)
		got += string(buf[:n])
		errs = append(errs, a.WaitRelay(relay, r.Now()+10))
	})
	for _, text := range []string{"a", "b", "c", "d", "e"} {
		enough = text == "c"
		b.TryWrite([]byte(text), 0)
		r.Turn(0)
	}
	if said != "abce" || got != "d" || len(errs) != 2 {
		t.Errorf("the relay had %q, the coroutine %q, waits ended with %v", said, got, errs)
	}
	s.pass(r, 10)
	if len(errs) != 3 || errs[2] != ErrTimeout {
		t.Errorf("waits ended with %v", errs)
	}
}
