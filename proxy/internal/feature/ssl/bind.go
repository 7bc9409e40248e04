package ssl

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// Bind is what a bind line serves: which certificate to whom, and with what
// parameters. What may change at run time is behind one pointer.
type Bind struct {
	// Where names the line in lists: "fe1/127.0.0.1:443".
	Where string
	// Frontend is the name of its frontend, "" for the Runtime socket; Pos is where
	// the line stands.
	Frontend string
	Pos      config.Pos
	// Strict is "strict-sni".
	Strict bool
	// Keys are those of "tls-ticket-keys", nil for the process's own.
	Keys *TicketKeys

	on       bool
	addr     string
	settings *Settings // with the defaults
	lists    []*CrtList
	index    atomic.Pointer[index]
	front    *tls.Config // what connections begin with
	refuse   *tls.Config // what those get that get no certificate
	forge    *forge      // generate-certificates, nil: off
	keyLog   bool

	crtIgnore, caIgnore ignored
	store               *certs.Store
	tickets             *tickets
	skipRoot            bool
	warn                func(string, ...any)
}

// infos are what is remembered of clients' connections.
var infos = slot.New[*transport.TLS, Info]()

// Info is what is remembered of a client's connection.
type Info struct {
	Bind *Bind
	// Cert is the certificate that is served, nil if none is; Line is its line of a
	// crt-list, or stands for "crt".
	Cert *certs.Pair
	Line *Line
	// Name is the certificate's in the store.
	Name string
	// SNI is the name that the client asked for, as it wrote it.
	SNI string
	// CErr is OpenSSL's number of the first error in the client's own certificate,
	// CAErr of the first one above it, at the depth CADepth, Verify of the last one
	// of all. They are kept by resumed sessions.
	CErr, CAErr, CADepth, Verify int
	// Secrets are those of the connection in the form of NSS's key log, kept for
	// "tune.ssl.keylog on" and fetches that need them; with them, what identifies
	// the session.
	Secrets []byte
	session []byte

	hello   *hello            // nil: nothing was captured
	clients *clients          // who verifies the client, nil: nobody
	root    *x509.Certificate // see clientRoot
}

// InfoOf gives what is remembered of a client's connection, nil in clear.
func InfoOf(t *transport.TLS) *Info {
	if t == nil {
		return nil
	}
	return infos.Of(t)
}

// newBind makes what a line asks for.
func newBind(c *conf.Ctx, l *bindLine) (*Bind, error) {
	d := DefaultsOf(c.Snap.Global)
	b := &Bind{
		Where: l.addr, addr: l.addr, Pos: l.pos, on: l.on, store: StoreOf(c.Snap.Global), keyLog: d.KeyLog || d.KeepSecrets, crtIgnore: l.crtIgnore, caIgnore: l.caIgnore, skipRoot: d.SkipSelfIssuedCA,
		Strict: l.strict > 0 || l.strict == 0 && d.StrictSNI,
		warn:   func(format string, args ...any) { WarnOnce(c, l.where, fmt.Sprintf(format, args...)) },
	}
	if l.proxy != nil {
		b.Frontend = l.proxy.Name
		b.Where = l.proxy.Name + "/" + l.addr
	}
	fail := func(err error) (*Bind, error) { return nil, fmt.Errorf("%s : %w", l.where, err) }
	base := &Settings{Options: d.Bind}
	if l.proxy != nil && l.proxy.Mode == stream.HTTP {
		base.ALPN = defaultALPN(l.bind.Proto)
	}
	b.settings = l.over(base)
	if err := b.load(c, l); err != nil {
		return fail(err)
	}
	if l.keysFile != "" {
		var err error
		if b.Keys, err = loadTicketKeys(c, l.keysFile); err != nil {
			return fail(err)
		}
	}
	if !b.on {
		return b, nil // its files were read, as HAProxy does: mistakes show
	}
	if err := b.authorities(b.settings); err != nil {
		return nil, err
	}
	b.tickets = &tickets{keys: b.Keys, lifetime: d.Lifetime, cache: d.CacheSize}
	if l.generate {
		if l.signFile == "" {
			return nil, fmt.Errorf("%scannot enable certificate generation, no CA certificate File configured at [%s].", b.owner(), l.pos)
		}
		var err error
		if b.forge, err = newForge(c, l.signFile, l.signPass, d.CtxCacheSize); err != nil {
			return nil, fmt.Errorf("%sFailed to read CA certificate file '%s' at [%s]. %w", b.owner(), l.signFile, l.pos, err)
		}
	}
	b.refuse = &tls.Config{MinVersion: tls.VersionTLS10, SessionTicketsDisabled: true}
	b.front = &tls.Config{GetConfigForClient: b.choose, DynamicRecordSizingDisabled: true, SessionTicketsDisabled: true}
	ix, err := b.build(pending{})
	if err != nil {
		return fail(err)
	}
	if len(ix.served) == 0 {
		if !b.Strict && b.forge == nil {
			return nil, fmt.Errorf("%sno SSL certificate specified for bind '%s' at [%s] (use 'crt').", b.owner(), l.addr, l.pos)
		}
		c.Warn("%sno SSL certificate specified for bind '%s' at [%s], ssl connections will fail (use 'crt').", b.owner(), l.addr, l.pos)
	}
	b.index.Store(ix)
	for _, list := range b.lists {
		list.binds = append(list.binds, b)
	}
	b.follow(ix, nil)
	return b, nil
}

func (b *Bind) owner() string {
	if b.Frontend == "" {
		return ""
	}
	return fmt.Sprintf("Proxy '%s': ", b.Frontend)
}

// authorities tells whether there are any if settings verify clients.
func (b *Bind) authorities(set *Settings) error {
	if set.Verify > VerifyNone && set.CAFile == "" && set.CAVerifyFile == "" {
		return fmt.Errorf("%sverify is enabled but no CA file specified for bind '%s' at [%s].", b.owner(), b.addr, b.Pos)
	}
	return nil
}

// defaultALPN is what is offered in mode http if the line says nothing; proto is
// what "proto" says.
func defaultALPN(proto string) []string {
	if names := stream.ALPN(proto); len(names) > 0 {
		return names
	}
	return stream.ALPN("")
}

// load reads the files of a line.
func (b *Bind) load(c *conf.Ctx, l *bindLine) error {
	if err := loadClients(c, b.settings); err != nil {
		return err
	}
	d := DefaultsOf(c.Snap.Global)
	lists := crtLists.Make(c.Snap.Global)
	for _, s := range l.sources {
		var list *CrtList
		var err error
		switch s.word {
		case "crt-list":
			list, err = lists.open(c, s.name)
		default:
			name := Path(d.CrtBase, s.name)
			if StoreOf(c.Snap.Global).Cert(name) == nil {
				list, err = lists.folder(c, name)
			}
			if list == nil && err == nil {
				if list, err = newList(c, "", []*Line{{Name: name}}); err == nil {
					list.standard = s.word == "default-crt" || !slices.ContainsFunc(b.lists, func(o *CrtList) bool { return len(o.Entries()) > 0 })
				}
			}
		}
		if err != nil {
			return conf.About(s.word, err)
		}
		b.lists = append(b.lists, list)
	}
	if l.proxy != nil && l.on {
		if list := lists.Get("@" + l.proxy.Name); list != nil {
			b.lists = append(b.lists, list)
		}
	}
	return nil
}

// pending is a change that is being made: what it changes is looked up in it
// before the store.
type pending struct {
	entry, next any // of certs.User.Renew
	list        *CrtList
	entries     []Entry
}

func value[T any](p pending, e *certs.Entry[T]) *T {
	if o, ok := p.entry.(*certs.Entry[T]); ok && o == e {
		return p.next.(*T)
	}
	return e.Load()
}

func (p pending) of(l *CrtList) []Entry {
	if p.list == l {
		return p.entries
	}
	return l.Entries()
}

// Renew implements certs.User.
func (b *Bind) Renew(e, next any) (func(), error) {
	return b.renew(pending{entry: e, next: next})
}

// Title implements certs.User.
func (b *Bind) Title() string { return b.Where }

func (b *Bind) renew(p pending) (publish func(), err error) {
	ix, err := b.build(p)
	if err != nil {
		return nil, err
	}
	return func() {
		old := b.index.Swap(ix)
		b.follow(ix, old)
	}, nil
}

// follow makes b a user of what ix uses, and none of what only old did.
func (b *Bind) follow(ix, old *index) {
	for e := range ix.uses {
		e.Use(b)
	}
	if old == nil {
		return
	}
	for e := range old.uses {
		if !ix.uses[e] {
			e.Drop(b)
		}
	}
}

// used is a certs.Entry of any kind.
type used interface {
	Use(certs.User)
	Drop(certs.User)
}

// plan is what lines with the same settings have in common.
type plan struct {
	bind   *Bind
	set    *Settings
	params *Params
	client *clients // nil: no certificate is asked for
	policy [sha256.Size]byte
}

// newPlan makes the plan of settings; set is nil for those of the bind line.
func (b *Bind) newPlan(set *Settings, p pending, ix *index) (*plan, error) {
	pl := &plan{bind: b, set: set.over(b.settings)}
	if err := b.authorities(pl.set); err != nil {
		return nil, err
	}
	var err error
	if pl.params, err = pl.set.Resolve(b.warn); err != nil {
		return nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q|%d|%x|%x", b.Frontend, pl.set.Verify, b.crtIgnore, b.caIgnore)
	if pl.set.Verify > VerifyNone {
		pl.client = b.newClients(pl.set, pl.params, p, ix)
		pl.client.digest(h)
	}
	h.Sum(pl.policy[:0])
	return pl, nil
}

// Served is a certificate as a bind line serves it.
type Served struct {
	Entry
	// Pair is what there is of Entry.Cert now.
	Pair *certs.Pair
	// Default tells that it is served to those who ask for nothing that there is.
	Default bool
	// Names are those that it is for, in lower case, "!" before those that it is
	// not for, "*" before those of which it is for all names below.
	Names []string

	plan  *plan
	cert  *tls.Certificate
	not   map[string]bool
	forms [4]atomic.Pointer[tls.Config]
}

// serve makes what is served of an entry.
func (pl *plan) serve(e Entry, pair *certs.Pair) (*Served, error) {
	switch err := pair.Check(); {
	case err == nil:
	case errors.Is(err, certs.ErrMismatch):
		return nil, fmt.Errorf("inconsistencies between private key and certificate loaded '%s'.", e.Cert.Name)
	case errors.Is(err, certs.ErrNotIssuer):
		return nil, fmt.Errorf("'%s': the issuer is not the one of the certificate.", e.Cert.Name)
	default:
		return nil, fmt.Errorf("'%s': %w.", e.Cert.Name, err)
	}
	if !keyFits(pair.Leaf, pl.params) {
		return nil, fmt.Errorf("unable to load SSL certificate into SSL Context '%s'. (its key is too small for 'ssl-security-level')", e.Cert.Name)
	}
	s := &Served{Entry: e, Pair: pair, plan: pl, cert: pair.TLS(pl.bind.skipRoot)}
	s.cert.SupportedSignatureAlgorithms = pl.params.Signatures
	s.name()
	return s, nil
}

// name finds the names that s is for.
func (s *Served) name() {
	list := s.Filters
	if len(list) == 0 {
		list = append(slices.Clone(s.Pair.Leaf.DNSNames), commonNames(s.Pair.Leaf)...)
	}
	seen := map[string]bool{}
	for _, n := range list {
		n = strings.ToLower(n)
		bare, not := strings.CutPrefix(n, "!")
		switch {
		case n == "" || seen[n] || not && (bare == "" || bare[0] == '*'):
			continue // "!*…" says nothing
		case n == "*":
			s.Default = true
		case not:
			if s.not == nil {
				s.not = make(map[string]bool)
			}
			s.not[bare] = true
		}
		seen[n] = true
		s.Names = append(s.Names, n)
	}
}

// Forms of a configuration, for what its client can do.
const (
	noALPN    = 1 << iota // none of the client's protocols is ours
	noTickets             // tickets are not wanted, and sessions by number are not there
)

// config gives the configuration of a form. It is made when it is first wanted.
func (s *Served) config(form int) *tls.Config {
	if c := s.forms[form].Load(); c != nil {
		return c
	}
	pl := s.plan
	c := &tls.Config{
		Certificates: []tls.Certificate{*s.cert},
		// Records are as large as they can be from the first one on.
		DynamicRecordSizingDisabled: true,
	}
	pl.params.Apply(c)
	if form&noALPN == 0 {
		c.NextProtos = pl.set.ALPN
	}
	c.SessionTicketsDisabled = form&noTickets != 0
	if !c.SessionTicketsDisabled {
		pl.bind.tickets.into(c, pl.policy, pl.params.NoTickets)
	}
	if pl.client != nil {
		pl.client.into(c, pl.set)
	}
	if !s.forms[form].CompareAndSwap(nil, c) {
		return s.forms[form].Load()
	}
	return c
}

// choose is the callback of handshakes: it gives the configuration for a client.
func (b *Bind) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	info := &Info{Bind: b, SNI: hello.ServerName}
	if t := transport.Of(hello.Conn); t != nil {
		t.Heard = true
		infos.Set(t, *info)
		info = infos.Of(t)
		if b.keyLog {
			t.KeepServerHello()
		}
		if t.Capture > 0 {
			info.hello = capture(hello, t, t.Capture)
		}
	}
	ix := b.index.Load()
	s := ix.find(hello)
	if s == nil && b.forge != nil && hello.ServerName != "" {
		if _, ok := abilities(hello); ok { // what is made is ECDSA
			s = b.forge.serve(b, ix, strings.ToLower(hello.ServerName))
		}
	}
	if s == nil && !b.Strict {
		s = ix.fallback(hello)
	}
	if s == nil {
		// Without a certificate crypto/tls says "unrecognized_name".
		return b.refuse, nil
	}
	info.Cert, info.Line, info.clients = s.Pair, s.Line, s.plan.client
	if s.Cert != nil {
		info.Name = s.Cert.Name
	}
	if t := transport.Of(hello.Conn); t != nil && s.Pair.Stapled && slices.Contains(hello.Extensions, extStatusRequest) {
		t.Staple = counter.Unstapled
		if s.Pair.OCSP != nil {
			t.Staple = counter.Stapled
		}
	}
	form := 0
	if alpn := s.plan.set.ALPN; len(alpn) > 0 && len(hello.SupportedProtos) > 0 && !overlap(alpn, hello.SupportedProtos) {
		form |= noALPN // OpenSSL goes on without
	}
	if s.plan.params.NoTickets && !(s.plan.params.Max >= tls.VersionTLS13 && slices.Contains(hello.SupportedVersions, tls.VersionTLS13)) {
		form |= noTickets
	}
	c := s.config(form)
	if s.plan.client != nil || b.keyLog {
		c = s.plan.personal(c, info, transport.Of(hello.Conn))
	}
	return c, nil
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// personal gives the configuration of one connection, where results must find
// their way to info.
func (pl *plan) personal(c *tls.Config, info *Info, t *transport.TLS) *tls.Config {
	c = c.Clone()
	if pl.bind.keyLog {
		c.KeyLogWriter = info
	}
	if pl.client != nil {
		said := &sealing{}
		if pl.bind.keyLog {
			said.info = info
		}
		c.KeyLogWriter = said
		c.VerifyConnection = func(s tls.ConnectionState) error {
			err := pl.client.verify(&s, info, time.Now())
			if v, refused := err.(*VerifyError); refused && t != nil {
				t.Refuse(alertOf(v.Code), &s, said.secret)
			}
			said.secret = nil // the configuration lives as long as the connection
			return err
		}
	}
	if wrap, unwrap := c.WrapSession, c.UnwrapSession; wrap != nil {
		c.WrapSession = func(s tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
			if pl.client != nil {
				ss.Extra = append(ss.Extra, info.results())
			}
			if pl.bind.keyLog {
				ss.Extra = append(ss.Extra, info.identify(s.DidResume))
			}
			return wrap(s, ss)
		}
		c.UnwrapSession = func(ticket []byte, s tls.ConnectionState) (*tls.SessionState, error) {
			ss, err := unwrap(ticket, s)
			if ss != nil {
				info.restore(ss.Extra)
			}
			return ss, err
		}
	}
	return c
}

// sealing keeps the secret that the alert for a client of TLS 1.3 is sealed with.
type sealing struct {
	info   *Info // wants all lines of the key log too, or nil
	secret []byte
}

// Write takes a line of the key log.
func (s *sealing) Write(line []byte) (int, error) {
	if rest, is := bytes.CutPrefix(line, []byte("SERVER_TRAFFIC_SECRET_0 ")); is {
		_, text, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" ")) // behind the client's random number
		s.secret, _ = hex.DecodeString(string(text))
	}
	if s.info != nil {
		return s.info.Write(line)
	}
	return len(line), nil
}

// identify gives what a session keeps to be identified with when it is resumed:
// see [Info.restore].
func (i *Info) identify(resumed bool) []byte {
	if !resumed || i.session == nil {
		i.session = make([]byte, sessionID)
		rand.Read(i.session)
	}
	return append([]byte{'i'}, i.session...)
}

// maxSecrets bounds what is kept for "tune.ssl.keylog", in bytes.
const maxSecrets = 4 << 10

// Write takes a line of the key log.
func (i *Info) Write(line []byte) (int, error) {
	if len(i.Secrets)+len(line) <= maxSecrets {
		i.Secrets = append(i.Secrets, line...)
	}
	return len(line), nil
}
