package master

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager about the state of the service
// (sd_notify(3)). The zero value says nothing.
type notifier struct{ c *net.UnixConn }

// openNotifier takes the manager's socket from the environment. A name that
// begins with '@' is an abstract one.
func openNotifier() (notifier, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET") // not for workers
	if name == "" {
		return notifier{}, nil
	}
	if name[0] != '/' && name[0] != '@' {
		return notifier{}, fmt.Errorf("NOTIFY_SOCKET '%s' is neither a path nor an abstract name", name)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	return notifier{c}, err
}

// inheritNotifier takes over the descriptor of another one.
func inheritNotifier(fd int) notifier {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "notify")
	defer f.Close()
	c, _ := net.FileConn(f)
	u, _ := c.(*net.UnixConn)
	return notifier{u}
}

func (n notifier) say(lines ...string) {
	if n.c != nil {
		n.c.Write([]byte(strings.Join(lines, "\n") + "\n"))
	}
}

func (n notifier) ready() {
	n.say("READY=1", "STATUS=Ready.", fmt.Sprintf("MAINPID=%d", os.Getpid()))
}

func (n notifier) reloading() {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	n.say("RELOADING=1", "STATUS=Reloading Configuration.", fmt.Sprintf("MONOTONIC_USEC=%d", t.Nano()/1000))
}

// failed says that the service goes on with what it had.
func (n notifier) failed() { n.say("READY=1", "STATUS=Reload failed!") }

func (n notifier) stopping() { n.say("STOPPING=1", "STATUS=Stopping.") }
