package runtimeapi

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Command{Words: "set server", Level: Admin, Usage: "<bk>/<srv> [opts]", Help: "change a server's state, weight, address or ssl", Run: setServer},
		Command{Words: "set weight", Level: Admin, Usage: "<bk>/<srv>  (DEPRECATED)", Help: "change a server's weight (use 'set server' instead)", Run: setWeight},
		Command{Words: "get weight", Level: User, Usage: "<bk>/<srv>", Help: "report a server's current weight", Run: getWeight},
		Command{Words: "set maxconn server", Level: Admin, Usage: "<bk>/<srv>", Help: "change a server's maxconn setting", Run: setMaxconnServer},
	)
}

func setServer(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	arg := func(n int) string {
		if n < len(args) {
			return args[n]
		}
		return ""
	}
	switch arg(1) {
	case "weight":
		return changeWeight(c, p, s, arg(2))
	case "state":
		switch arg(2) {
		case "ready":
			setReady(c, s)
		case "drain":
			setDrain(c, s)
		case "maint":
			setMaint(c, s)
		default:
			return Errorf("'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n")
		}
		return nil
	case "health":
		return setHealth(c, s, arg(2))
	case "addr":
		return setAddr(c, p, s, args[2:])
	case "check-addr":
		if arg(2) == "" {
			return Errorf("set server <b>/<s> check-addr requires an address and optionally a port.\n")
		}
		return setCheckAddr(c, p, s, arg(2), arg(3), arg(4))
	case "check-port":
		if arg(2) == "" {
			return Errorf("set server <b>/<s> check-port requires a port.\n")
		}
		return setCheckPort(c, p, s, arg(2))
	case "fqdn":
		if arg(2) == "" {
			return Errorf("set server <b>/<s> fqdn requires a FQDN.\n")
		}
		return Errorf("set server <b>/<s> fqdn failed because no resolution is configured.\n")
	case "ssl":
		return setTLS(c, p, s, arg(2))
	case "agent", "agent-send":
		return Errorf("agent checks are not enabled on this server.\n")
	case "agent-addr", "agent-port":
		return Errorf("agent checks are not enabled on this server\n")
	}
	return Errorf("usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight\n")
}

// setTLS switches TLS on or off for the traffic of a server whose line says how it
// is secured; its checks go on as they were.
func setTLS(c *Conn, p *stream.Proxy, s *server.Server, how string) error {
	l, _ := s.Settings().SSL.(interface{ Security() server.Security })
	if l == nil || l.Security() == nil {
		return Errorf("'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n")
	}
	if how != "on" && how != "off" {
		return Errorf("'set server <srv> ssl' expects 'on' or 'off'.\n")
	}
	c.Worker.Mu.Lock()
	set := *s.Settings()
	set.TLS, set.TLSByUser = nil, true
	if how == "on" {
		set.TLS = l.Security()
	}
	s.Replace(c.R.Wall(), &set)
	c.Worker.Mu.Unlock()
	tell(changed, c.Worker, p, s)
	return c.Printf("server ssl setting updated.\n")
}

func setWeight(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	text := ""
	if len(args) > 1 {
		text = args[1]
	}
	return changeWeight(c, p, s, text)
}

// maxWeight is the highest weight of a server.
const maxWeight = 256

func changeWeight(c *Conn, p *stream.Proxy, s *server.Server, text string) error {
	if text == "" {
		return Error("Require <weight> or <weight%>.\n")
	}
	digits, relative := strings.CutSuffix(text, "%")
	n, rest, ok := leadingInt(digits)
	switch {
	case !ok:
		return Errorf("Empty weight string empty or preceded by garbage\n")
	case rest != "":
		return Errorf("Trailing garbage in weight string\n")
	case relative && n < 0:
		return Errorf("Relative weight must be positive.\n")
	case !relative && (n < 0 || n > maxWeight):
		return Errorf("Absolute weight can only be between 0 and 256 inclusive.\n")
	}
	var err error
	s.Update(c.R.Wall(), "", func(st *server.State) {
		w := n
		if relative {
			w = min(st.InitWeight*n/100, maxWeight)
		}
		if w != 0 && w != st.InitWeight && !balance.Dynamic(p.Balance.Algorithm) {
			err = Error("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n")
			return
		}
		st.UserWeight, st.WeightByUser = w, true
	})
	return err
}

// leadingInt reads the number that s begins with, and gives what follows it. It
// is bounded to 32 bits.
func leadingInt(s string) (n int, rest string, ok bool) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	start := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == start {
		return 0, s, false
	}
	v, err := strconv.ParseInt(s[:i], 10, 32)
	if err != nil {
		v = 1<<31 - 1
		if s[0] == '-' {
			v = -v
		}
	}
	return int(v), s[i:], true
}

func getWeight(c *Conn, args []string) error {
	_, s, err := c.Target(args)
	if err != nil {
		return err
	}
	st := s.State()
	return c.Printf("%d (initial %d)\n", st.UserWeight, st.InitWeight)
}

func setMaxconnServer(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return Errorf("Require <maxconn>.\n")
	}
	n, rest, ok := leadingInt(args[1])
	if !ok {
		return Errorf("maxconn string empty or preceded by garbage\n")
	}
	if rest != "" {
		return Errorf("Trailing garbage in maxconn string\n")
	}
	s.Update(c.R.Wall(), "", func(st *server.State) { st.MaxConn, st.MaxByUser = max(n, 0), true })
	p.BE.Queue.Kick()
	return nil
}

// setHealth forces the result of the checks. A server in maintenance only keeps
// the counter.
func setHealth(c *Conn, s *server.Server, to string) error {
	check := &s.Settings().Check
	full := check.Rise + check.Fall - 1
	var op server.Op
	switch to {
	case "up":
		op = server.Running
	case "stopping":
		op = server.Stopping
	case "down":
		op, full = server.Stopped, 0
	default:
		return Errorf("'set server <srv> health' expects 'up', 'stopping', or 'down'.\n")
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

// setAddr changes the address: it says what it changed, or why it did not.
func setAddr(c *Conn, p *stream.Proxy, s *server.Server, args []string) error {
	if len(args) == 0 {
		return Errorf("set server <b>/<s> addr requires an address and optionally a port.\n")
	}
	const by = " by 'stats socket command'"
	ip, err := netip.ParseAddr(args[0])
	if err != nil || ip.Zone() != "" {
		return Errorf("Invalid addr '%s'%s\n", args[0], by)
	}
	cur := s.State().Addr
	next := reactor.Addr{IP: ip, Port: cur.Port}
	var said []string
	if ip == cur.IP.Unmap() {
		said = append(said, "no need to change the addr")
	} else {
		was := "(null)"
		if cur.IP.IsValid() {
			was = cur.IP.Unmap().String()
		}
		said = append(said, fmt.Sprintf("IP changed from '%s' to '%s'", was, ip))
	}
	if len(args) > 1 && args[1] == "port" {
		text, err := "", error(nil)
		if len(args) > 2 {
			text = args[2]
		}
		if next.Port, text, err = newPort(cur.Port, text); text != "" {
			said = append(said, text)
		}
		if err != nil {
			// Nothing is changed by half.
			if ip != cur.IP.Unmap() {
				said = said[:0]
			}
			return Errorf("%s%s\n", strings.Join(append(said, err.Error()), ", "), by)
		}
	}
	if next != cur {
		s.Update(c.R.Wall(), "address", func(st *server.State) { st.Addr, st.AddrByUser = next, true })
		if s.State().Admin&server.ResolveMaint != 0 {
			s.SetAdmin(c.R.Wall(), 0, server.ResolveMaint, "address")
		}
		c.dropIdle(s)
		tell(changed, c.Worker, p, s)
	}
	return c.Message(4, "%s%s\n", strings.Join(said, ", "), by)
}

func newPort(cur uint16, text string) (port uint16, said string, err error) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return cur, "", errors.New("can't change <port> to port map at run time")
	}
	n, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil || n == 0:
		return cur, "", fmt.Errorf("problem converting port '%s' to an int", text)
	case uint16(n) == cur:
		return cur, "", nil
	}
	return uint16(n), fmt.Sprintf("port changed from '%d' to '%d'", cur, n), nil
}

func setCheckAddr(c *Conn, p *stream.Proxy, s *server.Server, addr, word, port string) error {
	if !s.Settings().Check.Enabled {
		return Errorf("health checks are not enabled on this server\n")
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" {
		return Errorf("invalid addr '%s'\n", addr)
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

func setCheckPort(c *Conn, p *stream.Proxy, s *server.Server, port string) error {
	if !s.Settings().Check.Enabled {
		return Errorf("health checks are not enabled on this server\n")
	}
	n, err := portNumber(port)
	if err != nil {
		return err
	}
	changeCheck(c, p, s, func(k *server.Check) { k.Port = n })
	return nil
}

func portNumber(text string) (int, error) {
	n, rest, ok := leadingInt(text)
	if !ok || rest != "" {
		return 0, Errorf("provided port is not an integer\n")
	}
	if n <= 0 || n > 65535 {
		return 0, Errorf("provided port is invalid\n")
	}
	return n, nil
}

// changeCheck puts settings in force that differ in the checks only.
func changeCheck(c *Conn, p *stream.Proxy, s *server.Server, f func(*server.Check)) {
	c.Worker.Mu.Lock()
	set := *s.Settings()
	f(&set.Check)
	s.Replace(c.R.Wall(), &set)
	c.Worker.Mu.Unlock()
	tell(changed, c.Worker, p, s)
}
