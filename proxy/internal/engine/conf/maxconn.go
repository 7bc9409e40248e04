package conf

import (
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// FileLimits are how many descriptors the process may have: "ulimit-n" and
// "fd-hard-limit", 0 where nothing is said.
type FileLimits struct{ Limit, Most int }

// Files gives them; nil if there are none.
var Files = slot.New[*stream.Global, FileLimits]()

func init() {
	Register(
		Keyword{Name: "maxconn", In: Global, InPlace: true, Max: 1, Parse: globalMaxconn},
		Keyword{Name: "ulimit-n", In: Global, Max: 1, Parse: fileLimit},
		Keyword{Name: "fd-hard-limit", In: Global, Max: 1, Parse: func(c *Ctx) error {
			n, err := c.Integer(1, maxInt, "an integer argument.")
			Files.Make(c.Snap.Global).Most = n
			return err
		}},
	)
}

func globalMaxconn(c *Ctx) error {
	if c.Again("maxconn", "'maxconn'") {
		return nil
	}
	if len(c.Args) > 0 {
		if _, err := strconv.Atoi(c.Args[0]); err != nil {
			return say("cannot parse 'maxconn' value '%s', an integer is expected.", c.Args[0])
		}
	}
	n, err := c.Integer(0, maxInt, "an integer argument.")
	c.Snap.Global.MaxConn = n
	return err
}

func fileLimit(c *Ctx) error {
	if c.Again("ulimit-n", "'ulimit-n'") {
		return nil
	}
	n, err := c.Integer(1, maxInt, "an integer argument.")
	Files.Make(c.Snap.Global).Limit = n
	return err
}

// automaticMaxConn is how many connections the limit of descriptors allows: two
// each, less what listeners, pollers and checks need.
func automaticMaxConn(l *Loading) int {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 2000
	}
	limit := int(min(max(lim.Cur, lim.Max), math.MaxInt32))
	files := Files.Value(l.Snap.Global)
	if files.Limit > 0 {
		limit = files.Limit
	}
	if files.Most > 0 {
		limit = min(limit, files.Most)
	}
	reserved := common
	for _, cur := range l.read {
		if cur.proxy != nil && cur.proxy.Kind != "defaults" {
			if cur.taken == nil {
				cur.reserved = reservedOf(cur.proxy, l.Threads)
			}
			reserved += cur.reserved
		}
	}
	return max((min(limit, 1<<20)-reserved)/2, 100)
}

// common is how many descriptors a process has at most that are nobody's in
// particular: pollers, pipes, logs.
const common = 100

// Reserved is how many descriptors a configuration needs besides those of
// connections, two each: for listeners, and for checks, one a server that is
// checked.
func Reserved(s *stream.Snapshot) int {
	n := common
	for _, p := range s.Proxies {
		n += reservedOf(p, s.Global.Threads)
	}
	return n
}

func reservedOf(p *stream.Proxy, threads int) int {
	n := len(p.Binds) * threads
	for _, s := range p.ServerLines {
		if s.Settings.Check.Enabled {
			n++
		}
	}
	return n
}

// Memory is what a feature needs for each connection, in bytes: of clients to a
// bind line, and with a server. It is asked before the finishers run.
type Memory struct {
	Bind   func(b *stream.Bind) int
	Server func(set *stream.ServerSettings) int
}

var memories []Memory

// RegisterMemory adds m to what limits connections where memory does.
func RegisterMemory(m Memory) { memories = append(memories, m) }

// affordable is how many connections a limit of memory allows, in MiB, were all of
// them to be served at once, each at the cost of the dearest one.
func affordable(l *Loading, limit int) int {
	const (
		program   = 16 << 20 // what there is before the first connection
		exchange  = 16 << 10 // stacks, and what is known of the sides
		mebibytes = 1 << 20
	)
	each := 2*l.Snap.Global.BufSize + exchange
	var front, back int
	for _, p := range l.Snap.Proxies {
		for _, m := range memories {
			for _, b := range p.Binds {
				front = max(front, m.Bind(b))
			}
			for _, s := range p.ServerLines {
				back = max(back, m.Server(s.Settings))
			}
		}
	}
	return max((limit*mebibytes-program)/16*15/(each+front+back), 1)
}
