package conf

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

const (
	feSide = Defaults | Frontend
	beSide = Defaults | Backend
)

// flags are the options that are on or off (manual 4.2).
var flags = []struct {
	name string
	in   Sections
	bit  stream.Option
}{
	{"abortonclose", Proxies, stream.AbortOnClose},
	{"accept-invalid-http-request", feSide, stream.AcceptInvalidRequest},
	{"accept-invalid-http-response", beSide, stream.AcceptInvalidResponse},
	{"accept-unsafe-violations-in-http-request", feSide, stream.AcceptInvalidRequest},
	{"accept-unsafe-violations-in-http-response", beSide, stream.AcceptInvalidResponse},
	{"allbackups", beSide, stream.AllBackups},
	{"clitcpka", feSide, stream.ClitcpKA},
	{"disable-h2-upgrade", feSide, stream.DisableH2Upgrade},
	{"dontlog-normal", feSide, stream.DontLogNormal},
	{"dontlognull", feSide, stream.DontLogNull},
	{"http-buffer-request", Proxies, stream.HTTPBufferRequest},
	{"http-ignore-probes", feSide, stream.HTTPIgnoreProbes},
	{"http-no-delay", Proxies, stream.HTTPNoDelay},
	{"http-pretend-keepalive", beSide, stream.HTTPPretendKeepalive},
	{"log-health-checks", beSide, stream.LogHealthChecks},
	{"logasap", feSide, stream.LogASAP},
	{"nolinger", Proxies, stream.NoLinger},
	{"persist", beSide, stream.PersistDown},
	{"socket-stats", feSide, stream.SocketStats},
	{"splice-auto", Proxies, stream.SpliceAuto},
	{"splice-request", Proxies, stream.SpliceRequest},
	{"splice-response", Proxies, stream.SpliceResponse},
	{"srvtcpka", beSide, stream.SrvtcpKA},
}

// connectionModes replace one another.
var connectionModes = map[string]stream.Option{
	"http-keep-alive":   stream.HTTPKeepAlive,
	"http-server-close": stream.HTTPServerClose,
	"httpclose":         stream.HTTPClose,
}

func init() {
	for _, f := range flags {
		if instead, old := strings.CutPrefix(f.name, "accept-invalid-"); old {
			Register(Keyword{Name: "option " + f.name, In: f.in, No: true, Default: true, Max: 0, Parse: func(c *Ctx) error {
				c.Warn("option '%s' is deprecated. please use 'option accept-unsafe-violations-in-%s' if absolutely needed.", f.name, instead)
				c.setOption(f.bit)
				return nil
			}})
			continue
		}
		RegisterOption(f.name, f.in, f.bit)
	}
	for name, bit := range connectionModes {
		Register(Keyword{Name: "option " + name, In: Proxies, No: true, Default: true, Max: -1, Parse: func(c *Ctx) error {
			if err := c.extra(0); err != nil {
				return err
			}
			const all = stream.HTTPKeepAlive | stream.HTTPServerClose | stream.HTTPClose
			if !c.No && !c.Default {
				c.Proxy.Options &^= all
			}
			c.setOption(bit)
			return nil
		}})
	}
	Register(
		Keyword{Name: "option tcpka", In: Proxies, Max: 0, Parse: func(c *Ctx) error {
			c.setOption(stream.ClitcpKA | stream.SrvtcpKA)
			return nil
		}},
		Keyword{Name: "option redispatch", In: beSide, No: true, Default: true, Max: 1, Parse: redispatch},
		Keyword{Name: "option forwardfor", In: Proxies, Max: -1, Parse: forwardFor},
	)
}

// RegisterOption adds an "option" that is a bit of [stream.Proxy.Options], with
// its "no" and "default" forms.
func RegisterOption(name string, in Sections, bit stream.Option) {
	Register(Keyword{Name: "option " + name, In: in, No: true, Default: true, Max: 0, Parse: func(c *Ctx) error {
		c.setOption(bit)
		return nil
	}})
}

func (c *Ctx) setOption(bit stream.Option) {
	p := c.Proxy
	p.Options &^= bit
	p.NoOptions &^= bit
	switch {
	case c.No:
		p.NoOptions |= bit
	case !c.Default:
		p.Options |= bit
	}
}

func redispatch(c *Ctx) error {
	switch {
	case c.No, c.Default:
		c.Proxy.Redispatch = 0
		return nil
	case len(c.Args) == 0:
		c.Proxy.Redispatch = -1
		return nil
	}
	n, err := strconv.Atoi(c.Args[0])
	if err != nil {
		return Predicatef("expects an integer argument, found '%s'.", c.Args[0])
	}
	c.Proxy.Redispatch = n
	return nil
}

func forwardFor(c *Ctx) error {
	f := stream.ForwardFor{Header: "x-forwarded-for"}
	for i := 0; i < len(c.Args); i++ {
		switch c.Args[i] {
		case "except":
			i++
			p, err := network(c.Arg(i))
			if err != nil {
				return say("'option forwardfor except' expects <address>[/mask] as argument.")
			}
			f.Except = p
		case "header":
			i++
			if c.Arg(i) == "" {
				return say("'option forwardfor header' expects <header_name> as argument.")
			}
			if !http1.ValidToken([]byte(c.Arg(i))) {
				return say("'option forwardfor header' : '%s' is not a valid header name.", c.Arg(i))
			}
			f.Header = strings.ToLower(c.Arg(i))
		case "if-none":
			f.IfNone = true
		default:
			return Predicatef("only supports optional values: 'except', 'header' and 'if-none'.")
		}
	}
	c.Proxy.ForwardFor = &f
	return nil
}

// network reads an address or a network in prefix notation, or with an IPv4 mask.
func network(s string) (netip.Prefix, error) {
	addr, mask, hasMask := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.Prefix{}, err
	}
	if !hasMask {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && ip.Is4() {
		b := m.As4()
		bits := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		for n := 0; n <= 32; n++ {
			if bits == uint32(uint64(0xffffffff)<<(32-n)) {
				return ip.Prefix(n)
			}
		}
		return netip.Prefix{}, say("mask with holes")
	}
	n, err := strconv.Atoi(mask)
	if err != nil {
		return netip.Prefix{}, err
	}
	return ip.Prefix(n)
}
