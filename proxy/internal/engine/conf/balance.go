package conf

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Algorithm is an algorithm of "balance".
type Algorithm struct {
	Name string
	// New makes what chooses. It is nil if Parse sets [stream.Balance.Key]: servers are
	// chosen by that then, as "hash-type" says.
	New balance.Builder
	// Static tells that the weights of servers do not change at run time, nor which
	// servers there are.
	Static bool
	// Parse reads what follows the name; nil: nothing may. paren is what stands in
	// parentheses right behind it, and c.Args the words after that.
	Parse func(c *Ctx, b *stream.Balance, paren string) error
	// Paren tells that the name may be followed by parentheses, Must that it has to be.
	Paren, Must bool
}

var algorithms = map[string]*Algorithm{}

// RegisterAlgorithm adds algorithms. It panics on a name that is taken.
func RegisterAlgorithm(list ...Algorithm) {
	for i := range list {
		a := &list[i]
		if algorithms[a.Name] != nil {
			panic("conf: algorithm registered twice: " + a.Name)
		}
		algorithms[a.Name] = a
	}
}

func init() {
	RegisterAlgorithm(
		Algorithm{Name: "roundrobin", New: balance.RoundRobin},
		Algorithm{Name: "static-rr", New: balance.StaticRR, Static: true},
		Algorithm{Name: "leastconn", New: balance.LeastConn},
		Algorithm{Name: "first", New: balance.First},
		Algorithm{Name: "random", New: balance.Random, Paren: true, Parse: draws},
	)
	Register(
		Keyword{Name: "balance", In: beSide, Max: -1, Parse: balanceLine},
		Keyword{Name: "hash-type", In: beSide, Max: 3, Parse: hashType},
		Keyword{Name: "hash-balance-factor", In: beSide, Max: 1, Parse: hashBalanceFactor},
		Keyword{Name: "hash-preserve-affinity", In: beSide, Max: 1, Parse: hashAffinity},
	)
	RegisterServer(
		ServerOption{Name: "hash-key", Args: 1, Dynamic: true, Parse: hashKey},
		ServerOption{Name: "minconn", Args: 1, Dynamic: true, Parse: serverInt(0, func(s *stream.ServerSettings) *int { return &s.MinConn })},
		ServerOption{Name: "maxqueue", Args: 1, Dynamic: true, Parse: serverInt(0, func(s *stream.ServerSettings) *int { return &s.MaxQueue })},
		ServerOption{Name: "slowstart", Args: 1, Dynamic: true, Parse: slowStart},
	)
	RegisterServerFinish(func(_ *Ctx, _ *stream.Proxy, _ string, s *stream.ServerSettings) error {
		// The manual says nothing of a minconn above maxconn: HAProxy takes it for both.
		if s.MinConn > s.MaxConn {
			s.MaxConn = s.MinConn
		}
		return nil
	})
}

// ofLogs are the algorithms of HAProxy that there are not yet: those of mode log.
var ofLogs = []string{"log-hash", "sticky"}

func balanceLine(c *Ctx) error {
	word := c.Arg(0)
	if len(c.Args) == 0 {
		word = "random"
	}
	name, paren, hasParen := strings.Cut(word, "(")
	a := algorithms[name]
	switch {
	case slices.Contains(ofLogs, name):
		return NotYet("algorithm", "balance "+name)
	case a == nil || hasParen && !a.Paren || !hasParen && a.Must:
		return say("balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hash', 'hdr(name)', 'rdp-cookie(name)', 'log-hash' and 'sticky' options.")
	}
	if a.Parse == nil {
		if err := c.extra(1); err != nil {
			return err
		}
	}
	b := stream.Balance{Algorithm: name, Args: c.Args, New: a.New, Static: a.Static, Config: c.Proxy.Balance.Config}
	b.Config.Draws = 0
	if a.Parse != nil {
		d := *c
		d.Args = c.Args[min(1, len(c.Args)):]
		if hasParen {
			paren = "(" + paren
		}
		if err := a.Parse(&d, &b, paren); err != nil {
			return err
		}
	}
	c.Proxy.Balance = b
	return nil
}

// Inside gives what stands between the parentheses of an algorithm's argument. HAProxy
// takes what comes before the first closing one.
func Inside(paren string) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(paren, "("), ")")
	return text
}

// draws reads "random(<draws>)".
func draws(c *Ctx, b *stream.Balance, paren string) error {
	if len(c.Args) > 0 {
		return unexpected(c.Args[0])
	}
	b.Config.Draws = 2
	if paren == "" {
		return nil
	}
	number := strings.TrimSuffix(paren[1:], ")")
	if bad := strings.TrimLeft(number, "0123456789"); bad != "" && number[0] != '-' {
		return say("balance random : unexpected character '%c' after argument.", bad[0])
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxInt || !strings.HasSuffix(paren, ")") {
		return say("balance random : number of draws must be at least 1.")
	}
	b.Config.Draws = n
	return nil
}

func hashType(c *Ctx) error {
	var h balance.HashType
	switch c.Arg(0) {
	case "consistent":
		h.Consistent = true
	case "map-based":
	default:
		return Predicatef("only supports 'consistent' and 'map-based'.")
	}
	h.Function = c.Arg(1)
	switch {
	case len(c.Args) < 2:
		h.Function, h.Avalanche = "sdbm", h.Consistent
	case balance.Functions[h.Function] == nil:
		return Predicatef("only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.")
	}
	h.Sum = balance.Functions[h.Function]
	if len(c.Args) > 2 {
		if c.Arg(2) != "avalanche" {
			return Predicatef("only supports 'avalanche' as a modifier for hash functions.")
		}
		h.Avalanche = true
	}
	c.Proxy.Balance.Config.Hash = h
	return nil
}

func hashBalanceFactor(c *Ctx) error {
	n, err := c.Integer(0, maxInt, "an integer argument.")
	if err == nil && n != 0 && n <= 100 {
		err = Predicatef("must be 0 or greater than 100.")
	}
	if err == nil {
		c.Proxy.Balance.Config.Factor = n
	}
	return err
}

func hashAffinity(c *Ctx) error {
	at := slices.Index([]string{"always", "maxconn", "maxqueue"}, c.Arg(0))
	if at < 0 {
		return say("'hash-preserve-affinity': unknown keyword '%s'", c.Arg(0))
	}
	c.Proxy.Balance.Config.Affinity = balance.Affinity(at)
	return nil
}

func hashKey(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	switch v {
	case "id":
		s.HashKey = server.ByID
	case "addr":
		s.HashKey = server.ByAddr
	case "addr-port":
		s.HashKey = server.ByAddrPort
	case "id32":
		s.HashKey = server.ByID32
	case "guid":
		s.HashKey = server.ByGUID
	default:
		return 0, Predicatef("has to be 'id', 'id32', 'guid', 'addr', or 'addr-port'.")
	}
	return 2, nil
}

func slowStart(c *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	d, err := Time(v, "slowstart", time.Millisecond)
	if err != nil {
		if strings.HasPrefix(err.Error(), "unexpected character") {
			err = say("%w argument of server %s.", err, c.Server)
		}
		return 0, err
	}
	s.SlowStart = d
	return 2, nil
}
