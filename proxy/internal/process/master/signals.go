package master

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A signal that comes while a master executes its next program must not be lost
// with the memory of the old one. There are two kinds of signals for that.
var (
	// held can be blocked for good, if they were when the program began. They wait in
	// the kernel until they are read, and through the execution of another program.
	held = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU}

	// caught are those that the Go runtime unblocks in every thread. In the moment of
	// the execution SIGTERM and SIGINT do what they do to other programs: the master
	// ends, and its workers with it. SIGHUP is ignored, since the next program reads
	// the files after it, and SIGQUIT, which only shows something.
	caught = []os.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}
)

// mask is a set of signals.
func mask(list []os.Signal) (set unix.Sigset_t) {
	for _, s := range list {
		const bits = 8 * uint(unsafe.Sizeof(set.Val[0]))
		n := uint(s.(unix.Signal)) - 1
		set.Val[n/bits] |= 1 << (n % bits)
	}
	return set
}

// holding tells whether the signals of held are blocked in all threads. A Go
// program cannot get there later: the threads that its runtime makes have the mask
// that the first one had at the start.
func holding() bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, now unix.Sigset_t
	if unix.PthreadSigmask(unix.SIG_BLOCK, &none, &now) != nil {
		return false
	}
	for i, v := range mask(held).Val {
		if now.Val[i]&v != v {
			return false
		}
	}
	return true
}

// masked calls f, which executes a program or starts one, with the signals
// blocked: the program begins so.
func masked(f func() error) error {
	block := mask(append(held, caught...))
	return withMask(unix.SIG_BLOCK, &block, f)
}

// unmasked calls f, which starts a process, with no signal blocked.
func unmasked(f func() error) error {
	return withMask(unix.SIG_SETMASK, new(unix.Sigset_t), f)
}

func withMask(how int, set *unix.Sigset_t, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(how, set, &old); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	return f()
}

// listen obeys the signals from now on.
func (m *Master) listen() {
	go func() {
		for {
			select {
			case s := <-m.signals:
				m.obey(s.(syscall.Signal))
			case f := <-m.calls:
				f()
			}
		}
	}()
	if m.waiting != nil {
		go m.waiting.Read(func(fd uintptr) bool {
			for m.take(int(fd)) {
			}
			return false
		})
	}
}

// take obeys one of the signals that the kernel holds, if there is one.
func (m *Master) take(fd int) bool {
	m.taking.Lock()
	defer m.taking.Unlock()
	var info unix.SignalfdSiginfo
	n, err := unix.Read(fd, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)))
	if err == unix.EINTR {
		return true
	}
	if err != nil || n < int(unsafe.Sizeof(info)) {
		return false
	}
	m.obey(syscall.Signal(info.Signo))
	return true
}

// quietly calls f, which executes another program, while no signal is in this
// program's hands.
func (m *Master) quietly(f func() error) error {
	done := make(chan error)
	m.calls <- func() { // by who obeys: it has none then
		m.taking.Lock()
		defer m.taking.Unlock()
		sink := make(chan os.Signal, 1)
		signal.Notify(sink, syscall.SIGHUP, syscall.SIGQUIT)
		defer signal.Stop(sink)
		signal.Stop(m.signals) // after which those that have come are in the channel
		for waiting := true; waiting; {
			select {
			case s := <-m.signals:
				m.obey(s.(syscall.Signal))
			default:
				waiting = false
			}
		}
		signal.Ignore(syscall.SIGHUP) // the next program begins so, until it listens
		err := f()
		m.catch()
		done <- err
	}
	return <-done
}

// catch makes the signals come to the master: those that the kernel does not hold.
func (m *Master) catch() {
	signal.Notify(m.signals, caught...)
	if m.waiting == nil {
		signal.Notify(m.signals, held...)
	}
}

// openHeld gives what the signals that the kernel holds are read from, nil if it
// does not hold them.
func openHeld() (syscall.RawConn, error) {
	if !holding() {
		return nil, nil
	}
	set := mask(held)
	fd, err := unix.Signalfd(-1, &set, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "signals").SyscallConn()
}
