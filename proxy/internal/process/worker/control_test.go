package worker

import (
	"io"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// Connections of the master come to a reactor, a message without one is passed
// over, and the end of the master is noticed.
func TestControl(t *testing.T) {
	w := workertest.New(t, 1)
	w.Init()
	workertest.Run(t, w)
	master, file, err := ControlPair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	own, err := OpenControl(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	gone := make(chan struct{})
	err = own.serve(w.Reactors[0], func(fd int) {
		syscall.Write(fd, []byte("served"))
		syscall.Close(fd)
	}, func() { close(gone) })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := master.send(connect, ""); err != nil { // without a descriptor
			t.Fatal(err)
		}
		c, err := master.Connect()
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if got, err := io.ReadAll(c); string(got) != "served" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	}
	master.Close()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("the end of the master is not noticed")
	}
}
