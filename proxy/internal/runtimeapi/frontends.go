package runtimeapi

import (
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

func init() {
	Register(
		Command{Words: "disable frontend", Level: Admin, Usage: "<frontend>", Help: "temporarily disable specific frontend", Run: disableFrontend},
		Command{Words: "enable frontend", Level: Admin, Usage: "<frontend>", Help: "re-enable specific frontend", Run: enableFrontend},
		Command{Words: "shutdown frontend", Level: Admin, Usage: "<frontend>", Help: "stop a specific frontend", Run: shutdownFrontend},
		Command{Words: "set maxconn frontend", Level: Admin, Usage: "<frontend> <value>", Help: "change a frontend's maxconn setting", Run: setMaxconnFrontend},
		Command{Words: "set maxconn global", Level: Admin, Usage: "<value>", Help: "change the per-process maxconn setting", Run: setMaxconnGlobal},
	)
}

// listeners gives the listeners of a frontend.
func listeners(w *stream.Worker, p *stream.Proxy) map[string]*stream.Listener {
	list := map[string]*stream.Listener{}
	w.Mu.Lock()
	defer w.Mu.Unlock()
	for k, l := range w.Listeners {
		if f := l.Front.Load(); f != nil && f.FE == p.FE {
			list[k] = l
		}
	}
	return list
}

// disableFrontend makes the kernel refuse connections to the frontend's
// addresses: its TCP sockets leave the listening state and stay bound, so that
// they can listen again without a right to bind. UNIX sockets cannot do that:
// connections to them wait.
func disableFrontend(c *Conn, args []string) error {
	p, err := c.Frontend(args)
	if err != nil {
		return err
	}
	switch {
	case p.FE.Stopped.Load():
		return Errorf("Frontend was previously shut down, cannot disable.\n")
	case p.FE.Paused.Swap(true):
		return Errorf("All sockets are already disabled.\n")
	}
	for _, l := range listeners(c.Worker, p) {
		if l.Bind.Load().Addr.IsUnix() {
			continue
		}
		for _, fd := range l.Descriptors() {
			c.R.Sys.Shutdown(fd, syscall.SHUT_RD)
		}
	}
	return nil
}

func enableFrontend(c *Conn, args []string) error {
	p, err := c.Frontend(args)
	if err != nil {
		return err
	}
	switch {
	case p.FE.Stopped.Load():
		return Errorf("Frontend was previously shut down, cannot enable.\n")
	case !p.FE.Paused.Load():
		return Errorf("All sockets are already enabled.\n")
	}
	failed := false
	for _, l := range listeners(c.Worker, p) {
		b := l.Bind.Load()
		if b.Addr.IsUnix() {
			continue
		}
		for _, fd := range l.Descriptors() {
			if e := c.R.Sys.Listen(fd, backlog(b)); e != 0 {
				failed = true
			}
		}
	}
	p.FE.Paused.Store(false)
	if failed {
		return Errorf("Failed to resume frontend, check logs for precise cause (port conflict?).\n")
	}
	return nil
}

// backlog is the length of the queue of connections of a bind.
func backlog(b *stream.Bind) int {
	for _, n := range []int{b.Backlog, b.MaxConn} {
		if n > 0 {
			return n
		}
	}
	return 4096
}

func shutdownFrontend(c *Conn, args []string) error {
	p, err := c.Frontend(args)
	if err != nil {
		return err
	}
	if p.FE.Stopped.Swap(true) {
		return Errorf("Frontend was already shut down.\n")
	}
	list := listeners(c.Worker, p)
	c.Worker.Mu.Lock()
	for k := range list {
		delete(c.Worker.Listeners, k)
	}
	c.Worker.Mu.Unlock()
	left := 0
	var wait reactor.Waiter
	r := c.R
	for _, l := range list {
		left++
		l.Close(func() { r.Post(func() { left--; wait.Notify() }) })
	}
	for left > 0 {
		if err := wait.Wait(r, 0); err == reactor.ErrKilled {
			return err
		}
	}
	return nil
}

func setMaxconnFrontend(c *Conn, args []string) error {
	p, err := c.Frontend(args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return Errorf("Integer value expected.\n")
	}
	n, rest, ok := leadingInt(args[1])
	if !ok || rest != "" {
		return Errorf("Integer value expected.\n")
	}
	if n < 0 {
		return Errorf("Value out of range.\n")
	}
	p.FE.Limit.Store(int64(n))
	return nil
}

func setMaxconnGlobal(c *Conn, args []string) error {
	if len(args) == 0 {
		return Errorf("Expects an integer value.\n")
	}
	n, rest, ok := leadingInt(args[0])
	if !ok || rest != "" {
		return Errorf("Expects an integer value.\n")
	}
	hard := c.Worker.Snapshot().Global.MaxConn
	if n < 0 || hard > 0 && n > hard {
		return Errorf("Value out of range.\n")
	}
	if n == 0 {
		n = hard
	}
	c.Worker.MaxConn.Store(int64(n))
	return nil
}
