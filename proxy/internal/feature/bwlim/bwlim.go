package bwlim

import (
	"fmt"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	conf.RegisterFilter(
		conf.FilterKind{Name: "bwlim-in", Class: "BWLIM", Parse: func(c *conf.Ctx, args []string) (stream.Filter, error) { return parse(c, "bwlim-in", args) }},
		conf.FilterKind{Name: "bwlim-out", Class: "BWLIM", Parse: func(c *conf.Ctx, args []string) (stream.Filter, error) { return parse(c, "bwlim-out", args) }},
	)
}

// filter is a line "filter bwlim-in" or "bwlim-out".
type filter struct {
	name    string
	upload  bool  // bwlim-in
	limit   int64 // bytes in a period
	period  int64 // nanoseconds
	minSize int64
	// late tells that a rule may enable it when data has begun to pass: it has to
	// stand in the way from the beginning.
	late  bool
	spare []spares // links that are not in use, one list a reactor
}

type spares struct {
	list []*link
	_    [40]byte
}

// parse reads what follows the kind of a filter.
func parse(c *conf.Ctx, kind string, args []string) (stream.Filter, error) {
	w := conf.ReadWords(args)
	f := &filter{name: w.Next(), upload: kind == "bwlim-in", spare: make([]spares, max(c.Threads, 1))}
	if f.name == "" {
		return nil, conf.Causef("a name is expected as first argument")
	}
	if find(c.Proxy, f.name) != nil {
		return nil, fmt.Errorf("bwlim filter '%s' already declared for proxy '%s'", f.name, c.Proxy.Name)
	}
	var shared, perStream, key bool
	for len(w.Rest()) > 0 {
		option := w.Next()
		value := w.Next()
		var err error
		switch option {
		case "default-limit":
			perStream = true
			f.limit, err = config.ParseSize(value)
		case "default-period":
			perStream = true
			var d time.Duration
			d, err = config.ParseTime(value, time.Millisecond)
			f.period = int64(d)
		case "limit":
			shared = true
			_, err = config.ParseSize(value)
		case "min-size":
			f.minSize, err = config.ParseSize(value)
		case "key":
			shared, key = true, true
			if _, err := sample.Parse(c, value); err != nil {
				return nil, err
			}
		case "table":
			shared = true
			if value == "" {
				return nil, conf.Causef("a table name is expected for option 'table'")
			}
		default:
			return nil, conf.Causef("unexpected argument '%s'", option)
		}
		if err != nil {
			return nil, conf.Causef("invalid value for option '%s' (%w)", option, err)
		}
	}
	missing := ""
	switch {
	case shared && perStream:
		return nil, conf.Causef("options of limits for one stream and of shared limits exclude each other")
	case shared && !key:
		missing = "key"
	case shared:
		return nil, conf.NotYet("stick table, which shared limits need, of filter", kind)
	case f.period == 0:
		missing = "default-period"
	case f.limit == 0:
		missing = "default-limit"
	}
	if missing != "" {
		return nil, conf.Causef("<%s> option is missing", missing)
	}
	return f, nil
}

// find gives the filter of a name.
func find(p *stream.Proxy, name string) *filter {
	for _, f := range p.Filters {
		if f, ok := f.(*filter); ok && f.name == name {
			return f
		}
	}
	return nil
}

// Attach is of stream.Filter.
func (f *filter) Attach(st *stream.Stream) stream.Link {
	s := &f.spare[st.R.Index%len(f.spare)]
	if n := len(s.list); n > 0 {
		l := s.list[n-1]
		s.list = s.list[:n-1]
		l.st = st
		return l
	}
	return &link{f: f, st: st}
}

// maxSpare is how many links a filter keeps for each reactor.
const maxSpare = 128
