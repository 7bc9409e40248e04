package statspage

import (
	"bytes"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// action is what the form can do to servers.
type action struct {
	name, title string
	// command is that of the Runtime socket, with "%" for "backend/server".
	command string
	// applies, if set, tells whether it means anything for a server. One that has
	// no health check, or no agent, stays as it is and is not counted.
	applies func(*server.Settings) bool
}

var (
	checked = func(s *server.Settings) bool { return s.Check.Enabled }
	never   = func(*server.Settings) bool { return false } // there are no agents yet
)

var actions = []action{
	{"ready", "Set state to READY", "set server % state ready", nil},
	{"drain", "Set state to DRAIN", "set server % state drain", nil},
	{"maint", "Set state to MAINT", "set server % state maint", nil},
	{"dhlth", "Health: disable checks", "disable health %", checked},
	{"ehlth", "Health: enable checks", "enable health %", checked},
	{"hrunn", "Health: force UP", "set server % health up", nil},
	{"hnolb", "Health: force NOLB", "set server % health stopping", nil},
	{"hdown", "Health: force DOWN", "set server % health down", nil},
	{"dagent", "Agent: disable checks", "disable agent %", never},
	{"eagent", "Agent: enable checks", "enable agent %", never},
	{"arunn", "Agent: force UP", "set server % agent up", never},
	{"adown", "Agent: force DOWN", "set server % agent down", never},
	{"shutdown", "Kill Sessions", "shutdown sessions server %", nil},
}

// What became of a form, as the page it leads to says it.
var outcomes = map[string]string{
	"DONE": "Done.",
	"PART": "Done for some of the servers: the others are not there any more.",
	"NONE": "Nothing has changed.",
	"ERRP": "Nothing has changed: there is no such backend, server or action, or it means nothing for them.",
	"EXCD": "Nothing has changed: the request is too long. Choose fewer servers at a time.",
	"DENY": "Nothing has changed: this takes an administrator (\u201cstats admin\u201d), on a page of this site.",
	"UNKN": "Something unexpected has happened.",
}

// act does what the form of the request says, and tells what became of it.
func (s *settings) act(st *stream.Stream, admin bool) string {
	if !admin || foreign(st) {
		return "DENY"
	}
	form, whole := st.WholeBody()
	if !whole {
		return "EXCD"
	}
	var backend, name string
	var servers []string
	for part := range strings.SplitSeq(string(form), "&") {
		key, value, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return "ERRP"
		}
		switch key {
		case "b":
			backend = value
		case "action":
			name = value
		case "s":
			servers = append(servers, value)
		}
	}
	if backend == "" && name == "" || len(servers) == 0 && backend != "" && name != "" {
		return "NONE"
	}
	be := s.backend(st, backend)
	var a *action
	for i := range actions {
		if actions[i].name == name {
			a = &actions[i]
		}
	}
	if be == nil || a == nil {
		return "ERRP"
	}
	total, altered := 0, 0
	for _, name := range servers {
		srv := be.BE.Server(name)
		if srv != nil && a.applies != nil && !a.applies(srv.Settings()) {
			continue
		}
		total++
		if srv == nil {
			continue
		}
		words := strings.Fields(a.command)
		words[slices.Index(words, "%")] = be.Name + "/" + srv.Name
		if runtimeapi.Perform(st.R, st.W, words...) == nil {
			altered++
		}
	}
	switch {
	case total == 0:
		return "NONE"
	case altered == 0:
		return "ERRP"
	case altered < total:
		return "PART"
	}
	return "DONE"
}

// backend finds the backend that a form is about, by name or "#id", if the page shows
// it.
func (s *settings) backend(st *stream.Stream, name string) *stream.Proxy {
	p := st.Snap.Backends[name]
	if id, ok := strings.CutPrefix(name, "#"); ok {
		for _, o := range st.Snap.Backends {
			if strconv.Itoa(o.ID) == id {
				p = o
			}
		}
	}
	if p == nil || p.BE == nil || !s.shows(&request{}, st.BE.Name)(p) {
		return nil
	}
	return p
}

// foreign tells whether a browser says that the form is on a page of somebody else's.
// Programs that say nothing of the kind are none that somebody could have led here.
func foreign(st *stream.Stream) bool {
	if site := st.Req.Get("sec-fetch-site"); len(site) > 0 {
		return string(site) != "same-origin"
	}
	origin := st.Req.Get("origin")
	if len(origin) == 0 {
		return false
	}
	_, host, ok := bytes.Cut(origin, []byte("://"))
	return !ok || !bytes.EqualFold(host, authority(&st.Req))
}

func authority(q *message.Request) []byte {
	if h := q.Get("host"); len(h) > 0 {
		return h
	}
	return q.Host
}
