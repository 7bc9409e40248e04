package ssl

import (
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// serverLine is what a server line says of TLS. It hangs on the settings and is
// never changed there: each option puts a changed copy in its place, because
// lines begin with a copy of what "default-server" says.
type serverLine struct {
	opts    Options
	on, off bool // "ssl" is in force; "no-ssl" took it back
	no      bool // "no-ssl" was said last, whether or not there was something to take back
	verify  verifyMode
	host    string // verifyhost
	ca, crl string
	crt     string
	sni     *sniExpr
	noAuto  bool // no-sni-auto
	alpn    []string
	noReuse bool

	check, noCheck bool // check-ssl; no-check-ssl
	checkSNI       string
	checkNoAuto    bool // no-check-sni-auto
	checkALPN      []string

	// built is how connections are secured if they are.
	built *Upstream
	// byUser tells that TLS was switched on or off at run time.
	byUser bool
}

var serverLines = slot.New[*server.Settings, serverLine]()

// CheckTLS is how connections of health checks are secured.
type CheckTLS struct {
	*Upstream       // nil: in clear
	NameOfHost bool // without another name, the one of the request is asked for
}

// ChecksUnderTLS hang on the settings of servers whose checks are.
var ChecksUnderTLS = slot.New[*server.Settings, CheckTLS]()

type verifyMode uint8

const (
	verifyDefault verifyMode = iota // as ssl-server-verify says
	verifyNone
	verifyRequired
)

// sniExpr is the argument of "sni".
type sniExpr struct {
	text string
	expr *sample.Expr
}

func lineOf(s *stream.ServerSettings) *serverLine {
	if l := serverLines.Of(s); l != nil {
		return l
	}
	return &serverLine{opts: Options{Server: true}}
}

// option makes a server option out of what it does to the line.
func option(name string, args int, set func(c *conf.Ctx, l *serverLine, value string) error) conf.ServerOption {
	return conf.ServerOption{Name: name, Args: args, Dynamic: true, Parse: func(c *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
		value := ""
		if args > 0 {
			if len(words) < 2 || words[1] == "" {
				return 0, conf.Causef("missing %s.", lackingOnServer[name])
			}
			value = words[1]
		}
		l := *lineOf(s)
		l.built = nil
		if err := set(c, &l, value); err != nil {
			return 0, err
		}
		serverLines.Set(s, l)
		return 1 + args, nil
	}}
}

// lackingOnServer tells what an option lacks that stands last.
var lackingOnServer = map[string]string{
	"verify": "verify method", "verifyhost": "hostname to verify against", "ca-file": "CAfile path", "crl-file": "CRLfile path",
	"crt": "certificate file path", "sni": "sni expression", "check-sni": "SNI", "alpn": "the comma-delimited ALPN protocol suite",
	"check-alpn": "the comma-delimited ALPN protocol suite", "npn": "the comma-delimited NPN protocol suite", "ktls": "'on' or 'off'",
}

func init() {
	flag := func(name string, set func(*serverLine)) conf.ServerOption {
		return option(name, 0, func(_ *conf.Ctx, l *serverLine, _ string) error { set(l); return nil })
	}
	value := func(name string, field func(*serverLine) *string) conf.ServerOption {
		return option(name, 1, func(_ *conf.Ctx, l *serverLine, v string) error { *field(l) = v; return nil })
	}
	list := []conf.ServerOption{
		flag("ssl", func(l *serverLine) { l.on, l.off, l.no = true, false, false }),
		flag("no-ssl", func(l *serverLine) { l.off, l.no = l.on || l.off, true; l.on = false }),
		option("verify", 1, setVerify),
		value("verifyhost", func(l *serverLine) *string { return &l.host }),
		flag("no-verifyhost", func(l *serverLine) { l.host = "" }),
		value("ca-file", func(l *serverLine) *string { return &l.ca }),
		value("crl-file", func(l *serverLine) *string { return &l.crl }),
		value("crt", func(l *serverLine) *string { return &l.crt }),
		option("sni", 1, setSNI),
		flag("sni-auto", func(l *serverLine) { l.noAuto = false }),
		flag("no-sni-auto", func(l *serverLine) { l.noAuto = true }),
		option("alpn", 1, func(_ *conf.Ctx, l *serverLine, v string) (err error) { l.alpn, err = Protocols(v); return err }),
		flag("ssl-reuse", func(l *serverLine) { l.noReuse = false }),
		flag("no-ssl-reuse", func(l *serverLine) { l.noReuse = true }),
		flag("no-renegotiate", func(*serverLine) {}),
		option("renegotiate", 0, func(*conf.Ctx, *serverLine, string) error { return errRenegotiate }),
		option("npn", 1, func(*conf.Ctx, *serverLine, string) error { return errNPN }),
		option("allow-0rtt", 0, func(*conf.Ctx, *serverLine, string) error {
			return errEarlyData
		}),
		option("ktls", 1, func(_ *conf.Ctx, _ *serverLine, v string) error { return kernelTLS(v) }),
		flag("check-ssl", func(l *serverLine) { l.check, l.noCheck = true, false }),
		flag("no-check-ssl", func(l *serverLine) { l.check, l.noCheck = false, true }),
		value("check-sni", func(l *serverLine) *string { return &l.checkSNI }),
		flag("check-sni-auto", func(l *serverLine) { l.checkNoAuto = false }),
		flag("no-check-sni-auto", func(l *serverLine) { l.checkNoAuto = true }),
		option("check-alpn", 1, func(_ *conf.Ctx, l *serverLine, v string) (err error) {
			l.checkALPN, err = Protocols(v)
			return err
		}),
	}
	for _, name := range Words {
		if (&Options{Server: true}).takes(name) {
			list = append(list, common(name))
		}
	}
	conf.RegisterServer(list...)
}

// takes tells whether a word of [Words] is for this side.
func (o *Options) takes(name string) bool {
	return !o.Server || name != "ecdhe" && name != "prefer-client-ciphers"
}

// common makes the server option of one of [Words].
func common(name string) conf.ServerOption {
	return conf.ServerOption{Name: name, Args: WordArgs(name), Dynamic: true, Parse: func(_ *conf.Ctx, s *stream.ServerSettings, words []string) (int, error) {
		l := *lineOf(s)
		l.built = nil
		n, _, err := l.opts.Parse(words)
		if err != nil {
			return 0, fmt.Errorf("%w.", conf.About(words[0], err))
		}
		serverLines.Set(s, l)
		return n, nil
	}}
}

var errNPN = conf.Causef("NPN is not available: ALPN has replaced it, use 'alpn'")

// kernelTLS judges the argument of "ktls".
func kernelTLS(value string) error {
	switch value {
	case "off":
		return nil
	case "on":
		return conf.Causef("TLS in the kernel is not available")
	}
	return conf.Causef("expects 'on' or 'off', found '%s'.", value)
}

// Protocols reads a list of ALPN protocols ("h2,http/1.1"). Empty names are
// skipped.
func Protocols(text string) ([]string, error) {
	var list []string
	for _, p := range strings.Split(text, ",") {
		if len(p) > 255 {
			return nil, conf.Causef("ALPN protocol name too long : '%s'", p)
		}
		if p != "" {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil, conf.Causef("missing the comma-delimited ALPN protocol suite.")
	}
	return list, nil
}

func setVerify(_ *conf.Ctx, l *serverLine, value string) error {
	switch value {
	case "none":
		l.verify = verifyNone
	case "required":
		l.verify = verifyRequired
	default:
		return conf.Causef("unknown verify method '%s', only 'none' and 'required' are supported.", value)
	}
	return nil
}

func setSNI(c *conf.Ctx, l *serverLine, value string) error {
	e, err := sample.Parse(c, value)
	if err == nil && !e.Usable(sample.SourceSelection) {
		err = fmt.Errorf("fetch method '%s' has nothing to say when a server is connected to", e.Fetch.Name)
	}
	if err != nil {
		return fmt.Errorf("error detected while parsing sni or pool-conn-name expressions : %w.", err)
	}
	l.sni = &sniExpr{value, e}
	return nil
}

// finishServer completes the settings of one server, once all that its line
// says is known.
func finishServer(c *conf.Ctx, p *stream.Proxy, name string, s *stream.ServerSettings, warn func(string, ...any)) error {
	if serverLines.Of(s) == nil {
		return nil
	}
	l := serverLines.Edit(s)
	l.built = nil
	uplink := stream.Uplinks.Edit(s)
	uplink.TLS, uplink.Clear = nil, l.no
	if !l.on && !l.off && !l.check {
		return nil
	}
	up, err := newUpstream(c, p, name, l, warn)
	if err != nil {
		return err
	}
	l.built = up
	if l.on {
		uplink.TLS = up
	}
	// With a port or address of its own the check does not go to the service:
	// it inherits nothing (manual, "check").
	inherits := l.on && s.Check.Port == 0 && !s.Check.Addr.IsValid() && !c.Dynamic
	if l.check || inherits && !l.noCheck {
		ChecksUnderTLS.Set(s, CheckTLS{up.forChecks(l.checkSNI, l.checkALPN), !l.checkNoAuto && l.checkSNI == ""})
	}
	return nil
}

func init() {
	conf.RegisterServerFinish(func(c *conf.Ctx, p *stream.Proxy, name string, s *stream.ServerSettings) error {
		return finishServer(c, p, name, s, func(format string, args ...any) {
			WarnOnce(c, fmt.Sprintf("'server %s/%s'", p.Name, name), fmt.Sprintf(format, args...))
		})
	})
}

// warnings are the texts that were said.
var warnings = conf.NewValue[map[string]bool]()

// WarnOnce warns at the line of c, unless another line was warned of the same:
// what the defaults say need not be told of each line that takes them.
func WarnOnce(c *conf.Ctx, owner, text string) {
	if said := warnings.Of(c.Loading); said != nil {
		if (*said)[text] {
			return
		}
		if *said == nil {
			*said = make(map[string]bool)
		}
		(*said)[text] = true
	}
	c.Warn("%s : %s", owner, text)
}
