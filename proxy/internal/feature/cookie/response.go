package cookie

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The fourth sign of the termination state (manual 8.5), 0 before anything was done.
const (
	provided  = 'P'
	deleted   = 'D'
	inserted  = 'I'
	rewritten = 'R'
	updated   = 'U'
)

// response does with the server's cookie what the line says, and tells the client of
// its server if it does not know.
func (l *line) response(st *stream.Stream) {
	s := st.Srv
	if s == nil {
		return
	}
	p := &st.Persist
	value := valueOf(s, secretOf(st.BE))
	h := &st.Res.Header
	if !p.Ignored {
		for i := h.Next("set-cookie", 0); i >= 0; i = h.Next("set-cookie", i+1) {
			l.setCookie(st, &h.Fields[i], value, false)
		}
		for i := h.Next("set-cookie2", 0); i >= 0; i = h.Next("set-cookie2", i+1) {
			l.setCookie(st, &h.Fields[i], value, true)
		}
	}
	if l.mode != insert || l.preserve && p.Response == provided || p.Ignored || l.postonly && st.Req.Method != message.Post {
		return
	}
	d := visits.Value(st)
	now := st.Wall().Unix()
	switch known := p.Server != nil; {
	case !known,
		(l.maxIdle != 0 || d.last != 0) && d.last < now, // to be refreshed
		l.maxLife != 0 && d.first == 0, l.maxLife == 0 && d.first != 0:
	default:
		return
	}
	buf := h.Arena()
	n := len(buf)
	if value == "" {
		buf = append(buf, l.gone...)
	} else {
		buf = append(append(buf, l.begin...), value...)
		if l.maxIdle != 0 || l.maxLife != 0 {
			buf = appendDate(append(buf, '|'), now+3)
			if l.maxLife != 0 {
				if d.first == 0 {
					d.first = now + 3
				}
				buf = appendDate(append(buf, '|'), d.first)
			}
		}
		buf = append(buf, l.end...)
	}
	h.SetArena(buf)
	h.Add(setCookie, buf[n:len(buf):len(buf)])
	p.Response = inserted
	if value != "" && p.Server != nil {
		p.Response = updated
	}
	if l.nocache && cacheable(st) {
		h.Add(cacheControl, private)
	}
}

// What is never changed need not be copied.
var (
	setCookie    = []byte("set-cookie")
	cacheControl = []byte("cache-control")
	private      = []byte("private")
)

// setCookie is response, for one field that sets cookies: several, if it is a
// Set-Cookie2, whose attributes stand behind each.
func (l *line) setCookie(st *stream.Stream, f *message.Field, value string, lists bool) {
	h := &st.Res.Header
	v := f.Value
	p := &st.Persist
	buf := h.Arena()
	e := edit{old: v, buf: buf, base: len(buf), same: true}
	from := -1
	first := true
	for prev := 0; prev < len(v); first = false {
		c := pairAt(v, prev, first, lists)
		end := len(v)
		if lists {
			end = skipTo(v, c.next, ',', ',')
		}
		prev = end
		if !c.bare() && string(v[c.name:c.nameEnd]) == l.name {
			p.Response = provided
			switch {
			case l.preserve:
			case l.mode == insert, l.indirect && p.Server != nil:
				p.Response = deleted
				if from < 0 {
					from = c.prev
				}
				continue
			}
		}
		if from >= 0 {
			e.skip(from, &c)
			from = -1
		}
		if c.bare() {
			continue
		}
		e.tighten(&c)
		if p.Response != provided || l.preserve || value == "" || string(v[c.name:c.nameEnd]) != l.name {
			continue
		}
		switch l.mode {
		case rewrite:
			e.put(c.value, value)
			e.cut(c.value, c.valueEnd)
			p.Response = rewritten
		case prefix:
			e.put(c.value, value)
			e.put(c.value, "~")
			p.Response = rewritten
		}
	}
	switch {
	case from == 0:
		*f = message.Field{}
		return
	case from > 0:
		e.cut(from, len(v))
		e.trim()
	case e.same:
		return
	}
	f.Value = e.value()
	h.SetArena(e.buf)
}

// cacheable tells whether a cache may keep the response (RFC 9111 3): if so, all its
// clients would get the cookie.
func cacheable(st *stream.Stream) bool {
	is := false
	switch st.Req.Method {
	case message.Get, message.Head, message.Options, message.Trace:
		switch st.Res.Status {
		case 200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501:
			is = true
		}
	}
	h := &st.Res.Header
	is = is && !message.EqualFold(h.Get("pragma"), "no-cache")
	fresh, noAge := false, false
	for i := h.Next("cache-control", 0); i >= 0; i = h.Next("cache-control", i+1) {
		for v := h.Fields[i].Value; len(v) > 0; {
			end := skipTo(v, 0, ',', ',')
			word := bytes.Trim(v[:end], " \t")
			v = v[min(end+1, len(v)):]
			switch {
			case message.EqualFold(word, "public"):
				is = true
			case message.EqualFold(word, "max-age=0"):
				noAge = true
			case message.EqualFold(word, "private"), message.EqualFold(word, "no-cache"), message.EqualFold(word, "no-store"), message.EqualFold(word, "s-maxage=0"):
				is = false
			case begins(word, "s-maxage"):
				fresh, noAge = true, false
			case begins(word, "max-age"):
				fresh = true
			}
		}
	}
	return is && !noAge && (fresh || h.Has("expires") || h.Has("etag") || h.Has("last-modified"))
}

func begins(b []byte, s string) bool { return len(b) >= len(s) && message.EqualFold(b[:len(s)], s) }
