package conf

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// FilterKind is a kind of filter: what a line "filter <name>" makes.
type FilterKind struct {
	Name string
	// Class is what lists of filters call its family: "BWLIM".
	Class string
	// Parse makes the filter of a line from the words after the name. Filters of a
	// section stand in the order of their lines in [stream.Proxy.Filters].
	Parse func(c *Ctx, args []string) (stream.Filter, error)
}

// ServiceKind is a kind of service: what an action "use-service <name>" calls.
type ServiceKind struct {
	Name string
	Make func(c *Ctx) (stream.Service, error)
}

var (
	filterKinds  = map[string]*FilterKind{}
	serviceKinds = map[string]*ServiceKind{}
)

// Filters and services of HAProxy 3.4.
var (
	knownFilters  = []string{"bwlim-in", "bwlim-out", "cache", "comp-req", "comp-res", "compression", "fcgi-app", "spoe", "trace"}
	knownServices = []string{"prometheus-exporter"}
)

// RegisterFilter adds kinds of filters.
func RegisterFilter(list ...FilterKind) {
	for i := range list {
		filterKinds[list[i].Name] = &list[i]
	}
}

// RegisterService adds kinds of services.
func RegisterService(list ...ServiceKind) {
	for i := range list {
		serviceKinds[list[i].Name] = &list[i]
	}
}

func init() {
	Register(
		Keyword{Name: "filter", In: Proxies, Max: -1, Parse: filter},
		Keyword{Name: "filter-sequence", In: Proxies, Max: -1, Parse: filterSequence},
	)
	RegisterFinish(orderFilters)
	RegisterDump("flt", func(w io.Writer) {
		fmt.Fprintln(w, "# List of registered filter names:")
		for _, n := range sortedKeys(filterKinds) {
			fmt.Fprintf(w, "%s [%s]\n", n, filterKinds[n].Class)
		}
	})
	RegisterDump("svc", func(w io.Writer) {
		fmt.Fprintln(w, "# List of registered service names:")
		for _, n := range sortedKeys(serviceKinds) {
			fmt.Fprintln(w, n)
		}
	})
}

func filter(c *Ctx) error {
	if c.InDefaults {
		return say("%s is not allowed in a 'default' section.", c.Keyword)
	}
	name := c.Arg(0)
	if name == "" {
		return say("missing argument for 'filter' in %s '%s'.", c.Section, c.Proxy.Name)
	}
	k := filterKinds[name]
	if k == nil {
		if slices.Contains(knownFilters, name) || strings.HasPrefix(name, "lua.") {
			return NotYet("filter", name)
		}
		list := ""
		for _, n := range sortedKeys(filterKinds) {
			list += fmt.Sprintf("\n    [%s] %s", filterKinds[n].Class, n)
		}
		return Causef("unknown keyword '%s'. Registered keywords :%s", name, list)
	}
	f, err := k.Parse(c, c.Args[1:])
	if err != nil {
		return Causef("%w", About(name, err))
	}
	c.Proxy.Filters = append(slices.Clip(c.Proxy.Filters), f)
	n := filterNames.Make(c.Proxy)
	n.declared = append(n.declared, declaredFilter{name, f})
	return nil
}

// filterList is what a proxy says of its filters by their names.
type filterList struct {
	declared []declaredFilter
	order    [2][]string // "filter-sequence"
}

type declaredFilter struct {
	name   string
	filter stream.Filter
}

var filterNames = slot.New[*stream.Proxy, filterList]()

// directions are the words of "filter-sequence", in the order of
// [stream.Proxy.FilterOrder].
var directions = [2]string{"request", "response"}

// filterSequence is "filter-sequence { request | response } <filter_list>". The last
// line for a direction counts.
func filterSequence(c *Ctx) error {
	if c.InDefaults {
		return say("%s is not allowed in a 'default' section.", c.Keyword)
	}
	at := slices.Index(directions[:], c.Arg(0))
	switch {
	case len(c.Args) == 0, at >= 0 && c.Arg(1) == "":
		return say("missing argument for 'filter-sequence' in %s '%s'.", c.Section, c.Proxy.Name)
	case at < 0:
		return say("expected either 'request' or 'response' for 'filter-sequence' in %s '%s'.", c.Section, c.Proxy.Name)
	}
	if err := c.extra(2); err != nil {
		return err
	}
	filterNames.Make(c.Proxy).order[at] = strings.Split(c.Arg(1), ",")
	return nil
}

// orderFilters finds the filters that sequences name.
func orderFilters(c *Ctx) {
	for p := range c.Fresh() {
		l := filterNames.Of(p)
		if l == nil {
			continue
		}
		for direction, names := range l.order {
			if names == nil {
				continue
			}
			order, err := l.sequence(names)
			if err != nil {
				c.Diags.Alert(p.Pos, "%s: error while postparsing %s filter-sequence '%s' : %s", p.Name, directions[direction], strings.Join(names, ","), err)
			}
			p.FilterOrder[direction] = order
		}
	}
}

// sequence finds filters by their names, each of which stands for all the lines that
// have it, in their order.
func (l *filterList) sequence(names []string) ([]stream.Filter, error) {
	order := []stream.Filter{}
	for i, name := range names {
		n := len(order)
		for _, d := range l.declared {
			if d.name == name {
				order = append(order, d.filter)
			}
		}
		switch {
		case len(order) == n:
			return nil, say("invalid filter name: '%s' is not defined on the proxy", name)
		case slices.Contains(names[:i], name):
			return nil, say("invalid filter name: '%s' stands twice", name)
		}
	}
	return order, nil
}

// Service makes the service of a name.
func (c *Ctx) Service(name string) (stream.Service, error) {
	switch k := serviceKinds[name]; {
	case k != nil:
		return k.Make(c)
	case slices.Contains(knownServices, name), strings.HasPrefix(name, "lua."):
		return nil, NotYet("service", name)
	}
	return nil, say("'%s' unknown service name.", name)
}
