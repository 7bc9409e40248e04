package cookie

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The third sign of the termination state (manual 8.5), 0 before anything was found.
const (
	invalid = 'I'
	down    = 'D'
	valid   = 'V'
	expired = 'E'
	old     = 'O'
	unused  = 'U'
)

// visits are the dates of the cookie that the client has sent.
var visits = slot.New[*stream.Stream, visit]()

type visit struct{ last, first int64 }

// tomorrow is how far in the future a date may be: clocks and zones differ.
const tomorrow = 86400

// request finds the server that the client's cookie names, and has the server see of
// the cookie what it is to.
func (l *line) request(st *stream.Stream) {
	h := &st.Req.Header
	for i := h.Next("cookie", 0); i >= 0; i = h.Next("cookie", i+1) {
		l.field(st, &h.Fields[i])
	}
}

// field is request, for one field. As long as there is another cookie in it, ours is
// cut out; otherwise the field goes. Attributes as of RFC 2109 ("$Path") go with
// the cookie before them.
func (l *line) field(st *stream.Stream, f *message.Field) {
	h := &st.Req.Header
	v := f.Value
	buf := h.Arena()
	e := edit{old: v, buf: buf, base: len(buf), same: true}
	from, others := -1, false // since where nothing is to be kept
	first := true
	for prev := 0; prev < len(v); first = false {
		p := pairAt(v, prev, first, true)
		prev = p.next
		if p.name < len(v) && v[p.name] == '$' {
			continue
		}
		ours := !p.bare() && string(v[p.name:p.nameEnd]) == l.name
		keep := 0 // from where the value is kept, if it is not kept whole
		if ours {
			keep = l.visit(st, v[p.value:p.valueEnd])
			if keep == 0 && l.mode == insert && l.indirect {
				if from < 0 {
					from = p.prev
				}
				continue
			}
		}
		if from >= 0 {
			e.skip(from, &p)
			from = -1
		}
		others = others || !ours || keep > 0
		if !p.bare() {
			e.tighten(&p)
		}
		if keep > 0 {
			e.cut(p.value, p.value+keep)
		}
	}
	switch {
	case from == 0, from > 0 && !others:
		*f = message.Field{}
		return
	case from > 0:
		e.cut(from, len(v))
	case e.same:
		return
	}
	if f.Value = e.value(); len(f.Value) == 0 {
		*f = message.Field{}
	}
	h.SetArena(e.buf)
}

// visit looks at a value of our cookie. It gives how much of it is not the server's
// to see.
func (l *line) visit(st *stream.Stream, v []byte) (hide int) {
	name := v
	late := byte(0)
	if l.mode == prefix {
		if at := bytes.IndexByte(v, '~'); at >= 0 {
			name, hide = v[:at], at+1
		}
	} else {
		var last, first int64
		name, last, first = dates(v)
		if last != 0 || first != 0 || visits.Of(st) != nil {
			now := st.Wall().Unix()
			d := visits.Make(st)
			if last != 0 {
				d.last = last
			}
			if first != 0 {
				d.first = first
			}
			switch {
			case outside(d.first, now, l.maxLife):
				late = old
			case outside(d.last, now, l.maxIdle):
				late = expired
			}
			if late != 0 {
				*d = visit{}
			}
		}
	}
	p := &st.Persist
	if late != 0 {
		p.Request = late
		return hide
	}
	if len(name) > 0 && !p.Ignored && p.Server == nil && l.find(st, name) {
		return hide
	}
	switch {
	case p.Request != 0:
	case p.Ignored || p.Server != nil:
		p.Request = unused
	default:
		p.Request = invalid
	}
	return hide
}

// outside tells whether a date is one that does not count.
func outside(t, now, most int64) bool {
	return t != 0 && most != 0 && (now-t > most || t-now > tomorrow)
}

// find looks for the server of a cookie. Several may share it: the first one that is
// not down has the client.
func (l *line) find(st *stream.Stream, name []byte) bool {
	key := secretOf(st.BE)
	p := &st.Persist
	for _, s := range st.BE.BE.Servers() {
		if c := valueOf(s, key); c == "" || c != string(name) {
			continue
		}
		isDown := s.Down()
		if isDown {
			p.Request = down
		}
		if st.MayBelong(s) {
			if !isDown {
				p.Request = valid
			}
			p.Server = s
			return true
		}
	}
	return false
}
