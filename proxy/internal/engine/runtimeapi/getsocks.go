package runtimeapi

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(Command{Words: "_getsocks", Level: User, Run: getSocks})
}

// maxFDs is how many descriptors one message carries, as HAProxy's -x expects.
const maxFDs = 252

// handed is a listening socket on its way to another process.
type handed struct {
	fd  int
	dev string // interface it is bound to
}

// getSocks hands the listening sockets to a process that was started with -x.
// The protocol is HAProxy's: the number of sockets as a 32-bit integer, then
// messages of up to 252 descriptors. The bytes of a message say of each socket
// its namespace and interface (a length and the name) and 32 bits of options.
// The peer answers each message with 32 bits. The connection ends after that.
func getSocks(c *Conn, _ []string) error {
	c.quit = true
	if !c.ExposeFD || c.Worker == nil {
		return nil
	}
	list := handOver(c.Worker)
	defer func() {
		for _, h := range list {
			syscall.Close(h.fd)
		}
	}()
	count := binary.NativeEndian.AppendUint32(nil, uint32(len(list)))
	if _, err := c.FD.Write(count, 0, int64(c.Timeout)); err != nil {
		return err
	}
	for len(list) > 0 {
		n := min(len(list), maxFDs)
		var data []byte
		var fds []int
		for _, h := range list[:n] {
			data = append(data, 0, byte(len(h.dev)))
			data = append(data, h.dev...)
			data = append(data, 0, 0, 0, 0)
			fds = append(fds, h.fd)
		}
		if err := c.sendRights(data, unix.UnixRights(fds...)); err != nil {
			return err
		}
		for _, h := range list[:n] {
			syscall.Close(h.fd)
		}
		list = list[n:]
		// Without the answer the end of the connection could overtake the peer.
		var ack [4]byte
		for got := 0; got < len(ack); {
			n, err := c.FD.Read(ack[got:], c.R.After(c.Timeout))
			if err != nil {
				return nil // the peer has what it wanted and left
			}
			got += n
		}
	}
	return nil
}

// handOver duplicates the sockets of all listeners, so that they stay valid
// whatever happens to the listeners meanwhile.
func handOver(w *stream.Worker) []handed {
	var list []handed
	w.Mu.Lock()
	defer w.Mu.Unlock()
	for _, l := range w.Listeners {
		for _, n := range l.Descriptors() {
			if d, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0); err == nil {
				list = append(list, handed{d, l.Bind.Load().Interface})
			}
		}
	}
	return list
}

// sendRights sends data with descriptors in one message.
func (c *Conn) sendRights(data, rights []byte) error {
	for {
		err := unix.Sendmsg(c.FD.Fd(), data, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		if err != unix.EAGAIN {
			return err
		}
		if err := c.FD.WaitWrite(c.R.After(c.Timeout)); err != nil {
			return err
		}
	}
}
