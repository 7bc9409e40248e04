package reactor

import (
	crand "crypto/rand"
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Linux is the real world.
var Linux Sys = linux{}

type linux struct{}

const lingerZero = -1 // see SetsockoptInt

var started = time.Now()

func (linux) Now() int64      { return int64(time.Since(started)) + 1 }
func (linux) Wall() time.Time { return time.Now() }

func (linux) Seed() uint64 {
	var b [8]byte
	crand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

type epoll struct {
	ep, ev int
	buf    []syscall.EpollEvent
}

func (linux) NewPoller() (Poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, err
	}
	p := &epoll{ep: ep, ev: ev}
	in := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1, Pad: -1}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &in); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

const wakeTag = ^uint64(0)

func (p *epoll) Add(fd int, tag uint64) syscall.Errno {
	return p.add(fd, tag, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

func (p *epoll) AddShared(fd int, tag uint64) syscall.Errno {
	return p.add(fd, tag, unix.EPOLLIN|unix.EPOLLET|unix.EPOLLEXCLUSIVE)
}

func (p *epoll) RemoveShared(fd int) { unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, fd, nil) }

func (p *epoll) add(fd int, tag uint64, events uint32) syscall.Errno {
	ev := unix.EpollEvent{Events: events}
	*(*uint64)(unsafe.Pointer(&ev.Fd)) = tag
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.ep), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

func (p *epoll) Wait(out []Ready, timeout int64) int {
	if len(p.buf) < len(out) {
		p.buf = make([]syscall.EpollEvent, len(out))
	}
	var n uintptr
	var e syscall.Errno
	ms := int64(-1)
	if timeout >= 0 {
		ms = min((timeout+999_999)/1_000_000, 1<<30)
	}
	// At first without telling the runtime: under load something comes within
	// the millisecond, and giving the processor up and asking for it again, with
	// the monitor thread woken each time, would cost more than the request. The
	// collector's signal interrupts the wait.
	brief := ms
	if ms < 0 || ms > 1 {
		brief = 1
	}
	n, _, e = syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.ep), uintptr(unsafe.Pointer(&p.buf[0])), uintptr(len(out)), uintptr(brief), 0, 0)
	if n == 0 && e == 0 && brief != ms {
		n, _, e = syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.ep), uintptr(unsafe.Pointer(&p.buf[0])), uintptr(len(out)), uintptr(ms), 0, 0)
	}
	if e != 0 {
		return 0
	}
	k := 0
	for i := range p.buf[:n] {
		ev := &p.buf[i]
		tag := *(*uint64)(unsafe.Pointer(&ev.Fd))
		if tag == wakeTag {
			var b [8]byte
			syscall.RawSyscall(syscall.SYS_READ, uintptr(p.ev), uintptr(unsafe.Pointer(&b)), 8)
			continue
		}
		var w Event
		if ev.Events&unix.EPOLLIN != 0 {
			w |= EventRead
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			w |= EventWrite
		}
		if ev.Events&unix.EPOLLRDHUP != 0 {
			w |= EventReadHup
		}
		if ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			w |= EventHup
		}
		out[k] = Ready{tag, w}
		k++
	}
	return k
}

func (p *epoll) Wake() {
	one := uint64(1)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.ev), uintptr(unsafe.Pointer(&one)), 8)
}

func (p *epoll) Close() {
	unix.Close(p.ep)
	unix.Close(p.ev)
}

func (linux) Socket(domain, typ, proto int) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall(syscall.SYS_SOCKET, uintptr(domain), uintptr(typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC), uintptr(proto))
	return int(n), e
}

// sockaddr writes a in the kernel's form and returns its length.
func sockaddr(raw *unix.RawSockaddrAny, a *Addr) uintptr {
	if a.Path != "" {
		un := (*unix.RawSockaddrUnix)(unsafe.Pointer(raw))
		un.Family = unix.AF_UNIX
		n := 0
		for ; n < len(a.Path) && n < len(un.Path); n++ {
			un.Path[n] = int8(a.Path[n])
		}
		size := uintptr(2 + n)
		if a.Path[0] != 0 {
			size++
		}
		return min(size, unix.SizeofSockaddrUnix)
	}
	if a.IP.Is4() || a.IP.Is4In6() {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		in.Family = unix.AF_INET
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&in.Port))[:], a.Port)
		in.Addr = a.IP.As4()
		return unix.SizeofSockaddrInet4
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
	in.Family = unix.AF_INET6
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&in.Port))[:], a.Port)
	if a.IP.IsValid() {
		in.Addr = a.IP.As16()
	}
	if z := a.IP.Zone(); z != "" {
		if i, err := strconv.Atoi(z); err == nil {
			in.Scope_id = uint32(i)
		}
	}
	return unix.SizeofSockaddrInet6
}

func fromSockaddr(raw *unix.RawSockaddrAny, size uint32) Addr {
	switch raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return Addr{IP: netip.AddrFrom4(in.Addr), Port: binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&in.Port))[:])}
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return Addr{IP: netip.AddrFrom16(in.Addr).Unmap(), Port: binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&in.Port))[:])}
	case unix.AF_UNIX:
		un := (*unix.RawSockaddrUnix)(unsafe.Pointer(raw))
		if size <= 2 {
			return Addr{}
		}
		b := make([]byte, 0, size-2)
		for i := uint32(0); i < size-2 && int(i) < len(un.Path); i++ {
			if un.Path[i] == 0 && i > 0 && un.Path[0] != 0 {
				break
			}
			b = append(b, byte(un.Path[i]))
		}
		return Addr{Path: string(b)}
	}
	return Addr{}
}

func (linux) Bind(fd int, a Addr) syscall.Errno {
	var raw unix.RawSockaddrAny
	n := sockaddr(&raw, &a)
	_, _, e := syscall.RawSyscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&raw)), n)
	return e
}

func (linux) Listen(fd, backlog int) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_LISTEN, uintptr(fd), uintptr(backlog), 0)
	return e
}

func (linux) Accept(fd int) (int, Addr, syscall.Errno) {
	var raw unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, Addr{}, e
	}
	return int(n), fromSockaddr(&raw, size), 0
}

func (linux) Connect(fd int, a Addr) syscall.Errno {
	var raw unix.RawSockaddrAny
	n := sockaddr(&raw, &a)
	_, _, e := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&raw)), n)
	return e
}

// SetsockoptInt sets a numeric option. SO_LINGER takes the seconds, lingerZero
// for "reset on close".
func (linux) SetsockoptInt(fd, level, opt, val int) syscall.Errno {
	if level == syscall.SOL_SOCKET && opt == syscall.SO_LINGER {
		l := unix.Linger{Onoff: 1, Linger: int32(max(val, 0))}
		_, _, e := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
		return e
	}
	v := int32(val)
	_, _, e := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&v)), 4, 0)
	return e
}

func (linux) GetsockoptInt(fd, level, opt int) (int, syscall.Errno) {
	var v int32
	n := uint32(4)
	_, _, e := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	return int(v), e
}

func (linux) SetsockoptString(fd, level, opt int, val string) syscall.Errno {
	if err := unix.SetsockoptString(fd, level, opt, val); err != nil {
		if e, ok := err.(syscall.Errno); ok {
			return e
		}
		return syscall.EINVAL
	}
	return 0
}

func (linux) Getsockname(fd int) (Addr, syscall.Errno) {
	var raw unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, e := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return Addr{}, e
	}
	return fromSockaddr(&raw, size), 0
}

func (linux) Read(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), e
}

func (linux) Send(fd int, p []byte, flags int) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags), 0, 0)
	return int(n), e
}

func (linux) Sendv(fd int, a, b []byte, flags int) (int, syscall.Errno) {
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(a), Len: uint64(len(a))}, {Base: unsafe.SliceData(b), Len: uint64(len(b))}}
	msg := unix.Msghdr{Iov: &iov[0], Iovlen: 2}
	n, _, e := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags))
	return int(n), e
}

func (linux) SendTo(fd int, p []byte, a Addr) syscall.Errno {
	var raw unix.RawSockaddrAny
	n := sockaddr(&raw, &a)
	_, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sendFlags, uintptr(unsafe.Pointer(&raw)), n)
	return e
}

func (linux) Shutdown(fd, how int) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
	return e
}

func (linux) Close(fd int) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
	return e
}

func (linux) Pipe(size int) (int, int, syscall.Errno) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return 0, 0, err.(syscall.Errno)
	}
	// A smaller pipe (over the user's limit) works as well.
	unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, size)
	return p[0], p[1], 0
}

func (linux) Splice(from, to, n int, more bool) (int, syscall.Errno) {
	flags := uintptr(unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK)
	if more {
		flags |= unix.SPLICE_F_MORE
	}
	k, _, e := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
	return int(k), e
}
