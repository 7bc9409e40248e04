package runtimeapi

import (
	"errors"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Command{Words: "add server", Level: Admin, Usage: "<bk>/<srv>", Help: "create a new server", Run: addServer},
		Command{Words: "del server", Level: Admin, Usage: "<bk>/<srv>", Help: "remove a dynamically added server", Run: delServer},
		Command{Words: "enable server", Level: Admin, Usage: " (DEPRECATED)", Help: "enable a disabled server (use 'set server' instead)", Run: enableServer},
		Command{Words: "disable server", Level: Admin, Usage: "(DEPRECATED)", Help: "disable a server for maintenance (use 'set server' instead)", Run: disableServer},
		Command{Words: "enable health", Level: Admin, Help: "enable health checks", Run: enableHealth},
		Command{Words: "disable health", Level: Admin, Help: "disable health checks", Run: disableHealth},
		Command{Words: "enable agent", Level: Admin, Help: "enable agent checks", Run: enableAgent},
		Command{Words: "disable agent", Level: Admin, Help: "disable agent checks", Run: disableAgent},
	)
}

func addServer(c *Conn, args []string) error {
	if len(args) > 0 && args[0] == "help" {
		return addServerHelp(c)
	}
	snap := c.Worker.Snapshot()
	p, name, err := c.targetBackend(args)
	if err != nil {
		return err
	}
	if !p.Balance.Dynamic() {
		return Errorf("Backend does not support dynamic servers : backend '%s' uses a non dynamic load balancing method.\n", p.Name)
	}
	if bad, ok := config.ValidName(name); !ok {
		return Errorf("character '%c' is not permitted in server name '%s'.\n", bad, name)
	}
	if p.BE.Server(name) != nil {
		return Errorf("Already exists a server with the same name in backend.\n")
	}
	if len(args) < 2 {
		return Errorf("'server' expects <name> and <addr>[:<port>] as arguments.\n")
	}
	var d config.Diagnostics
	ctx := &conf.Ctx{Loading: &conf.Loading{Snap: snap, Diags: &d, Threads: len(c.Worker.Reactors)}}
	set, err := ctx.ParseServer(p, name, args[1:])
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "'server "+p.Name+"/"+name+"' : ")
		return Errorf("%s\n", text)
	}
	srv, err := c.join(snap, p, name, set)
	if err != nil {
		for _, f := range refused {
			f(set)
		}
		if err == errApplied {
			return addServer(c, args)
		}
		return err
	}
	tell(added, c.Worker, p, srv)
	for _, e := range d.All() {
		c.Message(5, "%s", e.Text)
	}
	return c.Message(6, "New server registered.\n")
}

// errApplied: another configuration came into force, whose backends and files are
// others.
var errApplied = errors.New("the configuration has changed")

// join makes a server and puts it into a backend of snap: in maintenance and unchecked,
// since it is told to take traffic and to be checked by commands of their own.
func (c *Conn) join(snap *stream.Snapshot, p *stream.Proxy, name string, set *server.Settings) (*server.Server, error) {
	w, now := c.Worker, c.R.Wall()
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.Snapshot() != snap {
		return nil, errApplied
	}
	if p.BE.Server(name) != nil {
		return nil, Errorf("Already exists a server with the same name in backend.\n")
	}
	if set.GUID != "" {
		if owner := conf.GUIDOwner(snap, set.GUID); owner != "" {
			return nil, Errorf("'guid': duplicate entry with %s.\n", owner)
		}
	}
	id := set.ID
	for _, o := range p.BE.Servers() {
		if id != 0 && o.ID == id {
			return nil, Errorf("'id' : custom id %d already used by server '%s'.\n", id, o.Name)
		}
	}
	if id == 0 {
		id = p.BE.NextID()
	}
	s := server.New(p.Name, name, id, len(w.Reactors), set, now)
	s.Dynamic = true
	s.SetAdmin(now, server.ForcedMaint, 0, "added")
	s.Update(now, "added", func(st *server.State) { st.CheckPaused = set.Check.Enabled })
	p.BE.Add(s)
	return s, nil
}

func addServerHelp(c *Conn) error {
	c.WriteString("List of keywords supported for dynamic servers:\n")
	for _, o := range conf.ServerOptions() {
		if o.Dynamic {
			c.Printf("  %s%s\n", o.Name, strings.Repeat(" <arg>", o.Args))
		}
	}
	return c.err
}

// removable tells why s cannot be deleted now, and whether that may change by
// itself.
func removable(s *server.Server) (err error, later bool) {
	switch {
	case s.Deleted():
		return Errorf("No such server.\n"), false
	case s.State().Admin&server.Maint == 0:
		return Errorf("Only servers in maintenance mode can be deleted.\n"), false
	case s.Cur.Load() > 0 || s.Queued.Load() > 0 || s.Used.Load() > 0 || s.Idle.Load() > 0:
		return Errorf("Server still has connections attached to it, cannot remove it.\n"), true
	}
	return nil, false
}

func delServer(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	c.dropIdle(s)
	if err := c.part(p, s); err != nil {
		return err
	}
	tell(removed, c.Worker, p, s)
	return c.Message(5, "Server deleted.\n")
}

// part takes a server out of a backend, if that can be.
func (c *Conn) part(p *stream.Proxy, s *server.Server) error {
	c.Worker.Mu.Lock()
	defer c.Worker.Mu.Unlock()
	err, _ := removable(s)
	if err == nil {
		p.BE.Remove(s)
	}
	return err
}

func enableServer(c *Conn, args []string) error {
	_, s, err := c.Target(args)
	if err == nil {
		setReady(c, s)
	}
	return err
}

func disableServer(c *Conn, args []string) error {
	_, s, err := c.Target(args)
	if err == nil {
		setMaint(c, s)
	}
	return err
}

func setReady(c *Conn, s *server.Server) {
	s.SetAdmin(c.R.Wall(), 0, server.ForcedMaint|server.ConfigMaint|server.ForcedDrain, "leaving forced maintenance")
}

func setDrain(c *Conn, s *server.Server) {
	s.SetAdmin(c.R.Wall(), server.ForcedDrain, server.ForcedMaint|server.ConfigMaint, "entering drain state")
}

func setMaint(c *Conn, s *server.Server) {
	s.SetAdmin(c.R.Wall(), server.ForcedMaint, server.ForcedDrain, "entering maintenance")
	c.dropIdle(s)
}

func enableHealth(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	if !s.Settings().Check.Enabled {
		return Errorf("Health check was not configured on this server, cannot enable.\n")
	}
	s.Update(c.R.Wall(), "", func(st *server.State) { st.CheckPaused = false })
	tell(changed, c.Worker, p, s)
	return nil
}

func disableHealth(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	s.Update(c.R.Wall(), "", func(st *server.State) { st.CheckPaused = true })
	tell(changed, c.Worker, p, s)
	return nil
}

func enableAgent(c *Conn, args []string) error {
	if _, _, err := c.Target(args); err != nil {
		return err
	}
	return Errorf("Agent was not configured on this server, cannot enable.\n")
}

func disableAgent(c *Conn, args []string) error {
	_, _, err := c.Target(args)
	return err
}
