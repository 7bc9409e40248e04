package cookie

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// settings are what a section says of persistence.
type settings struct {
	cookie *line // nil: none
	key    string
	rules  []rule
	rdp    string // name of the RDP cookie, "": none
}

// Clone is of [slot.Cloner].
func (s *settings) Clone() *settings {
	c := *s
	c.rules = slices.Clone(s.rules)
	return &c
}

// line is a "cookie" line.
type line struct {
	name             string
	mode             mode
	indirect         bool
	nocache          bool
	postonly         bool
	preserve         bool
	dynamic          bool
	maxIdle, maxLife int64 // seconds, 0: any
	// begin and end are what stands around the value in a Set-Cookie, gone is one that
	// removes the cookie.
	begin, end, gone string
}

// mode is how the client learns the server.
type mode uint8

const (
	passive mode = iota // from somebody else
	rewrite
	insert
	prefix
)

var modes = map[string]mode{"rewrite": rewrite, "insert": insert, "prefix": prefix}

// told tells whether the log says what became of the cookie.
func (l *line) told() bool { return l.mode != passive || l.indirect }

var (
	sections = slot.New[*stream.Proxy, settings]()
	// servers are what server lines say.
	servers = slot.New[*server.Settings, string]()
)

const sides = conf.Defaults | conf.Backend

func init() {
	conf.Register(
		conf.Keyword{Name: "cookie", In: sides, Max: -1, Parse: parseLine},
		conf.Keyword{Name: "dynamic-cookie-key", In: sides, Max: 1, Parse: parseKey},
		conf.Keyword{Name: "force-persist", In: conf.Backend, Max: -1, Parse: parseRule(true)},
		conf.Keyword{Name: "ignore-persist", In: conf.Backend, Max: -1, Parse: parseRule(false)},
		conf.Keyword{Name: "persist", In: sides, Max: 1, Parse: parsePersist},
	)
	conf.RegisterServer(conf.ServerOption{Name: "cookie", Args: 1, Dynamic: true, Parse: parseServer})
	conf.RegisterFinish(finish)
}

func parseLine(c *conf.Ctx) error {
	if c.Arg(0) == "" {
		return conf.Predicatef("expects <cookie_name> as argument.")
	}
	l := &line{name: c.Args[0]}
	if bad, found := unfit(l.name, "=;,\" "); found {
		return fmt.Errorf("character '%%x%02X' is not permitted in cookie name.", bad)
	}
	var found []mode
	var domains, httpOnly, secure, attrs string // which stand in this order
	for i := 1; i < len(c.Args); i++ {
		word := c.Args[i]
		switch word {
		case "rewrite", "insert", "prefix":
			if l.mode = modes[word]; !slices.Contains(found, l.mode) {
				found = append(found, l.mode)
			}
		case "indirect":
			l.indirect = true
		case "nocache":
			l.nocache = true
		case "postonly":
			l.postonly = true
		case "preserve":
			l.preserve = true
		case "dynamic":
			l.dynamic = true
		case "httponly":
			httpOnly = "; HttpOnly"
		case "secure":
			secure = "; Secure"
		case "domain":
			i++
			if c.Arg(i) == "" {
				return fmt.Errorf("'domain' expects <domain> as argument.")
			}
			if at := strings.IndexFunc(c.Args[i], noDomain); at >= 0 {
				return fmt.Errorf("character '%c' is not permitted in domain name '%s'.", c.Args[i][at], c.Args[i])
			}
			domains += "; domain=" + c.Args[i]
		case "maxidle", "maxlife":
			what, field := "<idletime>", &l.maxIdle
			if word == "maxlife" {
				what, field = "<lifetime>", &l.maxLife
			}
			i++
			if c.Arg(i) == "" {
				return fmt.Errorf("'%s' expects %s in seconds as argument.", word, what)
			}
			s, err := seconds(c.Args[i], word)
			if err != nil {
				return err
			}
			*field = s
		case "attr":
			i++
			if c.Arg(i) == "" {
				return fmt.Errorf("'attr' expects <value> as argument.")
			}
			if bad, found := unfit(c.Args[i], ";"); found {
				return fmt.Errorf("character '%%x%02X' is not permitted in attribute value.", bad)
			}
			attrs += "; " + c.Args[i]
		default:
			return conf.Predicatef("supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', 'maxidle', 'dynamic', 'maxlife' and 'attr' options.")
		}
	}
	switch {
	case slices.Contains(found, rewrite) && l.indirect:
		return fmt.Errorf("cookie 'rewrite' and 'indirect' modes are incompatible.")
	case len(found) > 1:
		return fmt.Errorf("cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.")
	case l.preserve && l.mode != insert && !l.indirect:
		return fmt.Errorf("cookie 'preserve' requires at least 'insert' or 'indirect'.")
	}
	l.begin = l.name + "="
	l.end = "; path=/" + domains + httpOnly + secure + attrs
	l.gone = l.begin + "; Expires=Thu, 01-Jan-1970 00:00:01 GMT" + l.end
	sections.Make(c.Proxy).cookie = l
	return nil
}

// unfit finds a byte that no cookie can have: a control character, or one of these.
func unfit(s, these string) (byte, bool) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f || strings.IndexByte(these, s[i]) >= 0 {
			return s[i], true
		}
	}
	return 0, false
}

func noDomain(r rune) bool {
	return !('a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
}

// seconds reads a time, of seconds unless it says otherwise.
func seconds(text, name string) (int64, error) {
	d, err := config.ParseTime(text, time.Second)
	var bad *config.CharError
	switch {
	case errors.As(err, &bad):
		return 0, fmt.Errorf("unexpected character '%c' in argument to <%s>.", bad.Char, name)
	case err != nil:
		return 0, fmt.Errorf("timer overflow in argument <%s> to <%s> (maximum value is 2147483647 ms or ~24.8 days).", text, name)
	}
	return int64((d + time.Second - 1) / time.Second), nil
}

func parseKey(c *conf.Ctx) error {
	if c.Arg(0) == "" {
		return conf.Predicatef("expects <secret_key> as argument.")
	}
	sections.Make(c.Proxy).key = c.Args[0]
	return nil
}

func parseServer(_ *conf.Ctx, set *stream.ServerSettings, words []string) (int, error) {
	if len(words) < 2 || words[1] == "" {
		return 0, conf.Predicatef("expects <value> as argument.")
	}
	if bad, found := unfit(words[1], ";,"); found {
		return 0, fmt.Errorf("character '%%x%02X' is not permitted in the value of a cookie.", bad)
	}
	servers.Set(set, words[1])
	return 2, nil
}

// finish hooks what was said into the backends.
func finish(c *conf.Ctx) {
	for p := range c.Fresh() {
		set := sections.Of(p)
		if set == nil || !p.Backend {
			continue
		}
		ignored := func(what, wants string) {
			c.Diags.Warn(p.Pos, "%s will be ignored for %s '%s' (needs 'mode %s').", what, p.Kind, p.Name, wants)
		}
		if len(set.rules) > 0 {
			p.OnEnter = append(p.OnEnter, set.enter)
		}
		switch l := set.cookie; {
		case l == nil:
		case p.Mode != stream.HTTP:
			ignored("cookie", "http")
		default:
			p.OnChoose = append(p.OnChoose, l.request)
			p.OnServed = append(p.OnServed, l.response)
			p.CookieState = l.told()
			warnTwins(c, p, set)
		}
		switch {
		case set.rdp == "":
		case p.Mode != stream.TCP:
			ignored("persist rdp-cookie", "tcp")
		default:
			name := []byte(set.rdp)
			p.OnChoose = append(p.OnChoose, func(st *stream.Stream) { byRDP(st, name) })
		}
	}
}
