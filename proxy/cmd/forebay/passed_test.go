package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// passed makes a socket in blocking mode, as service managers hand them over.
func passed(t *testing.T, domain int, a unix.Sockaddr, listen bool) *os.File {
	t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, a)
	}
	if err == nil && listen {
		err = unix.Listen(fd, 100)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "passed")
	t.Cleanup(func() { f.Close() })
	return f
}

// address of a socket as package net dials it.
func address(t *testing.T, f *os.File) (network, addr string) {
	t.Helper()
	a, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return "tcp", fmt.Sprintf("127.0.0.1:%d", a.Port)
	case *unix.SockaddrInet6:
		return "tcp", fmt.Sprintf("[::1]:%d", a.Port)
	case *unix.SockaddrUnix:
		return "unix", a.Name
	}
	t.Fatalf("%T", a)
	return "", ""
}

// open gives the descriptors of a process that are a file.
func open(t *testing.T, pid, file string) (list []string) {
	t.Helper()
	dir := "/proc/" + pid + "/fd/"
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		if to, _ := os.Readlink(dir + e.Name()); to == file {
			list = append(list, e.Name())
		}
	}
	return list
}

// over fetches a page through a connection that is there.
func over(c net.Conn) error {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if err == nil && !strings.HasSuffix(string(b), "hello\n") {
		err = fmt.Errorf("%q", b)
	}
	return err
}

// TestPassedSockets starts the program with sockets of every kind that block, as
// it stands alone and below a master. It serves on them, goes on to after a
// reload, and ends when it is told to.
func TestPassedSockets(t *testing.T) {
	dir := newSite(t).dir
	for _, kind := range []struct {
		name string
		make func(t *testing.T) *os.File
	}{
		{"ipv4", func(t *testing.T) *os.File {
			return passed(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, true)
		}},
		{"bound only", func(t *testing.T) *os.File {
			return passed(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, false)
		}},
		{"ipv6", func(t *testing.T) *os.File {
			return passed(t, unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}, true)
		}},
		{"path", func(t *testing.T) *os.File {
			path := filepath.Join(dir, "passed.sock")
			os.Remove(path)
			return passed(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, true)
		}},
		{"abstract", func(t *testing.T) *os.File {
			return passed(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: fmt.Sprintf("@forebay-passed-%d", os.Getpid())}, true)
		}},
	} {
		for _, mode := range []string{"-db", "-W"} {
			t.Run(kind.name+" "+mode, func(t *testing.T) {
				s := newSite(t)
				f := kind.make(t)
				gap, err := os.Open("/dev/null") // descriptor 3; the socket is 4
				if err != nil {
					t.Fatal(err)
				}
				defer gap.Close()
				s.global = "  nbthread 1"
				s.extra = "frontend passed\n  bind fd@4\n  default_backend app\n"
				s.write()
				args := []string{mode, "-f", s.cfg}
				if mode == "-W" {
					args = append(args, "-S", s.control)
				}
				c := command(args...)
				c.ExtraFiles = []*os.File{gap, f}
				unix.SetNonblock(int(f.Fd()), false)
				p := launch(t, c)
				network, addr := address(t, f)
				try := func() {
					t.Helper()
					c, err := net.Dial(network, addr)
					for end := time.Now().Add(patience); err != nil && time.Now().Before(end); c, err = net.Dial(network, addr) {
						time.Sleep(10 * time.Millisecond) // it does not listen yet
					}
					if err == nil {
						err = over(c)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				try()
				try()
				if mode == "-W" {
					p.await(1, "Loading success.")
					if now, _ := s.workers(); len(open(t, one(t, now), "/dev/null")) > 1 { // standard input
						t.Error("the worker has a descriptor that nobody named")
					}
					for _, reload := range []string{"reload", "hard-reload"} {
						if got := s.ask(s.control, reload); !strings.HasPrefix(got, "Success=1\n") {
							t.Fatalf("%s:\n%s", reload, got)
						}
						if reload == "hard-reload" { // what the old worker still takes, it takes along
							p.await(1, "Former worker")
						}
						try()
					}
				}
				p.signal(syscall.SIGTERM)
				if code := p.exit(); code != map[string]int{"-db": 143, "-W": 0}[mode] {
					t.Errorf("exit code %d", code)
				}
			})
		}
	}
}

// TestPassedToAll has the stats socket, a log target and the master's socket
// handed over, in the daemon too.
func TestPassedToAll(t *testing.T) {
	for _, mode := range []string{"-W", "-W -D"} {
		t.Run(mode, func(t *testing.T) {
			s := newSite(t)
			stats := passed(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(s.dir, "ps")}, true)
			control := passed(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(s.dir, "pm")}, true)
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			log, far := os.NewFile(uintptr(pair[0]), "log"), os.NewFile(uintptr(pair[1]), "log")
			defer log.Close()
			defer far.Close()
			s.global = "  stats socket fd@3 level admin\n  log fd@5 format raw local0\n  nbthread 2"
			s.extra = "defaults\n  mode http\n  log global\n  option httplog\n  timeout client 5s\nfrontend f2\n  bind " + freePort(t) + "\n  http-request return status 204\n"
			s.write()
			front := strings.Fields(s.extra[strings.Index(s.extra, "bind "):])[1]
			pidfile := filepath.Join(s.dir, "pid")
			c := command(append(strings.Fields(mode), "-f", s.cfg, "-S", "fd@4,level,admin", "-p", pidfile)...)
			c.ExtraFiles = []*os.File{stats, control, log}
			for _, f := range c.ExtraFiles {
				unix.SetNonblock(int(f.Fd()), false)
			}
			if mode == "-W" {
				launch(t, c).await(1, "Loading success.")
			} else {
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				defer func() {
					b, _ := os.ReadFile(pidfile)
					var pid int
					fmt.Sscan(string(b), &pid)
					syscall.Kill(pid, syscall.SIGTERM)
				}()
			}
			if got := s.ask(filepath.Join(s.dir, "ps"), "show version"); !strings.Contains(got, ".") {
				t.Errorf("stats socket: %q", got)
			}
			if got := s.ask(filepath.Join(s.dir, "pm"), "show proc"); !strings.Contains(got, "worker") {
				t.Errorf("master socket: %q", got)
			}
			if got := s.ask(filepath.Join(s.dir, "pm"), "hard-reload"); !strings.HasPrefix(got, "Success=1\n") {
				t.Errorf("reload: %q", got)
			}
			r, err := http.Get("http://" + front + "/")
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			buf := make([]byte, 4096)
			far.SetReadDeadline(time.Now().Add(patience))
			for {
				n, err := far.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(buf[:n]), "GET / HTTP/1.1") {
					if strings.Count(string(buf[:n]), "\n") > 1 {
						t.Errorf("several lines in one datagram: %q", buf[:n])
					}
					break
				}
			}
		})
	}
}

// TestPassedConnections is "sockpair@": each connection comes as a descriptor.
func TestPassedConnections(t *testing.T) {
	s := newSite(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near := os.NewFile(uintptr(pair[0]), "pair")
	defer near.Close()
	s.global = "  nbthread 1"
	s.extra = "frontend passed\n  bind sockpair@3\n  default_backend app\n"
	s.write()
	c := command("-db", "-f", s.cfg)
	c.ExtraFiles = []*os.File{near}
	p := launch(t, c)
	for i := range 3 {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		rights := unix.UnixRights(ends[1])
		if i == 1 { // something else, which is closed and forgotten
			unix.Sendmsg(pair[1], []byte("A"), unix.UnixRights(int(os.Stdin.Fd())), nil, 0)
			unix.Sendmsg(pair[1], []byte("A"), nil, nil, 0)
		}
		if err := unix.Sendmsg(pair[1], []byte("A"), rights, nil, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(ends[1])
		f := os.NewFile(uintptr(ends[0]), "client")
		conn, err := net.FileConn(f)
		f.Close()
		if err == nil {
			err = over(conn)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(pair[1])
	s.mustGet(s.addr)
	p.signal(syscall.SIGTERM)
	p.exit()
}

// TestNotPassed: a descriptor that the program opened itself, or none at all, is
// nobody's to name.
func TestNotPassed(t *testing.T) {
	s := newSite(t)
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for bind, want := range map[string]string{
		"fd@4": "cannot use file descriptor '4' : the process was not started with it",
		"fd@3": "cannot use file descriptor",
	} {
		s.extra = "frontend passed\n  bind " + bind + "\n  default_backend app\n"
		s.write()
		for _, mode := range []string{"-db", "-W"} {
			c := command(mode, "-f", s.cfg)
			c.ExtraFiles = []*os.File{null}
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s %s: %v\n%s", mode, bind, err, out)
			}
		}
		if out, err := command("-c", "-f", s.cfg).CombinedOutput(); err != nil {
			t.Errorf("-c %s: a service manager's sockets are not there when a file is checked: %v\n%s", bind, err, out)
		}
	}
}

// TestPassedLater: a descriptor that only a later configuration names takes a new
// worker, since the one that runs was not given it.
func TestPassedLater(t *testing.T) {
	s := newSite(t)
	f := passed(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, true)
	c := command("-W", "-S", s.control, "-f", s.cfg)
	c.ExtraFiles = []*os.File{f}
	unix.SetNonblock(int(f.Fd()), false)
	p := launch(t, c)
	p.await(1, "Loading success.")
	now, _ := s.workers()
	pid := one(t, now)
	s.extra = "frontend passed\n  bind fd@3\n  default_backend app\n"
	s.write()
	if got := s.ask(s.control, "reload"); !strings.HasPrefix(got, "Success=1\n") {
		t.Fatalf("reload:\n%s", got)
	}
	now, _ = s.workers()
	if one(t, now) == pid {
		t.Error("the worker has a descriptor that it was not given")
	}
	_, addr := address(t, f)
	s.mustGet(addr)
	s.extra = strings.Replace(s.extra, "fd@3", "fd@9", 1)
	s.write()
	if got := s.ask(s.control, "reload"); !strings.Contains(got, "cannot use file descriptor '9' : the process was not started with it") {
		t.Errorf("reload:\n%s", got)
	}
	s.mustGet(addr)
}

// TestToldToAnother: the kernel tells one of the processes that share a socket of a
// connection. If that one ends before it accepts, the others are not told.
func TestToldToAnother(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(s.dir, "ps")
	stats := passed(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, true)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET | unix.EPOLLEXCLUSIVE}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(stats.Fd()), &ev); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	go func() {
		for {
			n, err := unix.EpollWait(ep, make([]unix.EpollEvent, 1), 20000)
			if err == unix.EINTR {
				continue
			}
			if n != 1 {
				err = fmt.Errorf("%d events: %v", n, err)
			}
			told <- err
			return
		}
	}()
	s.global = "  stats socket fd@3 level admin\n  nbthread 2"
	s.write()
	c := command("-db", "-f", s.cfg)
	c.ExtraFiles = []*os.File{stats}
	awaitServing(t, launch(t, c), s)
	if got := s.ask(path, "show version"); !strings.Contains(got, ".") {
		t.Errorf("%q", got)
	}
	if err := <-told; err != nil {
		t.Errorf("the other was not told: %v", err)
	}
}
