package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/process/master"
)

// daemonVariable tells the program that it is the daemon, by the number of the
// descriptor that is a pipe to the process that was started by the user.
const daemonVariable = "FOREBAY_DAEMON"

var (
	daemonPipe *os.File
	null       *os.File // opened early: later there is no file system
	startDir   string   // the working folder before -C
	self       string   // the path of this program
	// descriptors are those that the program was started with ("fd@3").
	descriptors map[int]int
)

func isDaemon() bool {
	n, err := strconv.Atoi(os.Getenv(daemonVariable))
	if err != nil || n < 3 {
		return false
	}
	os.Unsetenv(daemonVariable)
	syscall.CloseOnExec(n)
	daemonPipe = os.NewFile(uintptr(n), "parent")
	null, _ = os.OpenFile("/dev/null", os.O_RDWR, 0)
	return true
}

// daemonize starts the program again, in a session of its own, and waits until
// it serves or has failed: the exit code says which. (A Go program cannot fork.)
func daemonize(con *console.Console, isMaster bool) int {
	r, w, err := os.Pipe()
	if err != nil {
		con.Alert("Cannot fork: %v", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = os.Stderr
	last := 2
	for n := range descriptors {
		last = max(last, n)
	}
	for n := 3; n <= last; n++ { // under the numbers that they have
		var f *os.File
		if _, ok := descriptors[n]; ok {
			f = os.NewFile(uintptr(n), "passed")
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", daemonVariable, last+1))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = startDir
	begin := cmd.Start
	if isMaster {
		begin = func() error { return master.Start(cmd.Start) }
	}
	if err := begin(); err != nil {
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
