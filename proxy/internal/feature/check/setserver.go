package check

import (
	"net/netip"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	noAgent := func(end string) func(*runtimeapi.Conn, *stream.Proxy, *server.Server, []string) error {
		return func(*runtimeapi.Conn, *stream.Proxy, *server.Server, []string) error {
			return runtimeapi.Errorf("agent checks are not enabled on this server%s\n", end)
		}
	}
	runtimeapi.RegisterSetServer(
		runtimeapi.SetServer{Word: "health", Run: setHealth},
		runtimeapi.SetServer{Word: "check-addr", Run: setCheckAddr},
		runtimeapi.SetServer{Word: "check-port", Run: setCheckPort},
		runtimeapi.SetServer{Word: "agent", Run: noAgent(".")}, runtimeapi.SetServer{Word: "agent-send", Run: noAgent(".")},
		runtimeapi.SetServer{Word: "agent-addr", Run: noAgent("")}, runtimeapi.SetServer{Word: "agent-port", Run: noAgent("")},
	)
}

// setHealth forces the result of the checks. A server in maintenance only keeps
// the counter.
func setHealth(c *runtimeapi.Conn, _ *stream.Proxy, s *server.Server, args []string) error {
	check := &s.Settings().Check
	full := check.Rise + check.Fall - 1
	var op server.Op
	switch args[0] {
	case "up":
		op = server.Running
	case "stopping":
		op = server.Stopping
	case "down":
		op, full = server.Stopped, 0
	default:
		return runtimeapi.Errorf("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n")
	}
	s.Update(c.R.Wall(), "changed from CLI", func(st *server.State) {
		st.Health = full
		if st.Admin&server.Maint != 0 || st.Op == op || st.Op == server.Stopped && op == server.Stopping {
			return
		}
		if op == server.Stopped {
			st.Downs++
		}
		st.Op = op
	})
	return nil
}

func setCheckAddr(c *runtimeapi.Conn, p *stream.Proxy, s *server.Server, args []string) error {
	addr, word, port := args[0], args[1], args[2]
	if addr == "" {
		return runtimeapi.Errorf("set server <b>/<s> check-addr requires an address and optionally a port.\n")
	}
	if !s.Settings().Check.Enabled {
		return runtimeapi.Errorf("health checks are not enabled on this server\n")
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" {
		return runtimeapi.Errorf("invalid addr '%s'\n", addr)
	}
	n := 0
	if word == "port" {
		if n, err = portNumber(port); err != nil {
			return err
		}
	}
	changeCheck(c, p, s, func(k *server.Check) {
		k.Addr.IP, k.Addr.Path = ip, ""
		if n != 0 {
			k.Port = n
		}
	})
	return nil
}

func setCheckPort(c *runtimeapi.Conn, p *stream.Proxy, s *server.Server, args []string) error {
	port := args[0]
	if port == "" {
		return runtimeapi.Errorf("set server <b>/<s> check-port requires a port.\n")
	}
	if !s.Settings().Check.Enabled {
		return runtimeapi.Errorf("health checks are not enabled on this server\n")
	}
	n, err := portNumber(port)
	if err != nil {
		return err
	}
	changeCheck(c, p, s, func(k *server.Check) { k.Port = n })
	return nil
}

func portNumber(text string) (int, error) {
	n, rest, ok := runtimeapi.LeadingInt(text)
	if !ok || rest != "" {
		return 0, runtimeapi.Errorf("provided port is not an integer\n")
	}
	if n <= 0 || n > 65535 {
		return 0, runtimeapi.Errorf("provided port is invalid\n")
	}
	return n, nil
}

// changeCheck puts settings in force that differ in the checks only.
func changeCheck(c *runtimeapi.Conn, p *stream.Proxy, s *server.Server, f func(*server.Check)) {
	c.Worker.Mu.Lock()
	set := *s.Settings()
	f(&set.Check)
	s.Replace(c.R.Wall(), &set)
	c.Worker.Mu.Unlock()
	runtimeapi.ServerChanged(c.Worker, p, s)
}
