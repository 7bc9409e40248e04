package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

var errNoCLI = errors.New("config : Can't create the master's CLI")

// cli is the master socket: what serves the clients. But for its listeners it is
// used on its reactor only.
type cli struct {
	m       *Master
	r       *reactor.Reactor
	set     *runtimeapi.Set
	open    []*stream.Listener
	clients map[*client]bool
	holding bool // commands wait: see handover.go
}

// client is a connection to a master socket.
type client struct {
	pid   int              // of the worker that its commands go to, 0 for the master
	fd    *transport.Conn  // the connection
	conn  *runtimeapi.Conn // nil until its handshakes are done
	still bool             // it waits before a command, or runs one that the next master is to run again
	wait  reactor.Waiter
}

// clients hang on their connections, as commands see them.
var clients = slot.New[*runtimeapi.Conn, *client]()

func clientOf(c *runtimeapi.Conn) *client { return *clients.Of(c) }

// openCLI binds the master sockets (-S), of which some may be inherited. There is
// none without -S.
func (m *Master) openCLI(inherited stream.Inherited) (*cli, error) {
	if len(m.o.Binds) == 0 {
		return nil, nil
	}
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		return nil, err
	}
	r.OnPanic = func(v any, stack []byte) { m.o.Console.Alert("a command failed: %v\n%s", v, stack) }
	// A worker in name only: the listeners want one.
	w := stream.NewWorker([]*reactor.Reactor{r})
	c := &cli{m: m, r: r, set: m.commands(), clients: make(map[*client]bool)}
	for _, text := range m.o.Binds {
		binds, err := m.parseBinds(text)
		if err != nil {
			m.o.Console.Alert("config : %v", err)
			return nil, errNoCLI
		}
		for _, b := range binds {
			b.Handler = c.accept
			if len(inherited[b.Key()]) > 0 {
				b.FD = -1 // it is among them
			}
			l, err := w.OpenListener(b, nil, inherited)
			if err != nil {
				m.o.Console.Alert("config : %v", err)
				return nil, errNoCLI
			}
			c.open = append(c.open, l)
		}
	}
	return c, nil
}

// start begins to serve.
func (c *cli) start() {
	if c == nil {
		return
	}
	for _, l := range c.open {
		l.Start()
	}
	go c.r.Run()
}

// parseBinds reads the value of -S: an address and options as in a "bind" line,
// with commas for spaces.
func (m *Master) parseBinds(text string) ([]*stream.Bind, error) {
	c := &conf.Ctx{Loading: &conf.Loading{Files: bundle.Disk{}, Diags: new(config.Diagnostics), Descriptors: m.o.Settings.Descriptors}, Section: "global"}
	return c.ParseBinds("-S", strings.Split(text, ","))
}

// accept serves a connection that a listener has accepted.
func (c *cli) accept(s *stream.ClientConn) {
	s.Conn.SetIdle(nil) // it is no stream
	level := runtimeapi.Level(s.Listener.Bind.Load().Level)
	if level == 0 {
		level = runtimeapi.Admin
	}
	k := &client{fd: &s.Conn}
	c.clients[k] = true
	c.r.Go(func() {
		defer func() {
			delete(c.clients, k)
			s.Conn.Close()
			s.Listener.Cur.Add(-1)
		}()
		if s.Secure(c.r.After(runtimeapi.DefaultTimeout)) == nil {
			k.conn = runtimeapi.New(&s.Conn, c.set, c.options(level))
			clients.Set(k.conn, k)
			k.conn.Serve()
		}
	})
}

func (c *cli) options(level runtimeapi.Level) runtimeapi.Options {
	return runtimeapi.Options{
		Level: level, Route: c.m.route, Before: c.hold,
		Limit:      func(*runtimeapi.Conn, []string) int { return runtimeapi.MaxBundle },
		PromptText: c.m.prompt,
		Started:    func(*runtimeapi.Conn) time.Time { return c.m.started },
	}
}

func (m *Master) prompt(c *runtimeapi.Conn) string {
	if t := clientOf(c); t.pid != 0 {
		return strconv.Itoa(t.pid) + ">"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed > 0 {
		return "master[ReloadFailed]>"
	}
	return "master>"
}

// commands are those of the master itself.
func (m *Master) commands() *runtimeapi.Set {
	set := &runtimeapi.Set{Master: true}
	set.Basics()
	none := func(*runtimeapi.Conn, []string) error { return nil } // Route has them
	set.Register(
		runtimeapi.Command{Words: "@!<pid>", Level: runtimeapi.User, Help: "send a command to the <pid> process", Run: none},
		runtimeapi.Command{Words: "@<relative pid>", Level: runtimeapi.User, Help: "send a command to the <relative pid> process", Run: none},
		runtimeapi.Command{Words: "@master", Level: runtimeapi.User, Help: "send a command to the master process", Run: none},
		runtimeapi.Command{Words: "hard-reload", Level: runtimeapi.Operator, Help: "hard-reload haproxy", Run: m.reloadCommand(true)},
		runtimeapi.Command{Words: "reload", Level: runtimeapi.Operator, Help: "reload haproxy", Run: m.reloadCommand(false)},
		runtimeapi.Command{Words: "show proc", Level: runtimeapi.User, Usage: "[debug]", Help: "show processes status", Run: m.showProc},
		runtimeapi.Command{Words: "show startup-logs", Level: runtimeapi.User, Help: "report logs emitted during HAProxy startup", Run: m.showLogs},
		runtimeapi.Command{Words: "show version", Level: runtimeapi.User, Help: "show version of the current process", Run: func(c *runtimeapi.Conn, _ []string) error {
			return c.Printf("%s\n", version.Full())
		}},
	)
	return set
}

// reloadCommand is "reload": the reply says how it went, and the connection
// ends.
func (m *Master) reloadCommand(hard bool) func(*runtimeapi.Conn, []string) error {
	return func(c *runtimeapi.Conn, _ []string) error {
		k := clientOf(c)
		c.Flush()
		// If the master is replaced first, the next one finds the command
		// unanswered and runs it.
		k.still = true
		again := k.movable()
		var ok bool
		var log string
		stream.Await(c.R, func() { ok, log = m.Reload(hard, again) })
		k.still = false
		c.Quit()
		n := 0
		if ok {
			n = 1
		}
		return c.Printf("Success=%d\n--\n%s\n", n, log)
	}
}

func (m *Master) showLogs(c *runtimeapi.Conn, _ []string) error {
	m.mu.Lock()
	text := m.log.String()
	m.mu.Unlock()
	_, err := c.WriteString(text)
	return err
}

// showProc lists the processes (management.txt 9.4.1).
func (m *Master) showProc(c *runtimeapi.Conn, args []string) error {
	debug := len(args) > 0 && args[0] == "debug"
	row := func(pid, kind, reloads, uptime, version, fd string) {
		c.Printf("%-15s %-15s %-15s %-15s %-15s", pid, kind, reloads, uptime, version)
		if debug {
			c.Printf("\t\t %-15s", fd)
		}
		c.WriteString("\n")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	row("#<PID>", "<type>", "<reloads>", "<uptime>", "<version>", "<program>")
	row(strconv.Itoa(os.Getpid()), "master", fmt.Sprintf("%d [failed: %d]", m.reloads, m.failed), uptime(m.started), version.Full(), m.path)
	for _, old := range []bool{false, true} {
		title := "# workers\n"
		if old {
			title = "# old workers\n"
		}
		if !old {
			c.WriteString(title)
		}
		for _, p := range m.workers {
			if p.leaving != old {
				continue
			}
			if old && title != "" {
				c.WriteString(title)
				title = ""
			}
			row(strconv.Itoa(p.pid), "worker", strconv.Itoa(p.reloads), uptime(p.started), p.version, "-")
		}
	}
	return c.Err()
}

func uptime(since time.Time) string {
	s := int64(time.Since(since) / time.Second)
	return fmt.Sprintf("%dd%02dh%02dm%02ds", s/86400, s/3600%24, s/60%60, s%60)
}
