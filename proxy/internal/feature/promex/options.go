package promex

import (
	"net/url"
	"strings"
)

// scope is a set of what is shown.
type scope uint8

const (
	global scope = 1 << iota
	frontends
	listeners
	backends
	ofServers
	tables
	resolvers
	everything = 1<<iota - 1
)

var scopes = map[string]scope{
	"*": everything, "": 0, "global": global, "frontend": frontends, "listener": listeners, "backend": backends, "server": ofServers,
	"sticktable": tables, "resolver": resolvers,
}

// options are what the query of a request asks for.
type options struct {
	scope   scope
	noMaint bool // no servers in maintenance
	extra   bool // columns of single features too
	desc    bool // descriptions of proxies and the process as labels
	// only and except are names of metrics; nil only: all of them.
	only, except map[string]bool
}

// shows tells whether a metric is asked for.
func (o *options) shows(name string) bool {
	return !o.except[name] && (o.only == nil || o.only[name])
}

// parse reads what stands behind the question mark. It tells whether that makes
// sense: unknown parameters do.
func parse(query string) (options, bool) {
	o := options{scope: everything}
	scoped := false
	for part := range strings.SplitSeq(query, "&") {
		name, value, valued := strings.Cut(part, "=")
		name, value = decode(name), decode(value)
		switch name {
		case "scope":
			s, known := scopes[value]
			if !valued || !known {
				return o, false
			}
			if !scoped { // the first one takes the place of the default
				o.scope, scoped = 0, true
			}
			o.scope |= s
		case "metrics":
			if !valued {
				return o, false
			}
			o.filter(value)
		case "no-maint":
			o.noMaint = true
		case "extra-counters":
			o.extra = true
		case "desc-labels":
			o.desc = true
		}
	}
	return o, true
}

// filter adds names of metrics to show, or with "-" before them not to show.
func (o *options) filter(list string) {
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		set := &o.only
		if name[0] == '-' {
			set, name = &o.except, name[1:]
		}
		if *set == nil {
			*set = make(map[string]bool)
		}
		(*set)[name] = true
	}
}

func decode(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}
