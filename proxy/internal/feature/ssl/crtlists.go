package ssl

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// CrtLists are the crt-lists of a configuration, by name.
type CrtLists struct {
	mu     sync.Mutex
	byName map[string]*CrtList
	uses   map[*stream.Proxy][]*Line // "ssl-f-use" lines, while the configuration is read
}

var crtLists = slot.New[*stream.Global, CrtLists]()

// CrtListsOf gives the crt-lists of a configuration.
func CrtListsOf(g *stream.Global) *CrtLists {
	if l := crtLists.Of(g); l != nil {
		return l
	}
	return &CrtLists{}
}

// Get gives a list by name, nil if there is none.
func (s *CrtLists) Get(name string) *CrtList {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// All gives the lists, by name.
func (s *CrtLists) All() []*CrtList {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*CrtList
	for _, l := range s.byName {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *CrtList) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (s *CrtLists) add(l *CrtList) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = make(map[string]*CrtList)
	}
	s.byName[l.Name] = l
}

// newList makes a list of lines, loading their certificates.
func newList(c *conf.Ctx, name string, lines []*Line) (*CrtList, error) {
	l := &CrtList{Name: name}
	loader := loaderOf(c)
	var entries []Entry
	for _, line := range lines {
		l.last = max(l.last, line.Number)
		list, err := loadLine(loader, line)
		if err == nil && line.Set != nil {
			err = loadClients(c, line.Set)
		}
		if err != nil {
			return nil, line.fail(err)
		}
		for _, cert := range list {
			if err := sayUpdate(c, cert.Name, line.OCSPUpdate); err != nil {
				return nil, line.fail(err)
			}
			entries = append(entries, Entry{line, cert})
		}
	}
	l.entries.Store(&entries)
	return l, nil
}

// loadLine gives the certificates of a line.
func loadLine(loader *certs.Loader, line *Line) ([]*certs.Cert, error) {
	if line.Files == (certs.Paths{}) {
		return loader.Load(line.Name)
	}
	if cert := loader.Store.Cert(line.Name); cert != nil {
		return []*certs.Cert{cert}, loader.Agrees(line.Name, line.Files)
	}
	cert, err := loader.LoadAs(line.Name, line.Files)
	return []*certs.Cert{cert}, err
}

// open gives the crt-list of a file.
func (s *CrtLists) open(c *conf.Ctx, name string) (*CrtList, error) {
	if l := s.Get(name); l != nil {
		return l, nil
	}
	data, err := c.ReadFile(name)
	if err != nil {
		return nil, conf.Causef("cannot open file '%s' : %s.", name, certs.Reason(err))
	}
	lines, err := ParseCrtList(name, data, DefaultsOf(c.Snap.Global))
	if err != nil {
		return nil, conf.Causef("%w.", err)
	}
	l, err := newList(c, name, lines)
	if err != nil {
		return nil, conf.Causef("%w", err)
	}
	s.add(l)
	return l, nil
}

// folder gives the crt-list of a folder; nil if there is no folder of that name.
func (s *CrtLists) folder(c *conf.Ctx, name string) (*CrtList, error) {
	if l := s.Get(name); l != nil {
		return l, nil
	}
	loader := loaderOf(c)
	files, ok := loader.Folder(name)
	if !ok {
		return nil, nil
	}
	var lines []*Line
	for _, f := range files {
		lines = append(lines, &Line{Name: f})
	}
	l, err := newList(c, name, lines)
	if err != nil {
		return nil, err
	}
	l.dir = true
	s.add(l)
	return l, nil
}

func init() {
	conf.Register(conf.Keyword{Name: "ssl-f-use", In: conf.Frontend, Max: -1, Parse: sslFUse})
}

// sslFUse is a line "ssl-f-use" (manual 4.2).
func sslFUse(c *conf.Ctx) error {
	l := &Line{Words: slices.Clone(c.Args)}
	if err := l.options(DefaultsOf(c.Snap.Global)); err != nil {
		return conf.Causef("%w.", err)
	}
	if l.Files.Cert == "" {
		return conf.Causef("'crt' is mandatory.")
	}
	l.Name = l.Files.Cert
	if l.Files == (certs.Paths{Cert: l.Name}) {
		l.Files = certs.Paths{} // what is beside it counts
	}
	i := slices.Index(l.Words, "crt")
	l.Words = slices.Delete(l.Words, i, i+2)
	c.Anew()
	s := crtLists.Make(c.Snap.Global)
	if s.uses == nil {
		s.uses = make(map[*stream.Proxy][]*Line)
	}
	l.Number, l.Pos = len(s.uses[c.Proxy])+1, c.Pos
	s.uses[c.Proxy] = append(s.uses[c.Proxy], l)
	return nil
}

// frontends makes the lists "@frontend" of "ssl-f-use" lines.
func (s *CrtLists) frontends(c *conf.Ctx) {
	for _, p := range c.Snap.Proxies {
		lines := s.uses[p]
		if lines == nil {
			continue
		}
		l, err := newList(c, "@"+p.Name, lines)
		if err != nil {
			pos := lines[0].Pos
			if e := (*lineError)(nil); errors.As(err, &e) {
				pos, err = e.pos, e.err
			}
			c.Alert(pos, "'ssl-f-use' : %s", err)
			continue
		}
		s.add(l)
	}
	s.uses = nil
}

// Add puts entries at the end of l, with all bind lines that have it. It must not
// be called on a reactor.
func (l *CrtList) Add(entries ...Entry) error {
	return l.replace(func(old []Entry) []Entry { return append(slices.Clone(old), entries...) })
}

// Remove takes an entry out of l.
func (l *CrtList) Remove(e Entry) error {
	return l.replace(func(old []Entry) []Entry {
		return slices.DeleteFunc(slices.Clone(old), func(o Entry) bool { return o == e })
	})
}

// replace changes the entries, for all bind lines or not at all.
func (l *CrtList) replace(change func([]Entry) []Entry) error {
	return certs.Change(func() error {
		next := change(l.Entries())
		var publish []func()
		for _, b := range l.binds {
			p, err := b.renew(pending{list: l, entries: next})
			if err != nil {
				return err
			}
			publish = append(publish, p)
		}
		l.entries.Store(&next)
		for _, p := range publish {
			p()
		}
		return nil
	})
}

// Binds gives the bind lines that have l.
func (l *CrtList) Binds() []*Bind {
	var out []*Bind
	certs.Change(func() error { out = slices.Clone(l.binds); return nil })
	return out
}
