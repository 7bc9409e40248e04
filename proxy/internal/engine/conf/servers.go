package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// maxServers bounds how many servers one template makes.
const maxServers = 65536

// defaultServer holds what "default-server" lines say.
var defaultServer = slot.New[*stream.Proxy, stream.ServerSettings]()

func init() {
	Register(
		Keyword{Name: "server", In: Backend, Max: -1, Parse: serverLine},
		Keyword{Name: "default-server", In: Defaults | Backend, Max: -1, Parse: defaultServerLine},
		Keyword{Name: "server-template", In: Backend, Max: -1, Parse: serverTemplate},
	)
	RegisterServer(
		ServerOption{Name: "weight", Args: 1, Dynamic: true, Parse: serverWeight},
		ServerOption{Name: "maxconn", Args: 1, Dynamic: true, Parse: serverInt(0, func(s *stream.ServerSettings) *int { return &s.MaxConn })},
		ServerOption{Name: "pool-max-conn", Args: 1, Dynamic: true, Parse: poolMaxConn},
		ServerOption{Name: "pool-purge-delay", Args: 1, Dynamic: true, Parse: poolPurgeDelay},
		ServerOption{Name: "max-reuse", Args: 1, Dynamic: true, Parse: maxReuse},
		ServerOption{Name: "id", Args: 1, Dynamic: true, Parse: serverID},
		ServerOption{Name: "init-addr", Args: 1, Parse: initAddr},
		ServerOption{Name: "backup", Dynamic: true, Parse: serverFlag(func(s *stream.ServerSettings) { s.Backup = true })},
		ServerOption{Name: "no-backup", Dynamic: true, Parse: serverFlag(func(s *stream.ServerSettings) { s.Backup = false })},
		ServerOption{Name: "disabled", Dynamic: true, Parse: serverFlag(func(s *stream.ServerSettings) { s.Disabled = true })},
		ServerOption{Name: "on-marked-down", Args: 1, Dynamic: true, Parse: marked("shutdown-sessions", func(s *stream.ServerSettings) { s.EndSessions = true })},
		ServerOption{Name: "on-marked-up", Args: 1, Dynamic: true, Parse: marked("shutdown-backup-sessions", func(s *stream.ServerSettings) { s.EndBackups = true })},
		ServerOption{Name: "enabled", Dynamic: true, Parse: serverFlag(func(s *stream.ServerSettings) { s.Disabled = false })},
	)
}

// BuiltinServer are the settings of a server of which nothing is said.
func BuiltinServer() stream.ServerSettings {
	s := stream.ServerSettings{Weight: 1, PoolMaxConn: -1, PoolPurgeDelay: 5 * time.Second, MaxReuse: -1}
	s.Check.Inter, s.Check.Rise, s.Check.Fall = 2*time.Second, 2, 3
	return s
}

// defaultsOf are the settings that a server line of p begins with.
func defaultsOf(p *stream.Proxy) *stream.ServerSettings {
	s := BuiltinServer()
	if d := defaultServer.Of(p); d != nil {
		s = *d
	}
	return &s
}

func serverLine(c *Ctx) error {
	if len(c.Args) < 2 {
		return Predicatef("expects <name> and <addr>[:<port>] as arguments.")
	}
	name := c.Args[0]
	if bad, ok := config.ValidName(name); !ok {
		return say("character '%c' is not permitted in server name '%s'.", bad, name)
	}
	set, err := c.server(name, c.Args[1:], false)
	if err != nil {
		return err
	}
	return c.addServer(name, set)
}

func serverTemplate(c *Ctx) error {
	if len(c.Args) < 3 {
		return Predicatef("expects <prefix> <nb | range> <addr>[:<port>] as arguments.")
	}
	prefix, count := c.Args[0], c.Args[1]
	if bad, ok := config.ValidName(prefix); !ok {
		return say("character '%c' is not permitted in server-template prefix '%s'.", bad, prefix)
	}
	low, high, ok := templateRange(count)
	if !ok {
		return say("Wrong server-template number or range arg '%s'.", count)
	}
	set, err := c.server(prefix, c.Args[2:], false)
	if err != nil {
		return err
	}
	for n := low; n <= high; n++ {
		one := *set
		if n > low && one.ID != 0 {
			one.ID += n - low
		}
		if err := c.addServer(prefix+strconv.Itoa(n), &one); err != nil {
			return err
		}
	}
	return nil
}

func templateRange(s string) (low, high int, ok bool) {
	a, b, isRange := strings.Cut(s, "-")
	low, high = 1, 0
	var err error
	if isRange {
		if low, err = strconv.Atoi(a); err != nil || low < 0 {
			return 0, 0, false
		}
		a = b
	}
	if high, err = strconv.Atoi(a); err != nil {
		return 0, 0, false
	}
	return low, high, high >= low && high-low < maxServers && high <= maxInt
}

func (c *Ctx) addServer(name string, set *stream.ServerSettings) error {
	for _, o := range c.Proxy.ServerLines {
		if o.Name == name {
			return say("%s '%s', another server named '%s' was already defined at line %d, please use distinct names.", kindOf(c.Proxy), c.Proxy.Name, name, o.Pos.Line)
		}
		if set.ID != 0 && o.Settings.ID == set.ID {
			return say("'server %s/%s' : 'id' : custom id %d already used at %s ('server %s').", c.Proxy.Name, name, set.ID, o.Pos, o.Name)
		}
	}
	c.Proxy.ServerLines = append(c.Proxy.ServerLines, &stream.ServerLine{Name: name, Pos: c.Pos, Settings: set})
	return nil
}

func defaultServerLine(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("expects at least one argument.")
	}
	set := defaultsOf(c.Proxy)
	if err := c.options(set, c.Args, false); err != nil {
		var unknown unknownOptionError
		if errors.As(err, &unknown) {
			return say("%w Hint: no address was expected for this server.", err)
		}
		if strings.HasSuffix(err.Error(), notInDefault) {
			return err
		}
		return say("'default-server' : %w", err)
	}
	*defaultServer.Make(c.Proxy) = *set
	return nil
}

// ParseServer reads the address and the options of a server that is not in the
// file ("add server"). Options that cannot be used at run time are refused, and
// so are names of hosts.
func (c *Ctx) ParseServer(p *stream.Proxy, name string, words []string) (*stream.ServerSettings, error) {
	d := *c
	d.Proxy, d.Dynamic = p, true
	set, err := d.server(name, words, true)
	if err == nil {
		err = d.finishServer(name, set)
	}
	return set, err
}

// server reads what follows the name of a server: its address and options.
func (c *Ctx) server(name string, words []string, dynamic bool) (*stream.ServerSettings, error) {
	fail := func(err error) (*stream.ServerSettings, error) {
		return nil, say("'server %s/%s' : %w", c.Proxy.Name, name, err)
	}
	a, err := c.Address(words, 0, config.AddressOptions{Port: true, PortOffset: true, NoDgram: true, NoNames: dynamic})
	if err != nil {
		return fail(err)
	}
	if a.Transport == config.TransportQUIC || a.Transport == config.TransportMPTCP || a.Family == config.FamilyFD || a.Family == config.FamilySockpair {
		return fail(say("%w in '%s'", NotYet("address type", addressType(words[0])), words[0]))
	}
	var set *stream.ServerSettings
	if dynamic {
		// the manual: default-server lines do not concern servers added at run time
		s := BuiltinServer()
		set = &s
	} else {
		set = defaultsOf(c.Proxy)
	}
	set.Host = a.Host
	c.Server = name
	if err := c.options(set, words[1:], dynamic); err != nil {
		return fail(err)
	}
	if set.PoolPurgeDelay == 0 {
		set.PoolMaxConn = 0 // no idle connection is kept at all
	}
	if a.IsIP() {
		switch a.Port {
		case config.PortNone:
			set.MapPort = true // the port that the client connected to
		case config.PortOffset:
			set.MapPort, set.PortOffset = true, a.PortLow
		}
	}
	port := a.PortLow
	if set.MapPort {
		port = 0
	}
	if a.Family == config.FamilyHost {
		set.Addr, err = c.initialAddr(a, port, set.InitAddr)
	} else {
		set.Addr, err = c.socketAddr(a, port)
	}
	if err != nil {
		return fail(err)
	}
	return set, nil
}

// initialAddr resolves the name of a server in the ways that init-addr lists.
func (c *Ctx) initialAddr(a config.Address, port int, how string) (addr reactor.Addr, err error) {
	if how == "" {
		how = "last,libc"
	}
	if c.host.lenient {
		how += ",none"
	}
	for _, m := range strings.Split(how, ",") {
		switch m {
		case "last": // a state file may know it, see the features that load one
		case "libc":
			if addr, err = c.socketAddr(a, port); err == nil {
				return addr, nil
			}
		case "none":
			if err != nil {
				c.Diags.Notice(c.Pos, "could not resolve address '%s', disabling server.", a.Host)
			}
			return reactor.Addr{}, nil
		default:
			ip, _ := netip.ParseAddr(m)
			return reactor.Addr{IP: ip, Port: uint16(port)}, nil
		}
	}
	if err == nil {
		err = say("could not resolve address '%s'.", a.Host)
	}
	return reactor.Addr{}, err
}

// unknownOptionError is an option that nobody registered.
type unknownOptionError string

func (e unknownOptionError) Error() string { return string(e) }

// notByDefault are the options that only a server itself can have.
var notByDefault = []string{"id", "guid", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13"}

const notInDefault = "is not accepted in default-server sections"

// options reads options of a server line into set.
func (c *Ctx) options(set *stream.ServerSettings, words []string, dynamic bool) error {
	var missing error // words that are not supported yet
	registered := func(w string) bool { option, _, _ := strings.Cut(w, "("); return serverOptions[option] != nil }
	for len(words) > 0 {
		option, _, paren := strings.Cut(words[0], "(")
		o := serverOptions[option]
		var n int
		var err error
		switch {
		case o != nil && o.Paren && !paren:
			err = About(words[0], Causef("expects an argument in parentheses"))
		case o == nil || paren && !o.Paren:
			err = unknownServerOption(words[0])
		case c.Keyword == "default-server" && slices.Contains(notByDefault, option):
			err = say("'%s' option %s", words[0], notInDefault)
		case dynamic && !o.Dynamic:
			err = say("'%s' option is not accepted for dynamic server", words[0])
		default:
			n, err = o.Parse(c, set, words)
			err = About(words[0], err)
			if err == nil && !c.accepts(option) {
				c.Warn("'server %s/%s' : '%s' has no effect on a server of a '%s' section.", c.Proxy.Name, c.Server, words[0], c.Section)
			}
		}
		if err != nil {
			if missing = Join(missing, err); !IsNotYet(err) {
				return missing
			}
			n = skip("server", words, registered)
		}
		words = words[min(max(n, 1), len(words)):]
	}
	return missing
}

// accepts tells whether an option of servers means something in the section.
func (c *Ctx) accepts(option string) bool {
	s := sections[c.Section]
	return s == nil || s.options == nil || slices.Contains(s.options, option)
}

func unknownServerOption(word string) error {
	if IsKnown("server", word) {
		return NotYet("option", word)
	}
	var all []string
	for n := range serverOptions {
		all = append(all, n)
	}
	slices.Sort(all)
	if best := config.DidYouMean(word, all); best != "" {
		return unknownOptionError(fmt.Sprintf("unknown keyword '%s'%s", word, best))
	}
	return unknownOptionError(fmt.Sprintf("unknown keyword '%s'.", word))
}

func serverFlag(set func(*stream.ServerSettings)) func(*Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *Ctx, s *stream.ServerSettings, _ []string) (int, error) { set(s); return 1, nil }
}

// marked is an option that switches the only action on that there is.
func marked(action string, set func(*stream.ServerSettings)) func(*Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
		got := ""
		if len(words) > 1 {
			got = words[1]
		}
		if got != action {
			return 0, Predicatef("expects '%s' but got '%s'.", action, got)
		}
		set(s)
		return 2, nil
	}
}

func serverInt(low int, field func(*stream.ServerSettings) *int) func(*Ctx, *stream.ServerSettings, []string) (int, error) {
	return func(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
		n, err := intValue(words, low, maxInt)
		if err != nil {
			return 0, err
		}
		*field(s) = n
		return 2, nil
	}
}

func serverWeight(c *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	n, err := intValue(words, minInt, maxInt)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > 256 {
		return 0, say("weight of server %s is not within 0 and 256 (%d).", c.Server, n)
	}
	s.Weight = n
	return 2, nil
}

func serverID(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n == 0 {
		return 0, Causef("custom id has to be between 1 and 4294967295.")
	}
	s.ID = int(n)
	return 2, nil
}

func poolMaxConn(_ *Ctx, s *stream.ServerSettings, words []string) (n int, err error) {
	return 2, fromMinusOne(&s.PoolMaxConn, words)
}

func maxReuse(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	return 2, fromMinusOne(&s.MaxReuse, words)
}

func fromMinusOne(field *int, words []string) error {
	n, err := intValue(words, minInt, maxInt)
	if err == nil && n < -1 {
		err = Predicatef("must be >= -1.")
	}
	if err == nil {
		*field = n
	}
	return err
}

func poolPurgeDelay(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	d, err := config.ParseTime(v, time.Millisecond)
	var bad *config.CharError
	switch {
	case errors.As(err, &bad):
		return 0, say("unexpected character '%c' in argument to <pool-purge-delay>.", bad.Char)
	case err != nil:
		return 0, Causef("%v", err)
	}
	s.PoolPurgeDelay = d
	return 2, nil
}

func initAddr(_ *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	for _, m := range strings.Split(v, ",") {
		if _, err := netip.ParseAddr(m); err != nil && m != "last" && m != "libc" && m != "none" {
			return 0, Causef("unknown init-addr method '%s', supported methods are 'libc', 'last', 'none'.", m)
		}
	}
	s.InitAddr = v
	return 2, nil
}
