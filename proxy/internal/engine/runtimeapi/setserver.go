package runtimeapi

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

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

// SetServer is a word of "set server <backend>/<server>".
type SetServer struct {
	Word string
	// Run changes the server. args are what stands behind the word, empty where
	// nothing does: there are always three.
	Run func(c *Conn, p *stream.Proxy, s *server.Server, args []string) error
}

var setWords = make(map[string]SetServer)

// RegisterSetServer adds words, from init functions.
func RegisterSetServer(list ...SetServer) {
	for _, k := range list {
		setWords[k.Word] = k
	}
}

func init() {
	RegisterSetServer(
		SetServer{"weight", func(c *Conn, p *stream.Proxy, s *server.Server, args []string) error {
			return changeWeight(c, p, s, args[0])
		}},
		SetServer{"state", setState},
		SetServer{"addr", setAddr},
		SetServer{"fqdn", func(_ *Conn, _ *stream.Proxy, _ *server.Server, args []string) error {
			if args[0] == "" {
				return Errorf("set server <b>/<s> fqdn requires a FQDN.\n")
			}
			return Errorf("set server <b>/<s> fqdn failed because no resolution is configured.\n")
		}},
	)
}

func setServer(c *Conn, args []string) error {
	p, s, err := c.Target(args)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		if k, ok := setWords[args[1]]; ok {
			return k.Run(c, p, s, append(args[2:len(args):len(args)], "", "", "")[:max(len(args)-2, 3)])
		}
	}
	return Errorf("usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight\n")
}

func setState(c *Conn, _ *stream.Proxy, s *server.Server, args []string) error {
	switch args[0] {
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
	n, rest, ok := LeadingInt(digits)
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
		if w != 0 && w != st.InitWeight && !p.Balance.Dynamic() {
			err = Error("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n")
			return
		}
		st.UserWeight, st.WeightByUser = w, true
	})
	return err
}

// LeadingInt reads the number that s begins with, and gives what follows it. It
// is bounded to 32 bits.
func LeadingInt(s string) (n int, rest string, ok bool) {
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
	n, rest, ok := LeadingInt(args[1])
	if !ok {
		return Errorf("maxconn string empty or preceded by garbage\n")
	}
	if rest != "" {
		return Errorf("Trailing garbage in maxconn string\n")
	}
	s.Update(c.R.Wall(), "", func(st *server.State) { st.SetMaxConn(max(n, 0)) })
	p.BE.Queue.Kick()
	return nil
}

// setAddr changes the address: it says what it changed, or why it did not.
func setAddr(c *Conn, p *stream.Proxy, s *server.Server, args []string) error {
	if args[0] == "" {
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
	if args[1] == "port" {
		text, err := args[2], error(nil)
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
