package reactor

import (
	"io"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func newTest(t *testing.T) *Reactor {
	t.Helper()
	r, err := New(0, Linux, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func socketpair(t *testing.T, r *Reactor) (a, b *FD) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b = new(FD), new(FD)
	for i, f := range []*FD{a, b} {
		if err := r.Open(f, p[i], nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Close)
	}
	return a, b
}

// until turns the loop until done, failing after far more turns than any test
// needs.
func until(t *testing.T, r *Reactor, done func() bool) {
	t.Helper()
	for range 100000 {
		if done() {
			return
		}
		r.Turn(1e8)
	}
	t.Fatal("the loop does not get there")
}

// setClock is a system whose time is set.
type setClock struct {
	Sys
	now int64
}

func (c *setClock) Now() int64 { return c.now }

func TestUsage(t *testing.T) {
	c := &setClock{Linux, 1e9}
	r, err := New(0, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, step := range []struct{ span, idle, want int64 }{
		{usageSpan, usageSpan / 4, 75},
		{usageSpan / 2, 0, 75}, // not yet
		{usageSpan / 2, 0, 100},
		{10 * usageSpan, 10 * usageSpan, 0},
	} {
		c.now += step.span
		r.IdleNs.Add(step.idle)
		r.Turn(0)
		if int64(r.Usage()) != step.want {
			t.Errorf("%+v: %d", step, r.Usage())
		}
	}
}

func TestEcho(t *testing.T) {
	r := newTest(t)
	a, b := socketpair(t, r)
	var got string
	r.Go(func() {
		buf := make([]byte, 100)
		for {
			n, err := b.Read(buf, 0)
			if err != nil {
				b.Close()
				return
			}
			b.Write(buf[:n], 0, 0)
		}
	})
	ended := false
	r.Go(func() {
		buf := make([]byte, 100)
		for range 3 {
			a.Write([]byte("hello "), 0, 0)
			n, err := a.Read(buf, 0)
			if err != nil {
				t.Error(err)
			}
			got += string(buf[:n])
		}
		a.CloseWrite()
		if _, err := a.Read(buf, 0); err != io.EOF {
			t.Errorf("at the end: %v, want EOF", err)
		}
		ended = true
	})
	until(t, r, func() bool { return ended })
	if got != "hello hello hello " {
		t.Errorf("got %q", got)
	}
}

func TestReadDeadline(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	var err error
	r.Go(func() { _, err = a.Read(make([]byte, 1), r.Now()+1e6) })
	until(t, r, func() bool { return err != nil })
	if err != ErrTimeout {
		t.Errorf("%v, want a timeout", err)
	}
}

func TestKill(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	var err, again error
	var co *Coro
	r.Go(func() {
		co = r.Current()
		_, err = a.Read(make([]byte, 1), 0)
		again = r.Sleep(1e9)
	})
	co.Kill()
	until(t, r, func() bool { return again != nil })
	if err != ErrKilled || again != ErrKilled {
		t.Errorf("%v, %v, want both killed", err, again)
	}
}

func TestPanicEndsOneTaskOnly(t *testing.T) {
	r := newTest(t)
	var said any
	r.OnPanic = func(p any, _ []byte) { said = p }
	r.Go(func() { panic("oops") })
	ran := false
	r.Go(func() { ran = true })
	if said != "oops" || !ran || r.Panics.Load() != 1 {
		t.Errorf("said %v, next ran %v, counted %d", said, ran, r.Panics.Load())
	}
}

// clumsy is a handler whose callbacks panic.
type clumsy struct {
	FD
	told int
}

func (c *clumsy) Readable() { panic("oops") }

func (c *clumsy) Fire() { panic("oops") }

func (c *clumsy) Panicked() {
	c.told++
	panic("again")
}

// A panic of a callback ends that callback alone, whatever called it, and so does
// one of who is told of it.
func TestPanicEndsOneCallbackOnly(t *testing.T) {
	r := newTest(t)
	said := 0
	r.OnPanic = func(any, []byte) { said++ }
	a, b := socketpair(t, r)
	c := new(clumsy)
	a.SetIdle(c)
	b.Write([]byte("x"), 0, 0)
	timer := Timer{Fire: c}
	r.Set(&timer, r.now)
	last := false
	r.Post(func() { panic("oops") })
	r.Post(func() { last = true })
	until(t, r, func() bool { return c.told == 2 })
	if !last || said != 5 || r.Panics.Load() != 5 {
		t.Errorf("next ran %v, told %d times, counted %d", last, said, r.Panics.Load())
	}
	ran := false
	r.Go(func() { ran = true })
	if !ran {
		t.Error("no coroutine runs any more")
	}
}

func TestTimers(t *testing.T) {
	r := newTest(t)
	var order []int
	var ts [20]Timer
	for i := range ts {
		ts[i].Fire = FireFunc(func() { order = append(order, i) })
		r.Set(&ts[i], r.now+int64(20-i)*1e5)
	}
	r.Set(&ts[0], r.now+30*1e5) // later
	r.Set(&ts[5], r.now+1)      // earlier
	ts[7].Unset()
	r.Remove(&ts[9])
	until(t, r, func() bool { return len(order) == 18 })
	if order[0] != 5 || order[1] != 19 || order[17] != 0 {
		t.Errorf("order %v", order)
	}
	for _, i := range order {
		if i == 7 || i == 9 {
			t.Errorf("timer %d fired", i)
		}
	}
}

func TestPost(t *testing.T) {
	r := newTest(t)
	done := make(chan bool)
	go r.Run()
	var n int
	for range 1000 {
		r.Post(func() { n++ })
	}
	r.Post(func() { done <- n == 1000; r.Stop() })
	if !<-done {
		t.Error("posted functions were lost")
	}
}

func TestSplice(t *testing.T) {
	r := newTest(t)
	a, b := socketpair(t, r)
	c, d := socketpair(t, r)
	const size = 3 << 20
	sum := 0
	r.Go(func() {
		a.Write(make([]byte, size), 0, 0)
		a.CloseWrite()
	})
	var moved int64
	var rerr, werr error
	r.Go(func() {
		moved, _, rerr, werr = Splice(c, b, -1, 0, 0)
		c.CloseWrite()
	})
	ended := false
	r.Go(func() {
		buf := make([]byte, 100000)
		for {
			n, err := d.Read(buf, 0)
			sum += n
			if err != nil {
				ended = true
				return
			}
		}
	})
	until(t, r, func() bool { return ended })
	if sum != size || moved != size || rerr != io.EOF || werr != nil {
		t.Errorf("read %d, moved %d, %v, %v", sum, moved, rerr, werr)
	}
}

func TestNoAllocationPerExchange(t *testing.T) {
	r := newTest(t)
	a, b := socketpair(t, r)
	buf := make([]byte, 100)
	msg := []byte("x")
	rounds := 0
	echo := echoTask{b, buf, &rounds}
	b.SetIdle(&echo)
	one := func() {
		a.TryWrite(msg, 0)
		want := rounds + 1
		for rounds < want {
			r.Turn(1e8)
		}
		a.TryRead(buf)
	}
	for range 100 {
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n > 0 {
		t.Errorf("%v allocations per exchange", n)
	}
}

type echoTask struct {
	f      *FD
	buf    []byte
	rounds *int
}

func (e *echoTask) Readable() { e.f.r.Start(e) }
func (e *echoTask) Run() {
	n, _ := e.f.TryRead(e.buf)
	e.f.TryWrite(e.buf[:n], 0)
	*e.rounds++
}

func TestStaleEvent(t *testing.T) {
	r := newTest(t)
	a, _ := socketpair(t, r)
	n := a.Fd()
	a.Close()
	if a.Fd() != -1 || a.IsOpen() {
		t.Error("still open")
	}
	if _, err := a.TryRead(make([]byte, 1)); err != ErrClosed {
		t.Errorf("read of closed: %v", err)
	}
	if e := Linux.Close(n); e != syscall.EBADF {
		t.Errorf("descriptor was not closed: %v", e)
	}
}
