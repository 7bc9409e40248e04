package conf

import (
	"fmt"
	"io"
	"slices"
	"strings"

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
	Register(Keyword{Name: "filter", In: Proxies, Max: -1, Parse: filter})
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
	return nil
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
