package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// maxSockets bounds how many sockets another process may hand over.
const maxSockets = 1 << 16

// Socket is a listening socket from another process.
type Socket struct {
	Key string // of stream.Bind
	FD  int
}

// FetchSockets asks the process at the other end of a Runtime connection for its
// listening sockets, with the command that "-x" of HAProxy uses: the number of
// sockets as 32 bits, then messages of descriptors, each answered by 32 bits. The
// bytes beside the descriptors say of each its namespace and interface (length
// and name) and 32 bits of options.
func FetchSockets(c *net.UnixConn) ([]Socket, error) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "_getsocks\n"); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, fmt.Errorf("it does not hand over its sockets: %w", err)
	}
	count := int(int32(binary.NativeEndian.Uint32(head[:])))
	if count < 0 || count > maxSockets {
		return nil, fmt.Errorf("it claims to have %d sockets", count)
	}
	var fds []int
	var data []byte
	buf, oob := make([]byte, 256<<10), make([]byte, unix.CmsgSpace(4*253))
	for len(fds) < count {
		n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
		if n > 0 {
			data = append(data, buf[:n]...)
			fds = append(fds, rights(oob[:oobn])...)
		}
		if err != nil || n == 0 {
			break
		}
		c.Write(head[:]) // who has sent all may be gone
	}
	list := make([]Socket, 0, len(fds))
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		dev, rest, err := socketInfo(data)
		if err != nil {
			for _, fd := range fds[i:] {
				unix.Close(fd)
			}
			return list, err
		}
		data = rest
		if key := socketKey(fd, dev); key != "" {
			list = append(list, Socket{key, fd})
		} else {
			unix.Close(fd)
		}
	}
	if len(fds) < count {
		return list, fmt.Errorf("it handed over %d of %d sockets", len(fds), count)
	}
	return list, nil
}

func rights(oob []byte) (fds []int) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range msgs {
		if more, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, more...)
		}
	}
	return fds
}

func socketInfo(b []byte) (dev string, rest []byte, err error) {
	short := errors.New("its description of the sockets ends early")
	for i := range 2 { // the namespace, which we do not have, and the interface
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return "", nil, short
		}
		if i == 1 {
			dev = string(b[1 : 1+b[0]])
		}
		b = b[1+b[0]:]
	}
	if len(b) < 4 {
		return "", nil, short
	}
	return dev, b[4:], nil
}

// temporary is what HAProxy and we append to the name of a UNIX socket until it
// is in place: the kernel goes on to know the socket by it.
var temporary = regexp.MustCompile(`\.[0-9]+\.tmp$`)

// socketKey gives the key of binds that a listening TCP or UNIX socket serves; ""
// if it is something else.
func socketKey(fd int, dev string) string {
	if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || v == 0 {
		return ""
	}
	if t, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || t != unix.SOCK_STREAM {
		return ""
	}
	a, e := reactor.Linux.Getsockname(fd)
	if e != 0 {
		return ""
	}
	a.Path = temporary.ReplaceAllString(a.Path, "")
	return (&stream.Bind{Addr: a, Interface: dev}).Key()
}

// Inherit puts sockets into the form that listeners take them from.
func Inherit(list []Socket) stream.Inherited {
	in := make(stream.Inherited)
	for _, s := range list {
		if unix.SetNonblock(s.FD, true) != nil {
			unix.Close(s.FD)
			continue
		}
		in[s.Key] = append(in[s.Key], s.FD)
	}
	return in
}

// FetchFrom is [FetchSockets] from a stats socket by its path (-x).
func FetchFrom(path string) ([]Socket, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return FetchSockets(c)
}

// maxDescriptor bounds the numbers of [Descriptors].
const maxDescriptor = 1024

// Descriptors gives the descriptors that the program was started with, beyond the
// standard ones: those that are open and survive exec, before the program opens
// any itself (its own never do). They are kept from other programs from now on.
func Descriptors() map[int]int {
	own := make(map[int]int)
	for n := 3; n < maxDescriptor; n++ {
		if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		unix.CloseOnExec(n)
		own[n] = n
	}
	return own
}
