package ssl

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// ocspUpdates is what a configuration says of the renewal of OCSP responses
// (manual 12.7.1 and 3.1, "ocsp-update").
type ocspUpdates struct {
	disabled, on      bool // ocsp-update.disable, ocsp-update.mode
	shortest, longest time.Duration
	proxy             string // address and port, "" for none
	pos               config.Pos
	names             *conf.Resolver

	mu    sync.Mutex
	by    map[string]bool // what lines say, by name of the certificate
	quiet map[string]bool // what is said by saying nothing
}

var updates = slot.New[*stream.Global, ocspUpdates]()

// Delays between two renewals of a response.
const (
	shortestDelay = 5 * time.Minute
	longestDelay  = time.Hour
)

func updatesOf(g *stream.Global) *ocspUpdates {
	u := updates.Of(g)
	if u == nil {
		u = updates.Make(g)
		u.shortest, u.longest = shortestDelay, longestDelay
	}
	return u
}

// OCSPUpdate tells whether the responses for a certificate are to be renewed; said
// is false if no line says anything.
func OCSPUpdate(g *stream.Global, cert string) (on, said bool) {
	u := updates.Of(g)
	if u == nil || u.disabled {
		return false, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if on, said = u.by[cert]; !said {
		on = u.on
	}
	return on, said
}

// sayUpdate notes what a line says: 1 on, -1 off, 0 nothing.
func sayUpdate(c *conf.Ctx, cert string, what int8) error {
	return updatesOf(c.Snap.Global).say(cert, what)
}

func (u *ocspUpdates) say(cert string, what int8) error {
	if err := u.agrees(cert, what); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch _, said := u.by[cert]; {
	case what == 0 && said:
	case what == 0:
		if u.quiet == nil {
			u.quiet = make(map[string]bool)
		}
		u.quiet[cert] = u.on
	default:
		if u.by == nil {
			u.by = make(map[string]bool)
		}
		u.by[cert] = what > 0
	}
	return nil
}

// agrees tells whether a line may say that, after the others.
func (u *ocspUpdates) agrees(cert string, what int8) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	old, said := u.by[cert]
	if what != 0 && said && old != (what > 0) || what < 0 && u.quiet[cert] {
		return fmt.Errorf("Incompatibilities found in OCSP update mode for certificate %s", cert)
	}
	return nil
}

// forget takes back what was said of a certificate that is deleted: another one
// may get its name.
func (u *ocspUpdates) forget(cert string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.by, cert)
	delete(u.quiet, cert)
}

func init() {
	setting := func(name string, parse func(c *conf.Ctx, u *ocspUpdates, arg string) error) conf.Keyword {
		return conf.Keyword{Name: name, In: conf.Global, InPlace: true, Max: 1, Parse: func(c *conf.Ctx) error {
			u := updatesOf(c.Snap.Global)
			u.pos = c.Pos
			return parse(c, u, word(c, 0))
		}}
	}
	flag := func(name string, field func(*ocspUpdates) *bool) conf.Keyword {
		return setting(name, func(c *conf.Ctx, u *ocspUpdates, _ string) error {
			on, err := choice(c, "on", "off")
			*field(u) = on
			return err
		})
	}
	delay := func(name string, field func(*ocspUpdates) *time.Duration) conf.Keyword {
		return setting(name, func(_ *conf.Ctx, u *ocspUpdates, arg string) error {
			n, err := strconv.Atoi(arg)
			if err != nil || n < 0 || n > maxInt {
				return conf.Predicatef("expects a number of seconds, found '%s'.", arg)
			}
			*field(u) = time.Duration(n) * time.Second
			return nil
		})
	}
	longest := func(u *ocspUpdates) *time.Duration { return &u.longest }
	shortest := func(u *ocspUpdates) *time.Duration { return &u.shortest }
	list := []conf.Keyword{
		flag("ocsp-update.disable", func(u *ocspUpdates) *bool { return &u.disabled }),
		flag("ocsp-update.mode", func(u *ocspUpdates) *bool { return &u.on }),
		delay("ocsp-update.maxdelay", longest), delay("tune.ssl.ocsp-update.maxdelay", longest),
		delay("ocsp-update.mindelay", shortest), delay("tune.ssl.ocsp-update.mindelay", shortest),
		setting("ocsp-update.httpproxy", updateProxy),
	}
	conf.Register(list...)
	conf.RegisterFinish(func(c *conf.Ctx) {
		u := updatesOf(c.Snap.Global)
		if u.shortest >= u.longest {
			c.Alert(u.pos, "'ocsp-update.mindelay' must be lower than 'ocsp-update.maxdelay'.")
		}
		u.names = conf.NewResolver(c.ReadFile)
		now := time.Now()
		for _, s := range statuses(c.Snap.Global) {
			s.adopt(now)
		}
	})
}

func updateProxy(c *conf.Ctx, u *ocspUpdates, arg string) error {
	if arg == "" {
		return conf.Predicatef("expects <address>[:port].")
	}
	host, port, err := net.SplitHostPort(arg)
	if err != nil { // no port
		host, port = arg, "80"
		if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
			host = host[1 : len(host)-1]
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return conf.Causef("'%s' is no address.", arg)
	}
	u.proxy = net.JoinHostPort(host, port)
	return nil
}
