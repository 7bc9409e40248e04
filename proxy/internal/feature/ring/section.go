package ring

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logs"
)

// Section is a "ring" section.
type Section struct {
	name, descr string
	size        int
	maxLen      int
	format      string
	pos         config.Pos
	px          *stream.Proxy // its servers and timeouts

	live atomic.Pointer[Buffer] // from before the configuration is in force
}

// sections are those of a configuration, in their order.
var sections = slot.New[*stream.Global, []*Section]()

// counted are the servers of a ring with "log-proto octet-count".
var counted = slot.New[*stream.Proxy, map[*stream.ServerSettings]bool]()

// maxSize bounds a ring, in bytes.
const maxSize = 1 << 31

// serverOptions are those that the manual has for servers of rings, as far as
// there are any.
var serverOptions = []string{
	"allow-0rtt", "ca-file", "ciphers", "ciphersuites", "client-sigalgs", "crl-file", "crt", "curves", "force-tlsv10", "force-tlsv11", "force-tlsv12",
	"force-tlsv13", "id", "ktls", "log-proto", "max-reuse", "namespace", "no-sni-auto", "no-ssl", "no-ssl-reuse", "no-sslv3", "no-tls-tickets", "no-tlsv10",
	"no-tlsv11", "no-tlsv12", "no-tlsv13", "no-verifyhost", "sigalgs", "sni", "sni-auto", "source", "ssl", "ssl-max-ver", "ssl-min-ver", "ssl-reuse",
	"tls-tickets", "verify", "verifyhost",
}

func init() {
	conf.RegisterSection(conf.Section[Section]{
		Kind:  "ring",
		Begin: begin,
		Keywords: []conf.SectionKeyword[Section]{
			{Name: "backing-file", Max: -1, Parse: func(*conf.Ctx, *Section) error {
				return conf.Causef("is not available: the process gives up the file system, so the ring is in memory only; let a server or 'show events' take what has to outlive it.")
			}},
			{Name: "description", Max: -1, Parse: describe},
			{Name: "format", Max: 1, Parse: format},
			{Name: "maxlen", Max: 1, Parse: func(c *conf.Ctx, s *Section) (err error) { s.maxLen, err = size(c); return err }},
			{Name: "size", Max: 1, Parse: func(c *conf.Ctx, s *Section) (err error) { s.size, err = size(c); return err }},
		},
		Shares:        []string{"server", "timeout connect", "timeout server"},
		ServerOptions: serverOptions,
		End:           end,
	})
	conf.RegisterServer(conf.ServerOption{Name: "log-proto", Args: 1, Parse: conf.Option(logProto)})
	logs.RegisterTarget("ring@", func(c *conf.Ctx, name string) (logs.Sink, error) {
		for _, s := range *sections.Make(c.Snap.Global) {
			if s.name == name {
				return s, nil
			}
		}
		return nil, fmt.Errorf("there is no ring '%s'", name)
	})
}

func begin(c *conf.Ctx, name string) (*Section, error) {
	if name == "" {
		return nil, nil // the language has said it
	}
	all := sections.Make(c.Snap.Global)
	taken := name == "stdout" || name == "stderr"
	for _, k := range builtin {
		taken = taken || k.name == name
	}
	for _, o := range *all {
		taken = taken || o.name == name
	}
	if taken {
		return nil, fmt.Errorf("sink named '%s' already exists.", name)
	}
	bufSize := c.Snap.Global.BufSize
	s := &Section{name: name, descr: name, size: bufSize, format: "raw", pos: c.Pos}
	s.px = &stream.Proxy{Name: name, Kind: c.Section, Pos: c.Pos}
	c.Proxy = s.px
	*all = append(*all, s)
	return s, nil
}

func describe(c *conf.Ctx, s *Section) error {
	if len(c.Args) == 0 {
		return errors.New("missing ring description text.")
	}
	s.descr = strings.Join(c.Args, " ")
	return nil
}

func format(c *conf.Ctx, s *Section) error {
	w := c.Words()
	f := w.Next()
	if !logs.IsFormat(f) {
		return fmt.Errorf("unknown format '%s'.", f)
	}
	s.format = f
	return nil
}

// size reads a number of bytes, perhaps with a unit.
func size(c *conf.Ctx) (int, error) {
	w := c.Words()
	text := w.Next()
	n, err := config.ParseSize(text)
	if err != nil || n <= prefix {
		return 0, fmt.Errorf("invalid size '%s' for new sink buffer.", text)
	}
	if n > maxSize {
		return 0, conf.Predicatef("expects at most %d bytes, found '%s'.", maxSize, text)
	}
	return int(n), nil
}

func logProto(c *conf.Ctx, set *stream.ServerSettings, w *conf.Words) error {
	switch proto := w.Next(); {
	case proto != "legacy" && proto != "octet-count":
		return conf.Predicatef("expects one of 'legacy' or 'octet-count' but got '%s'", proto)
	case c.Section != "ring":
		c.Warn("'log-proto' has no effect but on a server of a 'ring' section.")
	default:
		m := counted.Make(c.Proxy)
		if *m == nil {
			*m = make(map[*stream.ServerSettings]bool)
		}
		(*m)[set] = proto == "octet-count"
	}
	return nil
}

func end(c *conf.Ctx, s *Section) error {
	if s.maxLen > s.size {
		c.Diags.Warn(config.Pos{}, "ring '%s' event max length '%d' exceeds size, forced to size '%d'.", s.name, s.maxLen, s.size)
	}
	if s.maxLen == 0 {
		s.maxLen = c.Snap.Global.BufSize
	}
	s.maxLen = min(s.maxLen, longest(s.size))
	if t := s.px.Timeouts; len(s.px.ServerLines) > 0 && (t.Connect == 0 || t.Server == 0) {
		c.Warn("missing timeouts for ring '%s'.\n"+
			"   | While not properly invalid, you will certainly encounter various problems\n"+
			"   | with such a configuration. To fix this, please ensure that all following\n"+
			"   | timeouts are set to a non-zero value: 'connect', 'server'.", s.name)
	}
	for _, l := range s.px.ServerLines {
		if a := l.Settings.Addr; !a.IsUnix() && a.Port == 0 {
			c.Alert(l.Pos, "'server %s/%s' : expects an address with a port.", s.name, l.Name)
		}
	}
	return nil
}

// Format and MaxLen are what lines of logs for the ring look like, see package
// logs.
func (s *Section) Format() string { return s.format }

// MaxLen is the longest event, in bytes.
func (s *Section) MaxLen() int { return s.maxLen }

// Send writes an event of a reactor.
func (s *Section) Send(r *reactor.Reactor, line []byte) bool {
	b := s.live.Load()
	if b == nil {
		return false
	}
	b.add(r, line)
	return true
}
