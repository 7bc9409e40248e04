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
	var l limits
	for len(w.Rest()) > 0 {
		if err := l.option(c, f, w.Next(), w.Next()); err != nil {
			return nil, err
		}
	}
	if l.shared && !l.perStream && l.key {
		return nil, conf.NotYet("stick table, which shared limits need, of filter", kind)
	}
	return f, l.check(f)
}

// limits are the kinds of limits that the options of a filter are about.
type limits struct{ shared, perStream, key bool }

// option takes an option with its value.
func (l *limits) option(c *conf.Ctx, f *filter, option, value string) (err error) {
	switch option {
	case "default-limit":
		l.perStream = true
		f.limit, err = config.ParseSize(value)
	case "default-period":
		l.perStream = true
		var d time.Duration
		d, err = config.ParseTime(value, time.Millisecond)
		f.period = int64(d)
	case "limit":
		l.shared = true
		_, err = config.ParseSize(value)
	case "min-size":
		f.minSize, err = config.ParseSize(value)
	case "key":
		l.shared, l.key = true, true
		if _, err := sample.Parse(c, value); err != nil {
			return err
		}
	case "table":
		l.shared = true
		if value == "" {
			return conf.Causef("a table name is expected for option 'table'")
		}
	default:
		return conf.Causef("unexpected argument '%s'", option)
	}
	if err != nil {
		return conf.Causef("invalid value for option '%s' (%w)", option, err)
	}
	return nil
}

// check tells what is missing.
func (l *limits) check(f *filter) error {
	missing := ""
	switch {
	case l.shared && l.perStream:
		return conf.Causef("options of limits for one stream and of shared limits exclude each other")
	case l.shared && !l.key:
		missing = "key"
	case f.period == 0:
		missing = "default-period"
	case f.limit == 0:
		missing = "default-limit"
	default:
		return nil
	}
	return conf.Causef("<%s> option is missing", missing)
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
