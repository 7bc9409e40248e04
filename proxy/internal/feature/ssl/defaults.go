package ssl

import (
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// Defaults are what the global section says of TLS (manual 3.1 and 3.2).
type Defaults struct {
	// Bind and Server are what lines take that do not say it themselves.
	Bind, Server Options
	// StrictSNI is for bind lines that say nothing of it.
	StrictSNI bool
	// VerifyNone is "ssl-server-verify none", NoVerify the command line's -dV.
	VerifyNone, NoVerify bool
	// CABase, CrtBase and KeyBase are where relative names of files begin, ""
	// for the working directory. See [Path].
	CABase, CrtBase, KeyBase string
	// Chains are those of issuers-chain-path, to complete certificates with.
	Chains certs.Chains
	// Extra tells which files are looked for beside a certificate.
	Extra Extra
	// ExtraDelExt is "ssl-load-extra-del-ext": the extension of a certificate's
	// name is replaced, not added to.
	ExtraDelExt bool
	// SkipSelfIssuedCA is "ssl-skip-self-issued-ca".
	SkipSelfIssuedCA bool
	// CacheSize is the number of sessions kept, in blocks of about 200 bytes (0:
	// none are), Lifetime how long they are good for.
	CacheSize int
	Lifetime  time.Duration
	// CtxCacheSize is how many generated certificates are kept.
	CtxCacheSize int
	// KeyLog is "tune.ssl.keylog".
	KeyLog bool
	// KeepSecrets tells that something asks for the secrets of connections without
	// it.
	KeepSecrets bool
}

// Extra is a set of files that are looked for beside a certificate.
type Extra uint8

// The files of "ssl-load-extra-files".
const (
	ExtraBundle Extra = 1 << iota
	ExtraSCTL
	ExtraOCSP
	ExtraIssuer
	ExtraKey

	ExtraAll = ExtraBundle | ExtraSCTL | ExtraOCSP | ExtraIssuer | ExtraKey
)

var defaultsSlot = slot.New[*stream.Global, Defaults]()

// DefaultsOf gives what the global section says.
func DefaultsOf(g *stream.Global) *Defaults {
	if d := defaultsSlot.Of(g); d != nil {
		return d
	}
	return &Defaults{
		Server: Options{Server: true},
		Extra:  ExtraAll, CacheSize: 20000, Lifetime: 300 * time.Second, CtxCacheSize: 1000,
	}
}

// change gives the same while the global section is parsed, to be changed.
func change(g *stream.Global) *Defaults {
	if defaultsSlot.Of(g) == nil {
		d := DefaultsOf(g)
		*defaultsSlot.Make(g) = *d
	}
	return defaultsSlot.Of(g)
}

// Path gives the name of a file that the configuration gives relative to a base,
// "" for none.
func Path(base, name string) string {
	if base == "" || path.IsAbs(name) || strings.HasPrefix(name, "@") {
		return name
	}
	return base + "/" + name
}

// global makes the keyword of a setting.
func global(name string, max int, parse func(c *conf.Ctx, d *Defaults) error) conf.Keyword {
	return conf.Keyword{Name: name, In: conf.Global, InPlace: true, Max: max, Parse: func(c *conf.Ctx) error {
		return parse(c, change(c.Snap.Global))
	}}
}

// text makes the keyword of a setting that is one word.
func text(name, what string, field func(*Defaults) *string) conf.Keyword {
	return global(name, 1, func(c *conf.Ctx, d *Defaults) error {
		if word(c, 0) == "" {
			return fmt.Errorf("global statement '%s' expects a %s as an argument.", name, what)
		}
		*field(d) = c.Args[0]
		return nil
	})
}

// base makes the keyword of a folder that names of files are relative to. What
// came before a second one would stand elsewhere than what follows it.
func base(name string, field func(*Defaults) *string) conf.Keyword {
	set := text(name, "directory path", field)
	return global(name, 1, func(c *conf.Ctx, d *Defaults) error {
		if *field(d) != "" {
			return conf.Predicatef("already specified.")
		}
		return set.Parse(c)
	})
}

// chains is "issuers-chain-path".
func chains(c *conf.Ctx, d *Defaults) (err error) {
	if word(c, 0) == "" {
		return fmt.Errorf("global statement '%s' expects a directory path as an argument.", c.Keyword)
	}
	if d.Chains, err = (&certs.Loader{Files: files{c}}).LoadChains(c.Args[0]); err != nil {
		return conf.Causef("%w.", err)
	}
	return nil
}

// number makes the keyword of a setting that is a number.
func number(name string, low, high int, set func(c *conf.Ctx, d *Defaults, n int) error) conf.Keyword {
	return global(name, 1, func(c *conf.Ctx, d *Defaults) error {
		if word(c, 0) == "" {
			return conf.Predicatef("expects an integer argument.")
		}
		n, err := strconv.Atoi(c.Args[0])
		switch {
		case err != nil:
			return conf.Predicatef("expects an integer argument, found '%s'.", c.Args[0])
		case n < 0 && low == 0:
			return conf.Predicatef("expects a positive numeric value.")
		case n < low:
			return conf.Predicatef("expects a value >= %d.", low)
		case n > high:
			return conf.Predicatef("expects a value up to %d.", high)
		}
		return set(c, d, n)
	})
}

func word(c *conf.Ctx, i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

const maxInt = 1<<31 - 1

func init() {
	list := []conf.Keyword{
		text("ssl-default-bind-ciphers", "cipher suite", func(d *Defaults) *string { return &d.Bind.Ciphers }),
		text("ssl-default-bind-ciphersuites", "cipher suite", func(d *Defaults) *string { return &d.Bind.CipherSuites }),
		text("ssl-default-bind-curves", "curves suite", func(d *Defaults) *string { return &d.Bind.Curves }),
		text("ssl-default-bind-sigalgs", "signature algorithm list", func(d *Defaults) *string { return &d.Bind.SigAlgs }),
		text("ssl-default-bind-client-sigalgs", "signature algorithm list", func(d *Defaults) *string { return &d.Bind.ClientSigAlgs }),
		text("ssl-default-server-ciphers", "cipher suite", func(d *Defaults) *string { return &d.Server.Ciphers }),
		text("ssl-default-server-ciphersuites", "cipher suite", func(d *Defaults) *string { return &d.Server.CipherSuites }),
		text("ssl-default-server-curves", "curves suite", func(d *Defaults) *string { return &d.Server.Curves }),
		text("ssl-default-server-sigalgs", "signature algorithm list", func(d *Defaults) *string { return &d.Server.SigAlgs }),
		text("ssl-default-server-client-sigalgs", "signature algorithm list", func(d *Defaults) *string { return &d.Server.ClientSigAlgs }),
		global("ssl-default-bind-options", -1, func(c *conf.Ctx, d *Defaults) error { return defaultOptions(c, &d.Bind) }),
		global("ssl-default-server-options", -1, func(c *conf.Ctx, d *Defaults) error { return defaultOptions(c, &d.Server) }),
		global("ssl-server-verify", 1, serverVerify),
		base("ca-base", func(d *Defaults) *string { return &d.CABase }),
		base("crt-base", func(d *Defaults) *string { return &d.CrtBase }),
		base("key-base", func(d *Defaults) *string { return &d.KeyBase }),
		global("issuers-chain-path", 1, chains),
		global("ssl-load-extra-files", -1, extraFiles),
		global("ssl-load-extra-del-ext", 0, func(_ *conf.Ctx, d *Defaults) error { d.ExtraDelExt = true; return nil }),
		global("ssl-skip-self-issued-ca", 0, func(_ *conf.Ctx, d *Defaults) error { d.SkipSelfIssuedCA = true; return nil }),
		number("ssl-security-level", 0, 5, func(_ *conf.Ctx, d *Defaults, n int) error {
			d.Bind.SecLevel, d.Server.SecLevel = n+1, n+1
			return new(Params).secure(n)
		}),
		number("maxsslconn", 0, maxInt, func(c *conf.Ctx, _ *Defaults, n int) error {
			stream.TLSSettings.Make(c.Snap.Global).MaxConn = n
			return nil
		}),
		number("maxsslrate", 0, maxInt, func(c *conf.Ctx, _ *Defaults, n int) error {
			stream.TLSSettings.Make(c.Snap.Global).MaxRate = n
			return nil
		}),
		number("tune.ssl.cachesize", 0, 1<<28, func(_ *conf.Ctx, d *Defaults, n int) error { d.CacheSize = n; return nil }),
		number("tune.ssl.ssl-ctx-cache-size", 0, 1<<24, func(_ *conf.Ctx, d *Defaults, n int) error { d.CtxCacheSize = n; return nil }),
		number("tune.ssl.capture-buffer-size", 0, 1<<14, func(c *conf.Ctx, _ *Defaults, n int) error {
			stream.TLSSettings.Make(c.Snap.Global).Capture = n
			return nil
		}),
		number("tune.ssl.capture-cipherlist-size", 0, 1<<14, func(c *conf.Ctx, _ *Defaults, n int) error {
			c.Warn("'tune.ssl.capture-cipherlist-size' is deprecated. Please use 'tune.ssl.capture-buffer-size' instead.")
			stream.TLSSettings.Make(c.Snap.Global).Capture = n
			return nil
		}),
		number("tune.ssl.maxrecord", 0, maxInt, func(c *conf.Ctx, _ *Defaults, n int) error {
			stream.TLSSettings.Make(c.Snap.Global).MaxRecord = n
			return nil
		}),
		number("tune.ssl.hard-maxrecord", 0, maxInt, func(c *conf.Ctx, _ *Defaults, n int) error {
			stream.TLSSettings.Make(c.Snap.Global).HardMaxRecord = n
			return nil
		}),
		number("tune.ssl.default-dh-param", 1024, maxInt, func(c *conf.Ctx, _ *Defaults, _ int) error { return noDHE(c) }),
		global("tune.ssl.lifetime", 1, lifetime),
		global("tune.ssl.keylog", 1, func(c *conf.Ctx, d *Defaults) (err error) { d.KeyLog, err = choice(c, "on", "off"); return err }),
		global("tune.ssl.certificate-compression", 1, func(c *conf.Ctx, _ *Defaults) error {
			_, err := choice(c, "auto", "off") // crypto/tls has none: both say so
			return err
		}),
		// There is one process: nothing is shared with others.
		global("tune.ssl.force-private-cache", 0, func(*conf.Ctx, *Defaults) error { return nil }),
		// There is no kernel TLS to be disabled.
		global("noktls", 0, func(*conf.Ctx, *Defaults) error { return nil }),
		global("ssl-dh-param-file", 1, dhParamFile),
		global("ssl-mode-async", 0, func(c *conf.Ctx, _ *Defaults) error {
			c.Warn("'ssl-mode-async' has no effect: it is for engines of OpenSSL, and Go's crypto/tls has none.")
			return nil
		}),
		global("ssl-provider", 1, provider),
		refused("ssl-engine", "engines are OpenSSL's, and Go's crypto/tls has none"),
		refused("ssl-propquery", "providers are OpenSSL's, and Go's crypto/tls has none"),
		refused("ssl-provider-path", "providers are OpenSSL's, and Go's crypto/tls has none"),
		refused("ssl-passphrase-cmd", "no program is run to open keys: keep them unencrypted, readable by the proxy's user only"),
	}
	conf.Register(list...)
	conf.RegisterSwitch(conf.Switch{Flags: []string{"dV"}, Help: "-dV disables SSL verify on servers side", Apply: func(c *conf.Ctx) {
		change(c.Snap.Global).NoVerify = true
	}})
}

func refused(name, why string) conf.Keyword {
	return conf.Keyword{Name: name, In: conf.Global, InPlace: true, Max: -1, Parse: func(*conf.Ctx) error {
		return conf.Predicatef("is not available: %s.", why)
	}}
}

// defaultOptions is "ssl-default-bind-options" and the same for servers.
func defaultOptions(c *conf.Ctx, o *Options) error {
	if len(c.Args) == 0 {
		return fmt.Errorf("global statement '%s' expects an option as an argument.", c.Keyword)
	}
	for words := c.Args; len(words) > 0; {
		n, known, err := 1, o.Server, error(nil)
		switch {
		case words[0] == "no-renegotiate":
		case words[0] == "renegotiate":
			err = errRenegotiate
		case !o.Server && words[0] == "strict-sni":
			change(c.Snap.Global).StrictSNI, known = true, true
		case listWord[words[0]]:
			known = false
		default:
			n, known, err = o.Parse(words)
		}
		if err != nil {
			return fmt.Errorf("%w on global statement '%s'.", conf.About(words[0], err), c.Keyword)
		}
		if !known {
			return fmt.Errorf("unknown option '%s' on global statement '%s'.", words[0], c.Keyword)
		}
		words = words[n:]
	}
	return nil
}

// listWord are options that have a global keyword of their own.
var listWord = map[string]bool{"ciphers": true, "ciphersuites": true, "curves": true, "ecdhe": true, "sigalgs": true, "client-sigalgs": true}

// errRenegotiate refuses "renegotiate"; "no-renegotiate" is what crypto/tls does.
var errRenegotiate = conf.Causef("renegotiation is not available: it has been a source of attacks, and TLS 1.3 has none")

func serverVerify(c *conf.Ctx, d *Defaults) error {
	switch word(c, 0) {
	case "none":
		d.VerifyNone = true
	case "required":
		d.VerifyNone = false
	default:
		return conf.Predicatef("expects 'none' or 'required' as argument.")
	}
	return nil
}

var extraNames = map[string]Extra{"bundle": ExtraBundle, "sctl": ExtraSCTL, "ocsp": ExtraOCSP, "issuer": ExtraIssuer, "key": ExtraKey}

func extraFiles(c *conf.Ctx, d *Defaults) error {
	d.Extra = 0
	if len(c.Args) == 0 {
		return conf.Predicatef("expects one or multiple arguments (none, all, bundle, sctl, ocsp, issuer).")
	}
	for _, name := range c.Args {
		switch x := extraNames[name]; {
		case x != 0:
			d.Extra |= x
		case name != "none" && name != "all":
			return conf.Predicatef("expects one or multiple arguments (none, all, bundle, sctl, ocsp, issuer).")
		case len(c.Args) > 1:
			return conf.Predicatef("'none' and 'all' can be only used alone")
		case name == "all":
			d.Extra = ExtraAll
		}
	}
	return nil
}

func lifetime(c *conf.Ctx, d *Defaults) error {
	if word(c, 0) == "" {
		return conf.Predicatef("expects ssl sessions <lifetime> in seconds as argument.")
	}
	t, err := config.ParseTime(c.Args[0], time.Second)
	var bad *config.CharError
	switch {
	case errors.Is(err, config.ErrTimeOverflow):
		return fmt.Errorf("timer overflow in argument '%s' to <tune.ssl.lifetime> (maximum value is 2147483647 ms or ~24.8 days).", c.Args[0])
	case errors.As(err, &bad):
		return fmt.Errorf("unexpected character '%c' in argument to <tune.ssl.lifetime>.", bad.Char)
	case err != nil:
		return conf.Causef("%w", err)
	}
	d.Lifetime = t
	return nil
}

// choice reads one of two words; it tells whether it is the first.
func choice(c *conf.Ctx, yes, no string) (bool, error) {
	switch word(c, 0) {
	case yes:
		return true, nil
	case no:
		return false, nil
	}
	return false, conf.Predicatef("expects either '%s' or '%s' but got '%s'.", yes, no, word(c, 0))
}

// noDHE tells that parameters of Diffie-Hellman are of no use.
func noDHE(c *conf.Ctx) error {
	c.Warn("'%s' has no effect: Go's crypto/tls has no DHE ciphers.", c.Keyword)
	return nil
}

func dhParamFile(c *conf.Ctx, _ *Defaults) error {
	if word(c, 0) == "" {
		return conf.Predicatef("expects a file path as an argument.")
	}
	data, err := c.ReadFile(c.Args[0])
	for err == nil {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			err = errors.New("no parameters")
		} else if b.Type == "DH PARAMETERS" || b.Type == "X9.42 DH PARAMETERS" {
			return noDHE(c)
		}
	}
	return fmt.Errorf("'ssl-dh-param-file': unable to load DH parameters from file <%s>.", c.Args[0])
}

// provider takes the providers whose algorithms are there anyway.
func provider(c *conf.Ctx, _ *Defaults) error {
	switch name := word(c, 0); name {
	case "":
		return errors.New("global statement 'ssl-provider' expects a valid engine provider name as an argument.")
	case "default", "base":
		c.Warn("'ssl-provider %s' has no effect: providers are OpenSSL's.", name)
		return nil
	default:
		return fmt.Errorf("'ssl-provider %s' is not available: providers are OpenSSL's, and Go's crypto/tls has none.", name)
	}
}
