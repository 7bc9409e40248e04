package runtimeapi

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Command{Words: "disable frontend", Level: Admin, Usage: "<frontend>", Help: "temporarily disable specific frontend", Run: disableFrontend},
		Command{Words: "enable frontend", Level: Admin, Usage: "<frontend>", Help: "re-enable specific frontend", Run: enableFrontend},
		Command{Words: "shutdown frontend", Level: Admin, Usage: "<frontend>", Help: "stop a specific frontend", Run: shutdownFrontend},
		Command{Words: "set maxconn frontend", Level: Admin, Usage: "<frontend> <value>", Help: "change a frontend's maxconn setting", Run: setMaxconnFrontend},
		Command{Words: "set maxconn global", Level: Admin, Usage: "<value>", Help: "change the per-process maxconn setting", Run: setMaxconnGlobal},
		Command{Words: "set rate-limit", Level: Admin, Usage: "<setting> <value>", Help: "change a rate limiting value", Run: setRateLimit},
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
// addresses; they stay bound, so that it can be enabled again without a right to
// bind.
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
		l.Pause()
	}
	c.sync()
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
	case !p.FE.Paused.Swap(false):
		return Errorf("All sockets are already enabled.\n")
	}
	for _, l := range listeners(c.Worker, p) {
		l.Resume()
	}
	c.sync()
	return nil
}

// sync waits until all reactors have done what was posted to them.
func (c *Conn) sync() {
	done := 0
	var wait reactor.Waiter
	for _, r := range c.Worker.Reactors {
		r.Post(func() { c.R.Post(func() { done++; wait.Notify() }) })
	}
	for done < len(c.Worker.Reactors) {
		if wait.Wait(c.R, 0) == reactor.ErrKilled {
			return
		}
	}
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
	n, rest, ok := LeadingInt(args[1])
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
	n, rest, ok := LeadingInt(args[0])
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

// setRateLimit is "set rate-limit ssl-sessions global <value>". What features limit
// are commands of theirs; the other rates of the process have no limits here.
func setRateLimit(c *Conn, args []string) error {
	if len(args) > 1 && args[1] == "global" {
		switch args[0] {
		case "connections", "sessions":
			return notYet("set rate-limit " + args[0] + " global")
		}
	}
	if len(args) < 2 || args[0] != "ssl-sessions" || args[1] != "global" {
		return Errorf("'set rate-limit' only supports :\n   - 'ssl-sessions global' to set the per-process maximum SSL session rate\n")
	}
	if len(args) < 3 {
		return Errorf("Expects an integer value.\n")
	}
	n, rest, ok := LeadingInt(args[2])
	switch {
	case !ok || rest != "":
		return Errorf("Expects an integer value.\n")
	case n < 0:
		return Errorf("Value out of range.\n")
	}
	c.Worker.SetMaxTLSRate(n)
	return nil
}
