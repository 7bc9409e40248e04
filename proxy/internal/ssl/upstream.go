package ssl

import (
	"crypto/tls"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/internal/conf"
	"github.com/forebay-lb/forebay/proxy/internal/sample"
	"github.com/forebay-lb/forebay/proxy/internal/server"
	"github.com/forebay-lb/forebay/proxy/internal/stream"
)

// Upstream is how connections to one server are secured (a [server.Security]).
// It lives as long as the server, through applied configurations that say the
// same of it, and with it the sessions to resume.
type Upstream struct {
	key  string // all that is said, but for the SNI expression
	base *tls.Config
	ver  *verifier // nil: servers are not verified
	sni  atomic.Pointer[naming]

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
}

// maxTargets bounds the names of one server: names may come from clients.
const maxTargets = 1024

// maxName is the longest name of a host, in bytes (RFC 1035 2.3.4).
const maxName = 255

// newUpstream makes what a line asks for; l.opts gets the defaults.
func newUpstream(c *conf.Ctx, p *stream.Proxy, l *serverLine, warn func(string, ...any)) (*Upstream, error) {
	d := DefaultsOf(c.Snap.Global)
	l.opts.Merge(&d.Server)
	params, err := l.opts.Resolve(warn)
	if err != nil {
		return nil, fmt.Errorf("%w.", err)
	}
	u := &Upstream{base: &tls.Config{
		// Verified by us: OpenSSL's rules are not those of crypto/x509.
		InsecureSkipVerify: true,
		NextProtos:         l.alpn,
		// Records are as large as they can be from the first one on.
		DynamicRecordSizingDisabled: true,
	}}
	params.Apply(u.base)
	u.base.SessionTicketsDisabled = l.noReuse || params.NoTickets
	mode := l.verify
	if mode == verifyDefault {
		mode = verifyRequired
		if d.VerifyNone {
			mode = verifyNone
		}
	}
	if mode == verifyRequired {
		if u.ver, err = newVerifier(c, d, l, params); err != nil {
			return nil, err
		}
	}
	if l.crt != "" {
		own, err := clientCertificate(c, Path(d.CrtBase, l.crt), params)
		if err != nil {
			return nil, err
		}
		u.base.GetClientCertificate = own
	}
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
	u.key = fmt.Sprintf("%+v|%v|%q|%q|%q|%q|%q|%v", o, mode, l.host, Path(d.CABase, l.ca), Path(d.CABase, l.crl), Path(d.CrtBase, l.crt), l.alpn, l.noReuse)
	u.targets.Store(&map[string]*target{})
	return u, nil
}

// forChecks gives the same for health checks, which ask for a name and a
// protocol of their own.
func (u *Upstream) forChecks(l *serverLine) *Upstream {
	k := &Upstream{base: u.base.Clone(), ver: u.ver}
	if l.checkALPN != nil {
		k.base.NextProtos = l.checkALPN
	}
	k.sni.Store(&naming{fixed: l.checkSNI})
	k.key = fmt.Sprintf("%s|check %q %q", u.key, l.checkSNI, l.checkALPN)
	k.targets.Store(&map[string]*target{})
	return k
}

// Protocols gives a form of u that offers other protocols by ALPN, for health
// checks.
func (u *Upstream) WithProtocols(list []string) server.Security {
	k := &Upstream{base: u.base.Clone(), ver: u.ver, key: fmt.Sprintf("%s|alpn %q", u.key, list)}
	k.base.NextProtos = list
	k.sni.Store(u.sni.Load())
	k.targets.Store(&map[string]*target{})
	return k
}

// Adopt tells whether o says the same as u. If it does, u goes on in its place
// and finds names as o does.
func (u *Upstream) Adopt(o server.Security) bool {
	n, ok := o.(*Upstream)
	if !ok || n.key != u.key {
		return false
	}
	u.sni.Store(n.sni.Load())
	return true
}

// Name is the name that a connection for subject asks for, "" for none. It
// allocates for names that no connection has asked for yet.
func (u *Upstream) Name(subject any) string {
	n := u.sni.Load()
	st, _ := subject.(*stream.Stream)
	var name []byte
	switch {
	case st == nil || n.expr == nil && !n.host:
		return n.fixed
	case n.host:
		name = hostOf(st)
	default:
		var v sample.Value
		if !n.expr.Eval(st, &v) {
			return ""
		}
		name = v.Text(st)
	}
	if len(name) == 0 || len(name) > maxName {
		return ""
	}
	if t := (*u.targets.Load())[string(name)]; t != nil {
		return t.name
	}
	return string(name)
}

// hostOf is the name of the Host field without its port.
func hostOf(st *stream.Stream) []byte {
	h := st.Req.Get("host")
	for i, c := range h {
		if c == ':' {
			return h[:i] // of an IPv6 literal "[" stays, which is no name
		}
	}
	return h
}

// Config gives the configuration of a connection that asks for name.
func (u *Upstream) Config(name string) *tls.Config {
	if t := (*u.targets.Load())[name]; t != nil {
		return t.cfg
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	old := *u.targets.Load()
	if t := old[name]; t != nil {
		return t.cfg
	}
	t := &target{name: strings.Clone(name), cfg: u.base.Clone()}
	t.cfg.ServerName = t.name
	if !u.base.SessionTicketsDisabled {
		t.cfg.ClientSessionCache = t
	}
	if u.ver != nil {
		t.cfg.VerifyConnection = u.ver.forName(t.name)
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
