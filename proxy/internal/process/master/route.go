package master

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// route sees each command of a master socket first: those with a prefix, or of a
// connection that was switched to a worker, are the worker's.
func (m *Master) route(c *runtimeapi.Conn, text string, words []string) (bool, error) {
	t := clientOf(c)
	if len(words) == 0 {
		return false, nil
	}
	if !strings.HasPrefix(words[0], "@") {
		if t.pid == 0 || own(words[0]) {
			return false, nil
		}
		return true, m.send(c, t.pid, text)
	}
	prefix := words[0]
	if strings.HasPrefix(prefix, "@@") {
		return true, runtimeapi.Errorf("'@@' of HAProxy 3.4 is not supported by Forebay yet: use '@'.\n")
	}
	pid, ok := m.find(prefix[1:])
	if !ok {
		return true, runtimeapi.Errorf("Can't find the target PID matching the prefix '%s'\n", prefix)
	}
	rest := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), prefix))
	switch {
	case rest == "":
		t.pid = pid
		c.NoEmptyLine()
		return true, nil
	case pid == 0:
		c.Do(words[1:])
		return true, nil
	}
	err := m.send(c, pid, rest)
	// A worker that is replaced may end with the command still before it: then it
	// is the next one's, if it was for whoever is in charge.
	for err == errNoAnswer && prefix == "@1" {
		next, ok := m.find("1")
		if !ok || next == pid {
			break
		}
		pid = next
		err = m.send(c, pid, rest)
	}
	return true, err
}

// own tells which commands concern the connection, wherever it is switched to.
func own(word string) bool {
	switch word {
	case "prompt", "quit", "user", "operator", "experimental-mode":
		return true
	}
	return false
}

// find gives the pid that a prefix means, 0 for the master.
func (m *Master) find(name string) (pid int, ok bool) {
	if name == "" || name == "master" || name == "0" {
		return 0, true
	}
	if name == "1" {
		if p := m.current(); p != nil {
			return p.pid, true
		}
		return 0, false
	}
	if pid, err := strconv.Atoi(strings.TrimPrefix(name, "!")); err == nil && name[0] == '!' && m.byPID(pid) != nil {
		return pid, true
	}
	return 0, false
}

func (m *Master) byPID(pid int) *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.workers {
		if p.pid == pid {
			return p
		}
	}
	return nil
}

// look is how often a client that waits for a worker is looked at: if it is gone the
// worker need not go on.
const look = time.Second

// chunk is how much of a reply is passed on at once, in bytes.
const chunk = 32 << 10

// errNoAnswer tells that a worker is not there, or ended before it said anything.
var errNoAnswer = runtimeapi.Errorf("Can't connect to the target CLI!\n")

// send runs a command in the worker with that number.
func (m *Master) send(c *runtimeapi.Conn, pid int, text string) error {
	p := m.byPID(pid)
	if p == nil {
		return errNoAnswer
	}
	return m.forward(c, p, text)
}

// forward runs a command in a worker, with the rights of the client, and passes
// the reply on but for the empty line at its end, which follows anyway.
func (m *Master) forward(c *runtimeapi.Conn, p *process, text string) error {
	switch c.Level {
	case runtimeapi.User:
		text = "user -;" + text
	case runtimeapi.Operator:
		text = "operator -;" + text
	}
	if c.Experimental() {
		text = "experimental-mode on -;" + text
	}
	var payload []byte
	if c.HasPayload {
		payload = append([]byte{}, c.Payload...)
	}
	var conn net.Conn
	var err error
	stream.Await(c.R, func() {
		if conn, err = p.control.Connect(); err == nil {
			conn.SetWriteDeadline(time.Now().Add(replyTimeout))
			_, err = io.WriteString(conn, withPayload(text, payload))
		}
	})
	if conn != nil {
		defer conn.Close()
	}
	if err != nil {
		return errNoAnswer
	}
	buf := make([]byte, chunk)
	held := false // a newline that may be the last
	answered := false
	for err == nil && !c.Closed() {
		var n int
		stream.Await(c.R, func() {
			conn.SetReadDeadline(time.Now().Add(look))
			n, err = conn.Read(buf)
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		if n == 0 {
			continue
		}
		answered = true
		if held {
			c.WriteString("\n")
		}
		if held = buf[n-1] == '\n'; held {
			n--
		}
		c.Write(buf[:n])
		c.Flush()
	}
	if !answered && !c.Closed() { // not even the empty line
		m.mu.Lock()
		defer m.mu.Unlock()
		if p.leaving {
			return errNoAnswer
		}
	}
	return nil
}
