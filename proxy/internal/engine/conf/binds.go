package conf

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// maxPorts bounds how many addresses one bind line makes.
const maxPorts = 1024

func init() {
	Register(Keyword{Name: "bind", In: Frontend, Max: -1, Parse: bind})
	RegisterBind(
		BindOption{Name: "name", Args: 1, Parse: bindName},
		BindOption{Name: "id", Args: 1, Parse: bindID},
		BindOption{Name: "interface", Args: 1, Parse: bindInterface},
		BindOption{Name: "maxconn", Args: 1, Parse: bindInt(0, maxInt, func(b *stream.Bind) *int { return &b.MaxConn })},
		BindOption{Name: "backlog", Args: 1, Parse: bindInt(0, maxInt, func(b *stream.Bind) *int { return &b.Backlog })},
		BindOption{Name: "mss", Args: 1, Parse: bindMSS},
		BindOption{Name: "tcp-ut", Args: 1, Parse: bindUserTimeout},
		BindOption{Name: "v4v6", Parse: bindFlag(func(b *stream.Bind) { b.V4V6 = true })},
		BindOption{Name: "v6only", Parse: bindFlag(func(b *stream.Bind) { b.V6Only = true })},
		BindOption{Name: "transparent", Parse: bindFlag(func(b *stream.Bind) { b.Transparent = true })},
		BindOption{Name: "defer-accept", Parse: bindFlag(func(b *stream.Bind) { b.DeferAccept = true })},
		BindOption{Name: "tfo", Parse: bindFlag(func(b *stream.Bind) { b.TFO = true })},
		BindOption{Name: "level", Args: 1, Parse: bindLevel},
		BindOption{Name: "expose-fd", Args: 1, Parse: bindExposeFD},
		BindOption{Name: "mode", Args: 1, Parse: bindMode},
		BindOption{Name: "uid", Args: 1, Parse: bindInt(0, maxInt, func(b *stream.Bind) *int { return &b.UID })},
		BindOption{Name: "gid", Args: 1, Parse: bindInt(0, maxInt, func(b *stream.Bind) *int { return &b.GID })},
		BindOption{Name: "user", Args: 1, Parse: bindUser},
		BindOption{Name: "group", Args: 1, Parse: bindGroup},
		BindOption{Name: "proto", Args: 1, Parse: bindProto},
		BindOption{Name: "idle-ping", Args: 1, Parse: bindIdlePing},
	)
}

func bind(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.")
	}
	binds, err := c.binds("bind", c.Args)
	c.Proxy.Binds = append(c.Proxy.Binds, binds...)
	return err
}

// ParseBinds reads the addresses and options of a "bind" line that does not come
// from a file (the master's -S). keyword is for messages.
func (c *Ctx) ParseBinds(keyword string, args []string) ([]*stream.Bind, error) {
	return c.binds(keyword, args)
}

// WhereBind names a "bind" line of the section, or "stats socket", in messages.
func (c *Ctx) WhereBind(keyword, addr string) string {
	if keyword == "stats socket" {
		return "'stats socket'"
	}
	return fmt.Sprintf("'%s %s' in section '%s'", keyword, addr, c.Section)
}

// binds reads what follows "bind" or "stats socket".
func (c *Ctx) binds(keyword string, args []string) ([]*stream.Bind, error) {
	var list []*stream.Bind
	parts := strings.Split(args[0], ",")
	for i := range parts {
		more, err := c.addresses(parts, i)
		if err != nil {
			return nil, say("'%s' : %w", keyword, err)
		}
		if list = append(list, more...); len(list) > maxPorts {
			return nil, say("'%s' : too many addresses (maximum is %d)", keyword, maxPorts)
		}
	}
	args[0] = strings.Join(parts, ",")
	where := c.WhereBind(keyword, args[0])
	var missing error // words that are not supported yet
	for words := args[1:]; len(words) > 0; {
		o := bindOptions[words[0]]
		if o == nil {
			err := unknownBindOption(where, words[0])
			if !IsNotYet(err) {
				return nil, Join(missing, err)
			}
			missing = Join(missing, err)
			words = words[skip("bind", words, func(w string) bool { return bindOptions[w] != nil }):]
			continue
		}
		taken := 1
		for _, b := range list {
			n, err := o.Parse(c, b, words)
			err = About(words[0], err)
			if err != nil && !IsNotYet(err) {
				return nil, Join(missing, say("%s : %w", where, err))
			}
			if err != nil {
				missing = Join(missing, say("%s : %w", where, err))
				n = skip("bind", words, func(w string) bool { return bindOptions[w] != nil })
			}
			taken = n
			if err != nil {
				break // the other addresses have the same to say
			}
		}
		words = words[min(taken, len(words)):]
	}
	if missing != nil {
		return nil, missing
	}
	for _, b := range list {
		if b.V6Only && b.V4V6 {
			return nil, say("%s : 'v4v6' and 'v6only' exclude each other", where)
		}
	}
	return list, nil
}

func unknownBindOption(where, word string) error {
	if IsKnown("bind", word) {
		return say("%s : %w", where, NotYet("option", word))
	}
	var all []string
	for n := range bindOptions {
		all = append(all, n)
	}
	slices.Sort(all)
	if best := config.DidYouMean(word, all); best != "" {
		return say("%s: unknown keyword '%s'%s", where, word, best)
	}
	if where == "'stats socket'" {
		where += " "
	}
	return say("%s: unknown keyword '%s'.", where, word)
}

// addresses makes the binds of one address, several for a range of ports.
func (c *Ctx) addresses(words []string, i int) ([]*stream.Bind, error) {
	a, err := c.Address(words, i, config.AddressOptions{Port: true, PortNeeded: true, PortRange: true, NoDgram: true})
	if err != nil {
		return nil, err
	}
	text := words[i]
	if a.Transport == config.TransportQUIC || a.Transport == config.TransportMPTCP {
		return nil, say("%w in '%s'", NotYet("address type", addressType(text)), text)
	}
	low, high := a.PortLow, a.PortHigh
	if a.IsIP() && low == 0 {
		return nil, say("invalid port '%d'", low)
	}
	if high-low >= maxPorts {
		return nil, say("port range too large in '%s' (maximum is %d ports)", text, maxPorts)
	}
	var list []*stream.Bind
	for port := low; port <= high; port++ {
		b := &stream.Bind{Pos: c.Pos, UID: -1, GID: -1, FD: -1}
		switch a.Family {
		case config.FamilyFD, config.FamilySockpair:
			b.Pair = a.Family == config.FamilySockpair
			b.Addr.Path = fmt.Sprintf("%s@%d", addressType(text), a.FD)
			b.FD, err = c.Descriptor(a.FD)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
			continue
		}
		if b.Addr, err = c.socketAddr(a, port); err != nil {
			return nil, say("invalid address: '%s' in '%s'", a.Host, text)
		}
		list = append(list, b)
	}
	return list, nil
}

func addressType(text string) string {
	t, _, _ := strings.Cut(text, "@")
	t, _, _ = strings.Cut(t, "+")
	return t
}

// bindFlag parses an option without argument.
func bindFlag(set func(*stream.Bind)) func(*Ctx, *stream.Bind, []string) (int, error) {
	return func(_ *Ctx, b *stream.Bind, _ []string) (int, error) { set(b); return 1, nil }
}

// bindInt parses an option whose argument is a number in a range.
func bindInt(low, high int, field func(*stream.Bind) *int) func(*Ctx, *stream.Bind, []string) (int, error) {
	return func(_ *Ctx, b *stream.Bind, words []string) (int, error) {
		n, err := intValue(words, low, high)
		if err != nil {
			return 0, err
		}
		*field(b) = n
		return 2, nil
	}
}

func bindName(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing name")
	}
	b.Name = words[1]
	return 2, nil
}

func bindID(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	n, err := intValue(words, minInt, maxInt)
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, Causef("custom id has to be > 0")
	}
	b.ID = n
	return 2, nil
}

const minInt = -1 << 31

func bindInterface(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing interface name")
	}
	b.Interface = words[1]
	return 2, nil
}

func bindMSS(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, Causef("missing MSS value")
	}
	n, err := strconv.Atoi(v)
	if err != nil || n == 0 || n < -65535 || n > 65535 {
		return 0, Causef("expects an MSS with and absolute value between 1 and 65535")
	}
	b.MSS = n
	return 2, nil
}

func bindUserTimeout(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, Causef("missing TCP User Timeout value")
	}
	d, err := Time(v, "tcp-ut", 1e6)
	if err != nil {
		return 0, Causef("expects a positive delay in milliseconds")
	}
	b.TCPUserTimeout = int(d / 1e6)
	return 2, nil
}

func bindLevel(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing level")
	}
	switch words[1] {
	case "user":
		b.Level = LevelUser
	case "operator":
		b.Level = LevelOperator
	case "admin":
		b.Level = LevelAdmin
	default:
		return 0, Predicatef("only supports 'user', 'operator', and 'admin' (got '%s')", words[1])
	}
	return 2, nil
}

func bindExposeFD(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing fd type")
	}
	if words[1] != "listeners" {
		return 0, Predicatef("only supports 'listeners' (got '%s')", words[1])
	}
	b.ExposeFD = true
	return 2, nil
}

func bindMode(_ *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing mode (octal integer expected)")
	}
	n, err := strconv.ParseUint(words[1], 8, 12)
	if err != nil {
		return 0, Causef("missing or invalid mode '%s' (octal integer expected)", words[1])
	}
	b.Mode = os.FileMode(n)
	return 2, nil
}

func bindUser(c *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing user name")
	}
	n, err := c.Lookup("/etc/passwd", words[1])
	if err != nil {
		return 0, Causef("unknown user name '%s'", words[1])
	}
	b.UID = n
	return 2, nil
}

func bindGroup(c *Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, Causef("missing group name")
	}
	n, err := c.Lookup("/etc/group", words[1])
	if err != nil {
		return 0, Causef("unknown group name '%s'", words[1])
	}
	b.GID = n
	return 2, nil
}

// bindProto takes "h1" only, which is what there is.
