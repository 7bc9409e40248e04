package master

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
)

// Bounds of a word with a worker over its Runtime commands.
const (
	replyTimeout = 60 * time.Second
	maxReply     = 256 << 20 // bytes; a worker may leave whole maps to the next one
)

// inPlace asks a worker to apply a configuration without a restart. It returns
// false if that takes a new worker. An error is one of the worker's.
func (m *Master) inPlace(p *process, b *bundle.Bundle) (bool, error) {
	id, err := prepare(p)
	if err != nil {
		return false, err
	}
	for _, s := range b.Sources {
		if err := add(p, fmt.Sprintf("add config @%d %s", id, escape(s.Name)), s.Data); err != nil {
			return false, m.abandon(p, id, err)
		}
	}
	for _, f := range b.Named {
		if err := add(p, fmt.Sprintf("add config-file @%d %s", id, escape(f.Name)), f.Data); err != nil {
			return false, m.abandon(p, id, err)
		}
	}
	reply, err := p.ask(fmt.Sprintf("commit config @%d", id), nil)
	if err != nil {
		return false, err
	}
	lines := strings.Split(strings.TrimSpace(reply), "\n")
	last := lines[len(lines)-1]
	for _, l := range lines[:len(lines)-1] {
		m.o.Console.Notice("change: %s", l)
	}
	switch {
	case last == "Success!":
		m.o.Console.Notice("Applied in place by worker (%d)", p.pid)
		return true, nil
	case strings.HasPrefix(last, "Not applied"):
		return false, m.abandon(p, id, nil)
	}
	return false, m.abandon(p, id, fmt.Errorf("%s", last))
}

// abandon drops a version, which the worker would forget by itself later.
func (m *Master) abandon(p *process, id int, err error) error {
	p.ask(fmt.Sprintf("abort config @%d", id), nil)
	return err
}

// ask runs one command of a worker and gives its reply.
func (p *process) ask(command string, payload []byte) (string, error) {
	c, err := p.control.Connect()
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(replyTimeout))
	if _, err := io.WriteString(c, withPayload(command, payload)); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(io.LimitReader(c, maxReply))
	return string(reply), err
}

// withPayload gives a command line, with a payload if there is one (not nil).
func withPayload(command string, payload []byte) string {
	if payload == nil {
		return command + "\n"
	}
	// Random: no payload can contain it.
	end := "%" + rand.Text() + "%"
	return command + " <<" + end + "\n" + string(payload) + "\n" + end + "\n"
}

// escape writes a name as one word of a command.
func escape(name string) string {
	var b strings.Builder
	for _, r := range []byte(name) {
		if strings.IndexByte(" \t\\;<\"'#", r) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(r)
	}
	return b.String()
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return l
}
