package capture

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// declared is a place for one captured value.
type declared struct {
	name string // of the field, in lower case; "": rules fill it
	max  int
	// by is the section whose rule has declared the place for itself: nobody else's
	// rules may take theirs for it.
	by string
}

// layout is what a frontend keeps of exchanges. It does not change once the
// configuration was read.
type layout struct {
	req, res  []declared
	cookie    string // the beginning of its name; "": none
	cookieMax int
	refers    []reference

	places []place // req, res, and the cookies of both
	size   int
}

// reference is a rule that fills a place by its number.
type reference struct {
	side side
	n    int
	pos  config.Pos
}

func (l *layout) refer(r reference) { l.refers = append(l.refers, r) }

// place is where a value is in the block of an exchange.
type place struct{ at, max int }

var layouts = slot.New[*stream.Proxy, layout]()

// Clone gives a section made from defaults its own lists.
func (l *layout) Clone() *layout {
	c := *l
	c.req, c.res, c.refers = slices.Clone(l.req), slices.Clone(l.res), slices.Clone(l.refers)
	return &c
}

// side is the request or the response.
type side bool

const (
	request  side = false
	response side = true
)

// list is what is declared for a side.
func (l *layout) list(s side) *[]declared {
	if s == response {
		return &l.res
	}
	return &l.req
}

// add declares a place and gives its number.
func (l *layout) add(s side, d declared) int {
	list := l.list(s)
	*list = append(*list, d)
	return len(*list) - 1
}

// index is the number of a value in the block, of the one with a number on its side.
func (l *layout) index(s side, n int) int {
	if s == response {
		n += len(l.req)
	}
	return n
}

// cookieIndex is the number of a cookie's value in the block.
func (l *layout) cookieIndex(s side) int {
	n := len(l.req) + len(l.res)
	if s == response {
		n++
	}
	return n
}

// freeze gives everything its place.
func (l *layout) freeze() {
	l.places, l.size = nil, 0
	add := func(n int) {
		l.places = append(l.places, place{l.size, n})
		l.size += n
	}
	for _, d := range l.req {
		add(d.max)
	}
	for _, d := range l.res {
		add(d.max)
	}
	if l.cookie != "" {
		add(l.cookieMax)
		add(l.cookieMax)
	}
}

// values are what an exchange has captured.
type values struct {
	l    *layout
	lens []int // -1: there is none
	data []byte
}

var kept = slot.New[*stream.Stream, values]()

// maxKept is how large a block may be that is kept for the next exchange.
const maxKept = 16 << 10

// Reset forgets an exchange, and keeps its memory ([slot.Resetter]).
func (v *values) Reset() {
	v.l = nil
	if cap(v.data) > maxKept {
		v.data = nil
	}
}

// of gives the values of an exchange, nil if its frontend keeps none.
func of(st *stream.Stream) *values {
	l := layouts.Of(st.FE)
	if l == nil || len(l.places) == 0 {
		return nil
	}
	v := kept.Make(st)
	if v.l == nil {
		v.begin(l)
	}
	return v
}

func (v *values) begin(l *layout) {
	v.l = l
	if cap(v.data) < l.size {
		v.data = make([]byte, l.size)
	}
	v.data = v.data[:l.size]
	if cap(v.lens) < len(l.places) {
		v.lens = make([]int, len(l.places))
	}
	v.lens = v.lens[:len(l.places)]
	for i := range v.lens {
		v.lens[i] = -1
	}
}

// set keeps as much of b as there is place for. Like a text of C's it ends at a NUL.
func (v *values) set(i int, b []byte) {
	p := v.l.places[i]
	n := copy(v.data[p.at:p.at+p.max], b)
	for k, c := range v.data[p.at : p.at+n] {
		if c == 0 {
			n = k
			break
		}
	}
	v.lens[i] = n
}

// get gives a value, nil if there is none.
func (v *values) get(i int) []byte {
	n := v.lens[i]
	if n < 0 {
		return nil
	}
	at := v.l.places[i].at
	return v.data[at : at+n : at+n]
}

// value gives a value by its side and number, nil if there is none.
func value(st *stream.Stream, s side, n int) []byte {
	v := of(st)
	if v == nil || n < 0 || n >= len(*v.l.list(s)) {
		return nil
	}
	return v.get(v.l.index(s, n))
}
