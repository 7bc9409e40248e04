package ssl

import "github.com/forebay-lb/forebay/proxy/internal/engine/conf"

// Settings are what bind lines, lines of crt-lists and "ssl-f-use" lines can say
// alike (manual 5.1 and 4.2, "ssl-f-use").
type Settings struct {
	Options
	// ALPN are the protocols; ALPNSaid tells that "alpn" or "no-alpn" was said.
	ALPN     []string
	ALPNSaid bool
	// CAFile and CAVerifyFile hold the authorities that certificates of clients are
	// verified against, the names of the former are sent to clients, unless
	// NoCANames.
	CAFile, CAVerifyFile, CRLFile string
	Verify                        Verify
	NoCANames                     bool
}

// Verify is what is asked of clients.
type Verify uint8

// What "verify" says; VerifyUnsaid is VerifyNone.
const (
	VerifyUnsaid Verify = iota
	VerifyNone
	VerifyOptional
	VerifyRequired
)

// settingArgs is how many arguments the words take that are not among [Words].
var settingArgs = map[string]int{
	"alpn": 1, "no-alpn": 0, "npn": 1, "ca-file": 1, "ca-verify-file": 1, "crl-file": 1,
	"verify": 1, "no-ca-names": 0, "allow-0rtt": 0, "ktls": 1,
}

// lackingSetting tells what a word lacks that stands last.
var lackingSetting = map[string]string{
	"alpn": "the comma-delimited ALPN protocol suite", "npn": "the comma-delimited NPN protocol suite",
	"ca-file": "CAfile path", "ca-verify-file": "CAfile path", "crl-file": "CRLfile path", "verify": "verify method",
	"ktls": "'on' or 'off'",
}

var errEarlyData = conf.Causef("early data is not available: Go's crypto/tls has none")

// parse takes the option that words begin with. known is false if it is none of
// those in common.
func (s *Settings) parse(d *Defaults, words []string) (n int, known bool, err error) {
	name := words[0]
	args, known := settingArgs[name]
	if !known {
		return s.Options.Parse(words)
	}
	value := ""
	if args > 0 {
		if len(words) < 2 || words[1] == "" {
			return 0, true, conf.Causef("missing %s", lackingSetting[name])
		}
		value = words[1]
	}
	switch name {
	case "alpn":
		s.ALPN, err = Protocols(value)
		s.ALPNSaid = true
	case "no-alpn":
		s.ALPN, s.ALPNSaid = nil, true
	case "npn":
		err = errNPN
	case "ca-file":
		s.CAFile = Path(d.CABase, value)
	case "ca-verify-file":
		s.CAVerifyFile = Path(d.CABase, value)
	case "crl-file":
		s.CRLFile = Path(d.CABase, value)
	case "no-ca-names":
		s.NoCANames = true
	case "allow-0rtt":
		err = errEarlyData
	case "ktls":
		err = kernelTLS(value)
	case "verify":
		switch value {
		case "none":
			s.Verify = VerifyNone
		case "optional":
			s.Verify = VerifyOptional
		case "required":
			s.Verify = VerifyRequired
		default:
			err = conf.Causef("unknown verify method '%s', only 'none', 'optional', and 'required' are supported", value)
		}
	}
	return 1 + args, true, err
}

// over gives what s comes to where d says what s does not.
func (s *Settings) over(d *Settings) *Settings {
	out := *d
	if s == nil {
		return &out
	}
	out.Options = s.Options
	out.Options.Merge(&d.Options)
	if s.ALPNSaid {
		out.ALPN, out.ALPNSaid = s.ALPN, true
	}
	if s.CAFile != "" {
		out.CAFile = s.CAFile
	}
	if s.CAVerifyFile != "" {
		out.CAVerifyFile = s.CAVerifyFile
	}
	if s.CRLFile != "" {
		out.CRLFile = s.CRLFile
	}
	if s.Verify != VerifyUnsaid {
		out.Verify = s.Verify
	}
	out.NoCANames = s.NoCANames || d.NoCANames
	return &out
}
