package ssl

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// Options are the parameters of TLS as they are written on a line: a bind line,
// a server line, a line of a crt-list, or the global defaults. What is not said
// has its zero value. [Options.Resolve] tells what they come to.
type Options struct {
	// Server tells that they are for connections to servers: in the handshake
	// we are the client.
	Server bool
	// Min and Max are versions of crypto/tls (and 0x0300 for SSLv3), 0: not said.
	Min, Max uint16
	// Off holds a bit 1<<(version-0x0300) for each version that a no-… word
	// switches off.
	Off uint8
	// Ciphers are those up to TLS 1.2, CipherSuites those of TLS 1.3, in
	// OpenSSL's notation (man 1 ciphers).
	Ciphers, CipherSuites string
	// Curves are what "curves" says, ECDHE is the one of "ecdhe".
	Curves, ECDHE string
	// SigAlgs and ClientSigAlgs are in the notation of SSL_CTX_set1_sigalgs(3).
	SigAlgs, ClientSigAlgs string
	// Tickets is 1 for "tls-tickets", -1 for "no-tls-tickets", 0: not said.
	Tickets int8
	// PreferClient is "prefer-client-ciphers". crypto/tls always gives ChaCha20
	// to clients that put it first, and its order has nothing worse to choose.
	PreferClient bool
	// SecLevel is "ssl-security-level" plus one, 0: not said.
	SecLevel int
}

// versions are the names of versions, oldest first.
var versions = []struct {
	name, suffix string
	version      uint16
}{
	{"SSLv3", "sslv3", 0x0300},
	{"TLSv1.0", "tlsv10", tls.VersionTLS10},
	{"TLSv1.1", "tlsv11", tls.VersionTLS11},
	{"TLSv1.2", "tlsv12", tls.VersionTLS12},
	{"TLSv1.3", "tlsv13", tls.VersionTLS13},
}

// missing tells what a word lacks that stands last.
var missing = map[string]string{
	"ssl-min-ver":    "the ssl/tls version",
	"ssl-max-ver":    "the ssl/tls version",
	"ciphers":        "cipher suite",
	"ciphersuites":   "cipher suite",
	"curves":         "curve suite",
	"ecdhe":          "named curve",
	"sigalgs":        "signature algorithm list",
	"client-sigalgs": "signature algorithm list",
}

// Words are the words that [Options.Parse] takes, those of bind lines first.
// "ecdhe" and "prefer-client-ciphers" are not for servers.
var Words = []string{
	"ssl-min-ver", "ssl-max-ver",
	"force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13",
	"no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13",
	"ciphers", "ciphersuites", "curves", "sigalgs", "client-sigalgs",
	"tls-tickets", "no-tls-tickets", "ecdhe", "prefer-client-ciphers",
}

// WordArgs is how many arguments a word of [Words] takes.
func WordArgs(word string) int {
	if missing[word] != "" {
		return 1
	}
	return 0
}

// Parse takes the option that words begin with and tells how many words it
// took. known is false if the first is none of [Words].
func (o *Options) Parse(words []string) (n int, known bool, err error) {
	name, value := words[0], ""
	if o.Server && (name == "ecdhe" || name == "prefer-client-ciphers") {
		return 0, false, nil
	}
	if what := missing[name]; what != "" {
		if len(words) < 2 || words[1] == "" {
			return 0, true, conf.Causef("missing %s", what)
		}
		value = words[1]
	}
	if text := o.text(name); text != nil {
		*text = value
		return 1 + WordArgs(name), true, nil
	}
	switch name {
	case "ssl-min-ver", "ssl-max-ver":
		v := versionOf(value)
		if v == 0 {
			return 0, true, conf.About(value, conf.Causef("unknown ssl/tls version"))
		}
		if name == "ssl-min-ver" {
			o.Min = v
		} else {
			o.Max = v
		}
	case "tls-tickets":
		o.Tickets = 1
	case "no-tls-tickets":
		o.Tickets = -1
	case "prefer-client-ciphers":
		o.PreferClient = true
	default:
		known := o.version(name)
		return 1, known, nil
	}
	return 1 + WordArgs(name), true, nil
}

// text is where the value of an option stands that is kept as it is written, nil if
// it is another option.
func (o *Options) text(name string) *string {
	switch name {
	case "ciphers":
		return &o.Ciphers
	case "ciphersuites":
		return &o.CipherSuites
	case "curves":
		return &o.Curves
	case "ecdhe":
		return &o.ECDHE
	case "sigalgs":
		return &o.SigAlgs
	case "client-sigalgs":
		return &o.ClientSigAlgs
	}
	return nil
}

// version takes "force-<version>" and "no-<version>". It tells whether it was one.
func (o *Options) version(name string) bool {
	how, suffix, _ := strings.Cut(name, "-")
	for _, v := range versions {
		switch {
		case suffix != v.suffix:
		case how == "force":
			o.Min, o.Max = v.version, v.version
			return true
		case how == "no":
			o.Off |= offBit(v.version)
			return true
		}
	}
	return false
}

func offBit(version uint16) uint8 { return 1 << (version - 0x0300) }

func versionOf(name string) uint16 {
	for _, v := range versions {
		if v.name == name {
			return v.version
		}
	}
	return 0
}

// VersionName is the name of a version as configurations and logs have it:
// "TLSv1.3". It is "" for versions that there are not.
func VersionName(version uint16) string {
	for _, v := range versions {
		if v.version == version {
			return v.name
		}
	}
	return ""
}

// Merge takes from d what o does not say. Versions that either switches off are
// off.
func (o *Options) Merge(d *Options) {
	if o.Min == 0 {
		o.Min = d.Min
	}
	if o.Max == 0 {
		o.Max = d.Max
	}
	o.Off |= d.Off
	for _, f := range []struct{ to, from *string }{
		{&o.Ciphers, &d.Ciphers}, {&o.CipherSuites, &d.CipherSuites},
		{&o.SigAlgs, &d.SigAlgs}, {&o.ClientSigAlgs, &d.ClientSigAlgs},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if o.Curves == "" && o.ECDHE == "" {
		o.Curves, o.ECDHE = d.Curves, d.ECDHE
	}
	if o.Tickets == 0 {
		o.Tickets = d.Tickets
	}
	if o.SecLevel == 0 {
		o.SecLevel = d.SecLevel
	}
	o.PreferClient = o.PreferClient || d.PreferClient
}

// Params are parameters in the terms of crypto/tls.
type Params struct {
	Min, Max     uint16
	CipherSuites []uint16 // nil: crypto/tls's default
	Curves       []tls.CurveID
	// Signatures are the algorithms that our own certificate may sign with (for
	// tls.Certificate.SupportedSignatureAlgorithms), nil: any.
	Signatures []tls.SignatureScheme
	NoTickets  bool
	// RSABits and ECBits are the smallest keys of certificates, 0: no demand.
	RSABits, ECBits int
}

// Resolve tells what o comes to. What crypto/tls cannot do is an error if
// leaving it out would allow what was forbidden; otherwise it is left out and
// warn, unless nil, is told.
func (o *Options) Resolve(warn func(format string, args ...any)) (*Params, error) {
	if warn == nil {
		warn = func(string, ...any) {}
	}
	p := &Params{NoTickets: o.Tickets < 0}
	if err := o.versionRange(p, warn); err != nil {
		return nil, err
	}
	level := o.SecLevel - 1
	if o.Ciphers != "" {
		list, at, err := cipherList(o.Ciphers, o.Server, warn)
		if err != nil {
			return nil, err
		}
		p.CipherSuites = list
		if at >= 0 {
			level = at
		}
	}
	if err := p.secure(level); err != nil {
		return nil, err
	}
	if o.CipherSuites != "" && p.Max >= tls.VersionTLS13 {
		if err := checkSuites13(o.CipherSuites, o.Server, warn); err != nil {
			return nil, err
		}
	}
	var err error
	switch {
	case o.Curves != "":
		p.Curves, err = curveList(o.Curves, "unable to set SSL curves list to '%s'", o.Server, warn)
	case o.ECDHE != "":
		p.Curves, err = curveList(o.ECDHE, "unable to set elliptic named curve to '%s'", o.Server, warn)
	}
	if err != nil {
		return nil, err
	}
	return p, o.signatures(p, warn)
}

// Apply sets the parameters in cfg. The signatures of certificates and the sizes
// of keys are left to the caller: see [Options.Resolve].
func (o *Options) Apply(cfg *tls.Config) error {
	p, err := o.Resolve(nil)
	if err == nil {
		p.Apply(cfg)
	}
	return err
}

// Apply sets the parameters in cfg, but for Signatures and the sizes of keys.
func (p *Params) Apply(cfg *tls.Config) {
	cfg.MinVersion, cfg.MaxVersion = p.Min, p.Max
	cfg.CipherSuites = slices.Clone(p.CipherSuites)
	cfg.CurvePreferences = slices.Clone(p.Curves)
	cfg.SessionTicketsDisabled = p.NoTickets
}

// defaultMin is the oldest version that is allowed if nothing is said (manual,
// "ssl-min-ver").
const defaultMin = tls.VersionTLS12

func (o *Options) versionRange(p *Params, warn func(string, ...any)) error {
	low, high, off := o.Min, o.Max, o.Off
	if off != 0 && (low != 0 || high != 0) {
		off = 0
		warn("no-sslv3/no-tlsv1x are ignored. Use only 'ssl-min-ver' and 'ssl-max-ver' to fix.")
	}
	if high == 0 {
		high = tls.VersionTLS13
	}
	switch {
	case low != 0:
	case high >= defaultMin:
		low = defaultMin
	case o.Server:
		low = tls.VersionTLS10
	default:
		low = high
		warn("the ssl-min-ver value is not configured and the ssl-max-ver value is lower than the default ssl-min-ver value (%s). Setting the ssl-min-ver to %s. Use 'ssl-min-ver' to fix this.", VersionName(defaultMin), VersionName(high))
	}
	low = max(low, tls.VersionTLS10) // SSLv3 as the lowest forbids nothing
	var hole uint16
	for v := low; v <= high; v++ {
		switch {
		case off&offBit(v) != 0:
			hole = v
		case p.Min == 0:
			p.Min, p.Max, hole = v, v, 0
		case hole != 0:
			// crypto/tls knows ranges only. What is below the hole is given up:
			// nothing may be allowed that was forbidden.
			warn("SSL/TLS versions range not contiguous. Hole find for %s. Use only 'ssl-min-ver' and 'ssl-max-ver' to fix.", VersionName(hole))
			p.Min, p.Max, hole = v, v, 0
		default:
			p.Max = v
		}
	}
	if p.Min == 0 {
		if o.Max == 0x0300 {
			return fmt.Errorf("all SSL/TLS versions are disabled: SSLv3 is not available in Go's crypto/tls")
		}
		return fmt.Errorf("all SSL/TLS versions are disabled")
	}
	return nil
}

// Levels of security, as OpenSSL numbers them (SSL_CTX_set_security_level(3)).
var keySizes = []struct{ rsa, ec int }{{0, 0}, {1024, 160}, {2048, 224}, {3072, 256}}

// secure applies a level of security, -1: none was asked for.
func (p *Params) secure(level int) error {
	if level < 0 {
		return nil
	}
	if level >= len(keySizes) {
		return fmt.Errorf("security level %d forbids suites of TLS 1.3, which Go's crypto/tls cannot leave out: use a level up to %d", level, len(keySizes)-1)
	}
	p.RSABits, p.ECBits = keySizes[level].rsa, keySizes[level].ec
	if level < 3 {
		return nil
	}
	p.NoTickets = true
	if p.Min = max(p.Min, tls.VersionTLS11); p.Min > p.Max {
		return fmt.Errorf("all SSL/TLS versions are disabled: security level %d forbids %s", level, VersionName(p.Max))
	}
	if p.CipherSuites == nil {
		return nil // the defaults have forward secrecy
	}
	p.CipherSuites = slices.DeleteFunc(p.CipherSuites, func(id uint16) bool { return suites[id].has("kRSA") })
	if len(p.CipherSuites) == 0 {
		return fmt.Errorf("security level %d forbids all ciphers", level)
	}
	return nil
}

// fixed are the suites of TLS 1.3: crypto/tls has all three always on.
var fixed = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}

// checkSuites13 looks at "ciphersuites", which crypto/tls has no setting for.
func checkSuites13(text string, server bool, warn func(string, ...any)) error {
	var order []uint16
	var left []string
	for _, name := range strings.FieldsFunc(text, isListSeparator) {
		i := slices.IndexFunc(fixed, func(id uint16) bool { return tls.CipherSuiteName(id) == name })
		switch {
		case i < 0:
			left = append(left, name)
		case !slices.Contains(order, fixed[i]):
			order = append(order, fixed[i])
		}
	}
	if len(order) == 0 {
		return fmt.Errorf("unable to set TLS 1.3 cipher suites to '%s': none of them is available in Go's crypto/tls", text)
	}
	if len(order) < len(fixed) {
		var lack []string
		for _, id := range fixed {
			if !slices.Contains(order, id) {
				lack = append(lack, tls.CipherSuiteName(id))
			}
		}
		return fmt.Errorf("unable to set TLS 1.3 cipher suites to '%s': Go's crypto/tls cannot switch off %s", text, strings.Join(lack, ", "))
	}
	if len(left) > 0 {
		warn("TLS 1.3 cipher suites that Go's crypto/tls does not have are left out: %s.", strings.Join(left, ", "))
	}
	if !server && !slices.Equal(order, fixed) {
		warn("the order of the TLS 1.3 cipher suites is crypto/tls's own, not the one of '%s'.", text)
	}
	return nil
}

func isListSeparator(r rune) bool { return strings.ContainsRune(": ;,", r) }

// curves are the groups of crypto/tls in its order of preference, by the names
// that OpenSSL takes.
var curves = []struct {
	id    tls.CurveID
	names []string
}{
	{tls.X25519MLKEM768, []string{"X25519MLKEM768"}},
	{tls.SecP256r1MLKEM768, []string{"SecP256r1MLKEM768"}},
	{tls.SecP384r1MLKEM1024, []string{"SecP384r1MLKEM1024"}},
	{tls.X25519, []string{"X25519"}},
	{tls.CurveP256, []string{"P-256", "prime256v1", "secp256r1"}},
	{tls.CurveP384, []string{"P-384", "secp384r1"}},
	{tls.CurveP521, []string{"P-521", "secp521r1"}},
}

// lacking are groups that OpenSSL has and crypto/tls has not.
var lacking = strings.Fields(`x448 secp256k1 secp224r1 p-224 prime192v1 p-192 secp192r1
	brainpoolp256r1 brainpoolp384r1 brainpoolp512r1 brainpoolp256r1tls13 brainpoolp384r1tls13 brainpoolp512r1tls13
	ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192 mlkem512 mlkem768 mlkem1024 sm2 curvesm2`)

// curveList reads a list of curves. failed is the message of errors.
func curveList(text, failed string, server bool, warn func(string, ...any)) ([]tls.CurveID, error) {
	var list []tls.CurveID
	var left []string
	ordered, last := true, -1
	for _, name := range strings.Split(text, ":") {
		optional := strings.HasPrefix(name, "?") // OpenSSL 3.5: ignore it if unknown
		name = strings.TrimLeft(name, "?*")      // "*": send a key share for it
		i := slices.IndexFunc(curves, func(c struct {
			id    tls.CurveID
			names []string
		}) bool {
			return slices.ContainsFunc(c.names, func(n string) bool { return strings.EqualFold(n, name) })
		})
		switch {
		case i >= 0 && slices.Contains(list, curves[i].id):
		case i >= 0:
			list = append(list, curves[i].id)
			ordered, last = ordered && i > last, i
		case optional:
		case slices.Contains(lacking, strings.ToLower(name)):
			left = append(left, name)
		default:
			return nil, fmt.Errorf(failed+": unknown curve '%s'", text, name)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf(failed+": none of them is available in Go's crypto/tls", text)
	}
	if len(left) > 0 {
		warn("curves that Go's crypto/tls does not have are left out: %s.", strings.Join(left, ", "))
	}
	if !ordered && !server {
		warn("the order of the curves is crypto/tls's own, not the one of '%s'.", text)
	}
	return list, nil
}
