package runtimeapi

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Command{Words: "show backend", Level: User, Help: "list backends in the current running config", Run: showBackend},
		Command{Words: "show servers state", Level: User, Usage: "[<backend>]", Help: "dump volatile server information (all or for a single backend)", Run: showServersState},
		Command{Words: "show servers conn", Level: User, Usage: "[<backend>]", Help: "dump server connections status (all or for a single backend)", Run: showServersConn},
		Command{Words: "show cli sockets", Level: User, Help: "dump list of cli sockets", Run: showCLISockets},
		Command{Words: "show env", Level: Operator, Usage: "[var]", Help: "dump environment variables known to the process", Run: showEnv},
		Command{Words: "show activity", Level: Operator, Usage: "[-1|0|thread_num]", Help: "show per-thread activity stats (for support/developers)", Run: showActivity},
	)
}

func showBackend(c *Conn, _ []string) error {
	c.WriteString("# name\n")
	for _, p := range c.Worker.Snapshot().Proxies {
		if p.Backend {
			c.Printf("%s\n", p.Name)
		}
	}
	return c.err
}

// backendsOf gives the backends that args name: all if none.
func backendsOf(c *Conn, args []string) ([]*stream.Proxy, error) {
	if len(args) > 0 {
		p := c.Backend(args[0])
		if p == nil {
			return nil, Errorf("Can't find backend.\n")
		}
		return []*stream.Proxy{p}, nil
	}
	var list []*stream.Proxy
	for _, p := range c.Worker.Snapshot().Proxies {
		if p.Backend && !p.Disabled {
			list = append(list, p)
		}
	}
	return list, nil
}

// showServersState prints version 1 of the format of state files.
func showServersState(c *Conn, args []string) error {
	list, err := backendsOf(c, args)
	if err != nil {
		return err
	}
	c.WriteString("1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
		"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
		"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n")
	now := c.R.Wall()
	var kept []string
	for _, p := range list {
		for _, s := range p.BE.Servers() {
			if by := s.ByUser(); len(by) > 0 && c.Worker.Snapshot().Version > 1 {
				kept = append(kept, fmt.Sprintf("# kept by the reload: %s/%s %s\n", p.Name, s.Name, strings.Join(by, ", ")))
			}
			set, st := s.Settings(), s.State()
			c.Printf("%d %s %d %s %s %d %d %d %d %d %d %d %d %d 0 %d %d %s %d - %d %d %s - 0\n",
				p.ID, p.Name, s.ID, s.Name, ipText(st.Addr), st.Op, adminNumber(st.Admin), st.UserWeight, st.InitWeight,
				max(int64(now.Sub(st.LastChange).Seconds()), 0), server.StatusOf(st.CheckStatus).Number, st.CheckResult, st.Health,
				checkState(set, st), flag(p.ForcedID), flag(set.ID != 0), fqdn(set), st.Addr.Port,
				useTLS(set), set.Check.Port, ipText(set.Check.Addr))
		}
	}
	// At the end, as comments: readers of the format take no notice.
	for _, l := range kept {
		c.WriteString(l)
	}
	return c.err
}

// useTLS is 1 if the server's traffic is under TLS, -1 if its line says "no-ssl".
func useTLS(set *server.Settings) int {
	switch u := stream.Uplinks.Of(set); {
	case u == nil:
	case u.TLS != nil:
		return 1
	case u.Clear:
		return -1
	}
	return 0
}

// adminNumber is the mask as the state file has it: who is disabled by the
// configuration is also said to be forced into maintenance.
func adminNumber(a server.Admin) int {
	if a&server.ConfigMaint != 0 {
		a |= server.ForcedMaint
	}
	return int(a)
}

func checkState(set *server.Settings, st server.State) int {
	n := 0
	if set.Check.Enabled {
		n |= 2
		if !st.CheckPaused {
			n |= 4
		}
	}
	if st.Admin&server.ConfigMaint != 0 || st.Admin&server.Maint != 0 && n&4 != 0 {
		n |= 8
	}
	return n
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ipText(a reactor.Addr) string {
	if !a.IP.IsValid() {
		return "-"
	}
	return a.IP.Unmap().String()
}

// fqdn is the name of a server that was configured by name.
func fqdn(set *server.Settings) string {
	if set.Host == "" || strings.ContainsAny(set.Host, ":/") || strings.Trim(set.Host, "0123456789.") == "" {
		return "-"
	}
	return set.Host
}

func showServersConn(c *Conn, args []string) error {
	list, err := backendsOf(c, args)
	if err != nil {
		return err
	}
	n := len(c.Worker.Reactors)
	c.Printf("# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est idle_sess unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[%d]\n", n)
	type line struct {
		p    *stream.Proxy
		s    *server.Server
		idle []int
	}
	var lines []line
	for _, p := range list {
		for _, s := range p.BE.Servers() {
			lines = append(lines, line{p, s, make([]int, n)})
		}
	}
	c.Worker.Each(c.R, func(r *reactor.Reactor) {
		for _, l := range lines {
			l.idle[r.Index] = l.s.Pools[r.Index].Len()
		}
	})
	for _, l := range lines {
		set, st := l.s.Settings(), l.s.State()
		idle := 0
		var perThread strings.Builder
		for _, k := range l.idle {
			idle += k
			fmt.Fprintf(&perThread, " %d", k)
		}
		c.Printf("%s/%s %d/%d %s %d - %d %d %d %d %d %d 0 %d %d %d%s\n",
			l.p.Name, l.s.Name, l.p.ID, l.s.ID, ipText(st.Addr), st.Addr.Port, set.PoolPurgeDelay.Milliseconds(),
			l.s.Cur.Load(), l.s.Used.Load(), l.s.MaxUsed(), l.s.Needed(), l.s.Private.Load(), idle, set.PoolMaxConn, idle, perThread.String())
	}
	return c.err
}

func showCLISockets(c *Conn, _ []string) error {
	c.WriteString("# socket lvl processes\n")
	var lines []string
	c.Worker.Mu.Lock()
	for _, l := range c.Worker.Listeners {
		if b := l.Bind.Load(); b.Handler != nil {
			lines = append(lines, fmt.Sprintf("%s %s all\n", socketText(b.Addr), Level(b.Level)))
		}
	}
	c.Worker.Mu.Unlock()
	for _, s := range lines {
		c.WriteString(s)
	}
	return c.err
}

func socketText(a reactor.Addr) string {
	switch {
	case a.IsUnix() && a.Path[0] == 0:
		return "abns@" + a.Path[1:]
	case a.IsUnix():
		return "unix@" + a.Path
	case a.IP.Is6():
		return fmt.Sprintf("ipv6@[%s]:%d", a.IP, a.Port)
	}
	return fmt.Sprintf("ipv4@%s:%d", a.IP, a.Port)
}

func showEnv(c *Conn, args []string) error {
	if len(args) > 0 {
		v, ok := os.LookupEnv(args[0])
		if !ok {
			return Errorf("Variable not found\n")
		}
		return c.Printf("%s=%s\n", args[0], oneLine(v))
	}
	for _, e := range os.Environ() {
		c.Printf("%s\n", oneLine(e))
	}
	return c.err
}

// oneLine keeps a value from looking like the end of a reply.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "\\n") }

// showActivity shows counters of the threads: their sum and each ("-1"), the sum
// alone ("0"), or those of one thread.
func showActivity(c *Conn, args []string) error {
	w := c.Worker
	which := -1
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < -1 || n > len(w.Reactors) {
			return Errorf("Thread number out of range (-1..%d).\n", len(w.Reactors))
		}
		which = n
	}
	c.Printf("thread_id: %d (1..%d)\n", c.R.Index+1, len(w.Reactors))
	now := c.R.Wall()
	c.Printf("date_now: %d.%06d\n", now.Unix(), now.Nanosecond()/1000)
	show := func(name string, f func(i int) int64) {
		if which > 0 {
			c.Printf("%s: %d\n", name, f(which-1))
			return
		}
		var sum int64
		var each strings.Builder
		for i := range w.Reactors {
			n := f(i)
			sum += n
			fmt.Fprintf(&each, " %d", n)
		}
		if which == 0 {
			c.Printf("%s: %d\n", name, sum)
			return
		}
		c.Printf("%s: %d [%s ]\n", name, sum, each.String())
	}
	show("loops", func(i int) int64 { return w.Reactors[i].Loops.Load() })
	show("poll_io", func(i int) int64 { return w.Reactors[i].Polls.Load() })
	show("idle_ms", func(i int) int64 { return w.Reactors[i].IdleNs.Load() / 1e6 })
	show("accepted", func(i int) int64 { return w.Counters[i].Conns.Load() })
	show("streams", func(i int) int64 { return w.Counters[i].Streams.Load() })
	show("requests", func(i int) int64 { return w.Counters[i].Requests.Load() })
	show("panics", func(i int) int64 { return w.Reactors[i].Panics.Load() })
	return c.err
}
