package master

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// fakeWorker is a process that gets one command: then serve has its connection.
func fakeWorker(t *testing.T, pid int, serve func(c net.Conn)) *process {
	t.Helper()
	control, file, err := worker.ControlPair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close(); c.Close() })
	go func() {
		defer c.Close()
		buf, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := c.(*net.UnixConn).ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		msgs, _ := unix.ParseSocketControlMessage(oob[:n])
		fds, _ := unix.ParseUnixRights(&msgs[0])
		f := os.NewFile(uintptr(fds[0]), "command")
		defer f.Close()
		conn, err := net.FileConn(f)
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}()
	return &process{pid: pid, control: control, listed: true}
}

// TestCommandWhileReplaced: a command for whoever is in charge is answered by the
// next worker if the one before ends with it unread.
func TestCommandWhileReplaced(t *testing.T) {
	for _, c := range []struct {
		prefix, want string
	}{
		{"@1", "answer\n\n"},
		{"@!101", "Can't connect to the target CLI!\n\n"},
	} {
		path := filepath.Join(t.TempDir(), "s")
		m := newMaster(Options{Console: console.New(), Binds: []string{path}})
		next := fakeWorker(t, 102, func(c net.Conn) {
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				fmt.Fprint(c, "answer\n\n")
			}
		})
		var old *process
		old = fakeWorker(t, 101, func(c net.Conn) {
			m.mu.Lock()
			old.leaving = true
			m.list(next)
			m.mu.Unlock()
		})
		m.mu.Lock()
		m.list(old)
		m.mu.Unlock()
		var err error
		if m.cli, err = m.openCLI(nil); err != nil {
			t.Fatal(err)
		}
		m.cli.start()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintln(conn, c.prefix+" show version")
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q %v, want %q", c.prefix, got, err, c.want)
		}
	}
}
