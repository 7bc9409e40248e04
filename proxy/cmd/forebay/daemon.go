package main

import (
	"os"
	"os/exec"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/console"
)

// daemonVariable tells the program that it is the daemon: descriptor 3 is a pipe
// to the process that was started by the user.
const daemonVariable = "FOREBAY_DAEMON"

var (
	daemonPipe *os.File
	null       *os.File // opened early: later there is no file system
	startDir   string   // the working folder before -C
)

func isDaemon() bool {
	if os.Getenv(daemonVariable) == "" {
		return false
	}
	os.Unsetenv(daemonVariable)
	syscall.CloseOnExec(3)
	daemonPipe = os.NewFile(3, "parent")
	null, _ = os.OpenFile("/dev/null", os.O_RDWR, 0)
	return true
}

// daemonize starts the program again, in a session of its own, and waits until
// it serves or has failed: the exit code says which. (A Go program cannot fork.)
func daemonize(con *console.Console) int {
	r, w, err := os.Pipe()
	if err != nil {
		con.Alert("Cannot fork: %v", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), daemonVariable+"=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = startDir
	if err := cmd.Start(); err != nil {
		con.Alert("Cannot fork: %v", err)
		return 1
	}
	w.Close()
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return 0
	}
	cmd.Wait()
	return max(cmd.ProcessState.ExitCode(), 1)
}

// daemonReady lets the first process go and closes the terminal's descriptors.
func daemonReady(con *console.Console) {
	if daemonPipe == nil {
		return
	}
	con.Out = nil
	if null != nil {
		for fd := range 3 {
			syscall.Dup3(int(null.Fd()), fd, 0)
		}
		null.Close()
	}
	daemonPipe.Write([]byte{1})
	daemonPipe.Close()
	daemonPipe = nil
}
