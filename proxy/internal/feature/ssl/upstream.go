package ssl

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// Upstream is how connections to one server are secured (a [stream.Security]).
// It lives as long as the server, through applied configurations that say the
// same of it, and with it the sessions to resume.
type Upstream struct {
	key    string // all that is said, but for the SNI expression
	base   *tls.Config
	params *Params
	verify bool
	host   string // verifyhost
	sni    atomic.Pointer[naming]
	files  atomic.Pointer[serverFiles]

	mu      sync.Mutex
	targets atomic.Pointer[map[string]*target] // by name; copied to be changed
}

// naming is how the name to ask for is found.
type naming struct {
	fixed string
	expr  *sample.Expr
	host  bool // sni-auto: the Host field
}

// target is what there is for one name.
type target struct {
	name string
	cfg  *tls.Config
	last atomic.Pointer[tls.ClientSessionState]
	// own is the certificate that was shown to the server, nil for none. Whoever
	// resumes a session is taken for the one who began it.
	own *x509.Certificate
}

// maxTargets bounds the names of one server: names may come from clients.
const maxTargets = 1024

// maxName is the longest name of a host, in bytes (RFC 1035 2.3.4).
const maxName = 255

// newUpstream makes what a line asks for; l.opts gets the defaults.
func newUpstream(c *conf.Ctx, p *stream.Proxy, name string, l *serverLine, warn func(string, ...any)) (*Upstream, error) {
	d := DefaultsOf(c.Snap.Global)
	l.opts.Merge(&d.Server)
	params, err := l.opts.Resolve(warn)
	if err != nil {
		return nil, fmt.Errorf("%w.", err)
	}
	u := &Upstream{params: params, base: &tls.Config{
		// Verified by us: OpenSSL's rules are not those of crypto/x509.
		InsecureSkipVerify: true,
		NextProtos:         l.alpn,
		// Records are as large as they can be from the first one on.
		DynamicRecordSizingDisabled: true,
	}}
	params.Apply(u.base)
	if d.KeyLog || d.KeepSecrets {
		u.base.KeyLogWriter = transport.Keep
	}
	u.base.SessionTicketsDisabled = l.noReuse || params.NoTickets
	mode := l.verify
	if mode == verifyDefault {
		mode = verifyRequired
		if d.VerifyNone || d.NoVerify {
			mode = verifyNone
		}
	}
	u.verify, u.host = mode == verifyRequired, l.host
	if u.verify && l.ca == "" {
		return nil, errNoAuthorities
	}
	f, err := loadServerFiles(c, l, d, params, u.verify, "server "+p.Name+"/"+name)
	if err != nil {
		return nil, err
	}
	u.files.Store(f)
	n := &naming{}
	switch {
	case l.sni != nil:
		n.expr = l.sni.expr
	case !l.noAuto && p.Mode == stream.HTTP:
		n.host = true
	}
	u.sni.Store(n)
	// The policy of the frontends that use it may differ: the key has all.
	o := l.opts
	u.key = fmt.Sprintf("%+v|%v|%v|%q|%q|%q|%q|%q|%v", o, u.base.KeyLogWriter != nil, mode, l.host, Path(d.CABase, l.ca), Path(d.CABase, l.crl), Path(d.CrtBase, l.crt), l.alpn, l.noReuse)
	u.targets.Store(&map[string]*target{})
	return u, nil
}

// forChecks gives the same for health checks, which ask for a name of their own,
// and for other protocols unless alpn is nil.
func (u *Upstream) forChecks(name string, alpn []string) *Upstream {
	k := &Upstream{base: u.base.Clone(), params: u.params, verify: u.verify, host: u.host}
	k.files.Store(u.files.Load())
	if alpn != nil {
		k.base.NextProtos = alpn
	}
	k.sni.Store(&naming{fixed: name})
	k.key = fmt.Sprintf("%s|check %q %q", u.key, name, alpn)
	k.targets.Store(&map[string]*target{})
	return k
}

// Offers gives the protocols that connections offer by ALPN.
func (u *Upstream) Offers() []string { return u.base.NextProtos }

// ForCheck gives what secures a connection for health checks of a server: it
// offers alpn, or if that is nil what the server line says, and asks for name.
func ForCheck(c *conf.Ctx, p *stream.Proxy, server string, s *stream.ServerSettings, name string, alpn []string) (*Upstream, error) {
	l := *lineOf(s)
	if l.built == nil {
		up, err := newUpstream(c, p, server, &l, nil)
		if err != nil {
			return nil, err
		}
		l.built = up
	}
	return l.built.forChecks(name, alpn), nil
}

// Adopt tells whether o says the same as u. If it does, u goes on in its place
// and finds names and files as o does.
func (u *Upstream) Adopt(o stream.Security) bool {
	n, ok := o.(*Upstream)
	if !ok || n.key != u.key {
		return false
	}
	u.sni.Store(n.sni.Load())
	u.files.Store(n.files.Load())
	return true
}

// Name is the name that a connection made in a scope asks for, "" for none. It
// allocates for names that no connection has asked for yet. For a check sc is nil.
func (u *Upstream) Name(sc *stream.Scope) string {
	n := u.sni.Load()
	var name []byte
	switch {
	case sc == nil || n.expr == nil && !n.host:
		return n.fixed
	case n.host:
		if sc.Stream == nil {
			return ""
		}
		name = hostOf(sc.Stream)
	default:
		v := sample.Borrow(sc)
		defer v.Return(sc)
		if !n.expr.Eval(sc, v) {
			return ""
		}
		name = v.Text(sc)
	}
	if len(name) == 0 || len(name) > maxName {
		return ""
	}
	if t := (*u.targets.Load())[string(name)]; t != nil {
		return t.name
	}
	return string(name)
}

// hostOf is the name of the Host field without its port. crypto/tls asks for no
// name that is an address, but the certificate has to have it.
func hostOf(st *stream.Stream) []byte {
	h := st.Req.Get("host")
	if len(h) > 0 && h[0] == '[' {
		h = h[1:]
		if i := bytes.IndexByte(h, ']'); i >= 0 {
			h = h[:i]
		}
		return h
	}
	if i := bytes.IndexByte(h, ':'); i >= 0 {
		return h[:i]
	}
	return h
}

// Config gives the configuration of a connection that asks for name.
func (u *Upstream) Config(name string) *tls.Config {
	own := u.files.Load().leaf()
	if t := (*u.targets.Load())[name]; t != nil && t.own.Equal(own) {
		return t.cfg
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	old := *u.targets.Load()
	if t := old[name]; t != nil && t.own.Equal(own) {
		return t.cfg
	}
	t := &target{name: strings.Clone(name), cfg: u.base.Clone(), own: own}
	t.cfg.ServerName = t.name
	if !u.base.SessionTicketsDisabled {
		t.cfg.ClientSessionCache = t
	}
	t.cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return u.files.Load().certificate() }
	if u.verify {
		t.cfg.VerifyConnection = u.verifier(t.name)
	}
	all := make(map[string]*target, len(old)+1)
	if len(old) < maxTargets {
		maps.Copy(all, old)
	}
	all[t.name] = t
	u.targets.Store(&all)
	return t.cfg
}

// Get implements tls.ClientSessionCache: the newest session is the one to
// resume.
func (t *target) Get(string) (*tls.ClientSessionState, bool) {
	s := t.last.Load()
	return s, s != nil
}

// Put implements tls.ClientSessionCache.
func (t *target) Put(_ string, s *tls.ClientSessionState) { t.last.Store(s) }
