package worker

import (
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// peer answers like a process that was asked for its sockets.
func peer(t *testing.T, answer func(c *net.UnixConn)) *net.UnixConn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	go func() {
		ends[1].Read(make([]byte, 64))
		answer(ends[1])
		ends[1].Close()
	}()
	return ends[0]
}

func TestFetchSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	send := func(count byte, data string, fds ...int) func(*net.UnixConn) {
		return func(c *net.UnixConn) {
			c.Write([]byte{count, 0, 0, 0})
			c.WriteMsgUnix([]byte(data), unix.UnixRights(fds...), nil)
			c.Read(make([]byte, 4))
		}
	}
	plain := "\x00\x00\x00\x00\x00\x00"
	addr, lfd, nfd := l.Addr().String(), int(f.Fd()), int(null.Fd())
	for _, c := range []struct {
		name   string
		answer func(*net.UnixConn)
		want   string // keys
		err    string
	}{
		{"one", send(1, plain, lfd), addr, ""},
		{"interface", send(1, "\x00\x02lo\x00\x00\x00\x00", lfd), addr + "@lo", ""},
		{"namespace", send(1, "\x02ns\x00\x00\x00\x00\x00", lfd), addr, ""},
		{"not a socket", send(2, plain+plain, nfd, lfd), addr, ""},
		{"none", send(0, ""), "", ""},
		{"too few", send(3, plain, lfd), addr, "handed over 1 of 3"},
		{"cut short", send(1, "\x00\x09lo", lfd), "", "ends early"},
		{"no options", send(1, "\x00\x00\x00", lfd), "", "ends early"},
		{"absurd", func(c *net.UnixConn) { c.Write([]byte{255, 255, 255, 255}) }, "", "claims to have"},
		{"silent", func(c *net.UnixConn) {}, "", "does not hand over"},
	} {
		list, err := FetchSockets(peer(t, c.answer))
		var keys []string
		for _, s := range list {
			keys = append(keys, s.Key)
			unix.Close(s.FD)
		}
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

func TestTemporaryNames(t *testing.T) {
	for in, want := range map[string]string{"/run/a.sock.123.tmp": "/run/a.sock", "/run/a.tmp": "/run/a.tmp", "/x": "/x"} {
		if got := temporary.ReplaceAllString(in, ""); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
