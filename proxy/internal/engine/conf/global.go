package conf

import (
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// RuntimeSocket is what the global section says of the Runtime socket. Package
// runtimeapi gives the binds their handler.
type RuntimeSocket struct {
	Binds   []*stream.Bind
	Timeout time.Duration
	MaxConn int
}

// Levels of a Runtime socket, the values of [stream.Bind.Level].
const (
	LevelDefault = iota // "operator", as if it were written
	LevelUser
	LevelOperator
	LevelAdmin
)

// Runtime gives the Runtime socket's settings; nil if there is nothing about it.
var Runtime = slot.New[*stream.Global, RuntimeSocket]()

// Process is what the global section says of the process and only its starter
// needs.
type Process struct {
	PidFile   string
	LocalPeer string
}

// ProcessSettings gives them; nil if there are none.
var ProcessSettings = slot.New[*stream.Global, Process]()

func init() {
	RegisterNumber(
		Number{Name: "tune.bufsize", Low: 1024, High: 256 << 20, Size: true, Want: "a positive integer argument.", Set: func(g *stream.Global, n int) { g.BufSize = (n + 15) &^ 15 }},
		Number{Name: "tune.maxrewrite", High: 256 << 20, Size: true, InPlace: true, Want: "a positive integer argument.", Set: func(g *stream.Global, n int) { g.MaxRewrite = n }},
		Number{Name: "tune.http.maxhdr", Low: 1, High: 32767, Size: true, InPlace: true, Want: "a numeric value between 1 and 32767", Set: func(g *stream.Global, n int) { g.MaxHeaders = n }},
		Number{Name: "tune.maxaccept", Low: -1, High: maxInt, Size: true, InPlace: true, Want: "an integer argument.", Set: setMaxAccept},
		Number{Name: "tune.maxpollevents", Low: 1, High: 1000000, Size: true, Want: "an integer argument.", Set: func(g *stream.Global, n int) { g.MaxPollEvents = n }},
	)
	Register(
		Keyword{Name: "maxconn", In: Global, InPlace: true, Max: 1, Parse: globalMaxconn},
		Keyword{Name: "stats socket", In: Global, InPlace: true, Max: -1, Parse: statsSocket},
		Keyword{Name: "daemon", In: Global, Parse: func(c *Ctx) error { c.Snap.Global.Daemon = true; return nil }},
		Keyword{Name: "master-worker", In: Global, Max: 1, Parse: masterWorker},
		Keyword{Name: "pidfile", In: Global, Max: 1, Parse: pidfile},
		Keyword{Name: "localpeer", In: Global, InPlace: true, Max: 1, Parse: localpeer},
		Keyword{Name: "user", In: Global, Max: 1, Parse: user},
		Keyword{Name: "group", In: Global, Max: 1, Parse: group},
		Keyword{Name: "uid", In: Global, Max: 1, Parse: uid},
		Keyword{Name: "gid", In: Global, Max: 1, Parse: gid},
		Keyword{Name: "chroot", In: Global, Max: 1, Parse: chroot},
		Keyword{Name: "hard-stop-after", In: Global, InPlace: true, Max: 1, Parse: delay(func(g *stream.Global) *time.Duration { return &g.HardStopAfter })},
		Keyword{Name: "grace", In: Global, InPlace: true, Max: 1, Parse: delay(func(g *stream.Global) *time.Duration { return &g.Grace })},
		Keyword{Name: "node", In: Global, InPlace: true, Max: 1, Parse: node},
		Keyword{Name: "description", In: Global, InPlace: true, Max: -1, Parse: globalDescription},
		Keyword{Name: "nosplice", In: Global, InPlace: true, Parse: func(c *Ctx) error { c.Snap.Global.NoSplice = true; return nil }},
		Keyword{Name: "no-memory-trimming", In: Global, Parse: func(c *Ctx) error { c.Snap.Global.NoTrim = true; return nil }},
		Keyword{Name: "strict-limits", In: Global, No: true, Parse: func(c *Ctx) error { c.Snap.Global.NoFileLimits = c.No; return nil }},
		Keyword{Name: "ulimit-n", In: Global, Max: 1, Parse: fileLimit},
		Keyword{Name: "fd-hard-limit", In: Global, Max: 1, Parse: func(c *Ctx) error {
			n, err := c.integer(1, maxInt, "an integer argument.")
			c.Snap.Global.MaxFiles = n
			return err
		}},
		Keyword{Name: "default-path", In: Global, Max: 2, Parse: defaultPath},
		Keyword{Name: "zero-warning", In: Global, InPlace: true, Parse: func(c *Ctx) error { c.Snap.Global.ZeroWarning = true; return nil }},
	)
}

func setMaxAccept(g *stream.Global, n int) {
	if n == 0 {
		n = 4 // the documented default
	}
	if n < 0 {
		n = maxInt
	}
	g.MaxAccept = n
}

// size reads the first argument as a number or a size ("16k").
func (c *Ctx) size(low, high int, want string) (int, error) {
	n, err := config.ParseSize(c.Arg(0))
	var bad *config.CharError
	switch {
	case err == nil && n >= int64(low) && n <= int64(high):
		return int(n), c.extra(1)
	case errors.As(err, &bad) && c.Arg(0)[0] != '-':
		return 0, say("unexpected '%c' after size passed to '%s'", bad.Char, c.Keyword)
	}
	return c.integer(low, high, want)
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
	n, err := c.integer(0, maxInt, "an integer argument.")
	c.Snap.Global.MaxConn = n
	return err
}

func statsSocket(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("in global section expects an address or a path to a UNIX socket")
	}
	binds, err := c.binds("stats socket", c.Args)
	if err != nil {
		return err
	}
	for _, b := range binds {
		if b.Level == LevelDefault {
			b.Level = LevelOperator
		}
	}
	s := Runtime.Make(c.Snap.Global)
	s.Binds = append(s.Binds, binds...)
	return nil
}

func masterWorker(c *Ctx) error {
	if a := c.Arg(0); a != "" && a != "no-exit-on-failure" {
		return Predicatef("only supports 'no-exit-on-failure' option.")
	} else if a != "" {
		return NotYet("option", "master-worker no-exit-on-failure")
	}
	c.Warn("The 'master-worker' keyword is deprecated in 3.3 and will be removed in 3.5. Use -W or -Ws in the startup script instead.")
	c.Snap.Global.MasterWorker = true
	return nil
}

func pidfile(c *Ctx) error {
	if c.Again("pidfile", "'pidfile'") {
		return nil
	}
	if c.Arg(0) == "" {
		return Predicatef("expects a file name as an argument.")
	}
	ProcessSettings.Make(c.Snap.Global).PidFile = c.Arg(0)
	return nil
}

func localpeer(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects a name as an argument.")
	}
	ProcessSettings.Make(c.Snap.Global).LocalPeer = c.Arg(0)
	return nil
}

func user(c *Ctx) error {
	if c.Again("user", "user/uid") {
		return nil
	}
	n, err := c.lookup("/etc/passwd", c.Arg(0))
	if err != nil {
		return say("cannot find user id for '%s' (%w)", c.Arg(0), err)
	}
	g := c.Snap.Global
	g.User, g.UID = c.Arg(0), n
	return nil
}

func group(c *Ctx) error {
	if c.Again("group", "gid/group was") {
		return nil
	}
	n, err := c.lookup("/etc/group", c.Arg(0))
	if err != nil {
		return say("cannot find group id for '%s' (%w)", c.Arg(0), err)
	}
	g := c.Snap.Global
	g.Group, g.GID = c.Arg(0), n
	return nil
}

func uid(c *Ctx) error {
	if c.Again("user", "user/uid") {
		return nil
	}
	n, err := strconv.ParseUint(c.Arg(0), 10, 31)
	if err != nil {
		return say("uid: string '%s' is not a number.\n   | You might want to use the 'user' parameter to use a system user name.", c.Arg(0))
	}
	c.Snap.Global.UID = int(n)
	return nil
}

func gid(c *Ctx) error {
	if c.Again("group", "group/gid") {
		return nil
	}
	n, err := strconv.ParseUint(c.Arg(0), 10, 31)
	if err != nil {
		return say("gid: string '%s' is not a number.\n   | You might want to use the 'group' parameter to use a system group name.", c.Arg(0))
	}
	c.Snap.Global.GID = int(n)
	return nil
}

func chroot(c *Ctx) error {
	if c.Again("chroot", "'chroot'") {
		return nil
	}
	if c.Arg(0) == "" {
		return Predicatef("expects a directory as an argument.")
	}
	c.Snap.Global.Chroot = c.Arg(0)
	return nil
}

// delay parses keywords whose argument is a time in milliseconds.
func delay(field func(*stream.Global) *time.Duration) func(*Ctx) error {
	return func(c *Ctx) error {
		if c.Arg(0) == "" {
			return Predicatef("expects <time> as argument.")
		}
		d, err := config.ParseTime(c.Arg(0), time.Millisecond)
		var bad *config.CharError
		switch {
		case errors.As(err, &bad):
			return say("unexpected character '%c' in argument to <%s>.", bad.Char, c.Keyword)
		case errors.Is(err, config.ErrTimeOverflow):
			return say("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 ms or ~24.8 days)", c.Arg(0), c.Keyword)
		}
		*field(c.Snap.Global) = d
		return err
	}
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func node(c *Ctx) error {
	if !nodeName.MatchString(c.Arg(0)) {
		return Predicatef("requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).")
	}
	c.Snap.Global.Node = c.Arg(0)
	return nil
}

func globalDescription(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("expects a string argument.")
	}
	c.Snap.Global.Descr = c.text()
	return nil
}

func fileLimit(c *Ctx) error {
	if c.Again("ulimit-n", "'ulimit-n'") {
		return nil
	}
	n, err := c.integer(1, maxInt, "an integer argument.")
	c.Snap.Global.FileLimit = n
	return err
}
