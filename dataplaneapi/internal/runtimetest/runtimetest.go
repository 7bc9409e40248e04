// Package runtimetest is a Runtime socket for tests: it reads commands with their payloads as a proxy does, and answers
// what the test says.
package runtimetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server is a Runtime socket.
type Server struct {
	Path   string
	handle func(command, payload string) string

	mu   sync.Mutex
	seen []string
}

// New listens on a socket in the test's own folder until the test ends. handle answers one command at a time.
func New(t *testing.T, handle func(command, payload string) string) *Server {
	t.Helper()
	s := &Server{Path: filepath.Join(t.TempDir(), "s.sock"), handle: handle}
	ln, err := net.Listen("unix", s.Path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

// Seen returns the commands so far.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *Server) serve(c net.Conn) {
	defer c.Close()
	rd := bufio.NewReader(c)
	line, err := rd.ReadString('\n')
	if err != nil {
		return
	}
	command, end, has := strings.Cut(strings.TrimSpace(line), " <<")
	payload := ""
	for has {
		l, err := rd.ReadString('\n')
		if strings.TrimSuffix(l, "\n") == end || err != nil {
			break
		}
		payload += l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, command)
	// The last line feed of a payload is not its own (chapter 9.3).
	io.WriteString(c, s.handle(command, strings.TrimSuffix(payload, "\n"))+"\n\n")
}

// Forebay is what the bundle commands of a proxy that applies configurations in place do. Answer may be set to a last line
// of "commit config" that is not a success.
type Forebay struct {
	Answer  string
	Bundles []map[string]string // committed: path → text
	open    map[string]map[string]string
	n       int
}

// Handle answers one command. ok is false when it is not one of the bundle commands.
func (f *Forebay) Handle(command, payload string) (reply string, ok bool) {
	w := strings.Fields(command)
	if len(w) < 2 || w[1] != "config" && w[1] != "config-file" {
		return "", false
	}
	id := ""
	if len(w) > 2 {
		id = w[2]
	}
	switch w[0] {
	case "prepare":
		f.n++
		if f.open == nil {
			f.open = map[string]map[string]string{}
		}
		f.open[fmt.Sprint("@", f.n)] = map[string]string{}
		return fmt.Sprint("New version created: ", f.n), true
	case "add":
		f.open[id][w[3]] = payload
		return "", true
	case "abort":
		delete(f.open, id)
		return fmt.Sprintf("Version %s aborted", id[1:]), true
	case "commit":
		if f.Answer != "" {
			return f.Answer, true
		}
		f.Bundles = append(f.Bundles, f.open[id])
		delete(f.open, id)
		return "  + backend x\nSuccess!", true
	}
	return "", false
}

// Open counts the versions that are neither committed nor aborted.
func (f *Forebay) Open() int { return len(f.open) }
