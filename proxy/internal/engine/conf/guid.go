package conf

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// This file is "guid" (manual 4.2, 5.2) and "guid-prefix" (5.1): names that no two
// proxies, sockets or servers of a configuration have.

// guids are what a proxy says of them. A proxy without is not looked at.
type guids struct {
	own string // "guid", "": none
	pos config.Pos
}

var (
	guidsOf  = slot.New[*stream.Proxy, guids]()
	prefixes = slot.New[*stream.Bind, string]()
)

func init() {
	Register(Keyword{Name: "guid", In: Frontend | Backend, Max: 1, Parse: proxyGUID})
	RegisterBind(BindOption{Name: "guid-prefix", Args: 1, Parse: guidPrefix})
	RegisterServer(ServerOption{Name: "guid", Args: 1, Dynamic: true, Parse: serverGUID})
	RegisterFinish(uniqueGUIDs)
}

// maxGUID is the most bytes that one may have.
const maxGUID = 127

// checkGUID tells what is wrong with an identifier.
func checkGUID(text string) error {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == ':', c == '-', c == '_':
		default:
			return say("invalid character '%c'", c)
		}
	}
	if len(text) > maxGUID {
		return say("identifier is longer than %d characters", maxGUID)
	}
	return nil
}

func proxyGUID(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects a value.")
	}
	if err := checkGUID(c.Arg(0)); err != nil {
		return say("'guid': %w.", err)
	}
	g := guidsOf.Make(c.Proxy)
	g.own, g.pos = c.Arg(0), c.Pos
	return nil
}

func serverGUID(c *Ctx, s *stream.ServerSettings, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	if err := checkGUID(v); err != nil {
		return 0, say("'guid': %w.", err)
	}
	if !c.Dynamic {
		guidsOf.Make(c.Proxy)
	}
	s.GUID = v
	return 2, nil
}

func guidPrefix(c *Ctx, b *stream.Bind, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	if err := checkGUID(v + "-1"); err != nil {
		return 0, say("error on GUID generation : %w. You may fix it by adjusting guid-prefix.", err)
	}
	guidsOf.Make(c.Proxy)
	*prefixes.Make(b) = v
	return 2, nil
}

// eachGUID calls f for what has an identifier, until it returns false: the word for
// it, and its name.
func eachGUID(snap *stream.Snapshot, f func(guid, what, name string, pos config.Pos) bool) {
	for _, p := range snap.Proxies {
		g := guidsOf.Of(p)
		if g == nil {
			continue
		}
		if g.own != "" && !f(g.own, kindOf(p), p.Name, g.pos) {
			return
		}
		n := 0
		for i, b := range p.Binds {
			if n++; i > 0 && p.Binds[i-1].Pos != b.Pos {
				n = 1
			}
			if prefix := prefixes.Of(b); prefix != nil && !f(*prefix+"-"+strconv.Itoa(n), "listener", b.Addr.String(), b.Pos) {
				return
			}
		}
		for _, l := range p.ServerLines {
			if l.Settings.GUID != "" && !f(l.Settings.GUID, "server", p.Name+"/"+l.Name, l.Pos) {
				return
			}
		}
	}
}

// uniqueGUIDs refuses those that stand twice.
func uniqueGUIDs(c *Ctx) {
	seen := map[string]string{}
	eachGUID(c.Snap, func(guid, what, name string, pos config.Pos) bool {
		if other := seen[guid]; other != "" {
			c.Alert(pos, "'guid': duplicate entry with %s", other)
			return true
		}
		seen[guid] = what + " " + name
		return true
	})
}

// GUIDOwner tells what has an identifier in a configuration, and in what has become of
// it, "" if nothing has.
func GUIDOwner(snap *stream.Snapshot, guid string) (owner string) {
	eachGUID(snap, func(g, what, name string, _ config.Pos) bool {
		if g == guid {
			owner = what + " " + name
		}
		return owner == ""
	})
	for _, p := range snap.Proxies {
		if owner != "" || p.BE == nil {
			continue
		}
		for _, s := range p.BE.Servers() {
			if s.Settings().GUID == guid {
				return "server " + p.Name + "/" + s.Name
			}
		}
	}
	return owner
}
