package compression

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// filter is a line "filter comp-req", "comp-res" or "compression", or what stands
// for the last one.
type filter struct {
	dirs  direction // 0: those of "compression direction"
	spare []spares  // links that are not in use, one list a reactor
}

type spares struct {
	list []*link
	_    [40]byte
}

// maxSpare is how many links a filter keeps for each reactor.
const maxSpare = 128

func newFilter(l *conf.Loading, dirs direction) *filter {
	return &filter{dirs: dirs, spare: make([]spares, max(l.Threads, 1))}
}

// Attach is of [stream.Filter].
func (f *filter) Attach(st *stream.Stream) stream.Link {
	if st.FE.Mode != stream.HTTP {
		return nil
	}
	s := &f.spare[st.R.Index%len(f.spare)]
	if n := len(s.list); n > 0 {
		l := s.list[n-1]
		s.list = s.list[:n-1]
		return l
	}
	l := &link{f: f}
	return l
}

// link is a filter's part in one stream.
type link struct {
	stream.Passing
	f        *filter
	looked   bool       // the request was looked at
	algo     *algorithm // for the response: what the client takes
	req, res source
}

// End is of [stream.Link].
func (l *link) End(st *stream.Stream) {
	l.req.end()
	l.res.end()
	l.looked, l.algo = false, nil
	if s := &l.f.spare[st.R.Index%len(l.f.spare)]; len(s.list) < maxSpare {
		s.list = append(s.list, l)
	}
}

// said is what the sections of a stream say; the backend's word comes first.
type said struct{ be, fe *settings }

func saidOf(st *stream.Stream) said { return said{sections.Of(st.BE), sections.Of(st.FE)} }

func (s said) algos() []*algorithm {
	if s.be != nil && s.be.algos != nil {
		return s.be.algos
	}
	if s.fe != nil {
		return s.fe.algos
	}
	return nil
}

func (s said) algoReq() *algorithm {
	if s.be != nil && s.be.algoReq != nil {
		return s.be.algoReq
	}
	if s.fe != nil {
		return s.fe.algoReq
	}
	return nil
}

func (s said) types(of int) []string {
	if s.be != nil && s.be.types[of] != nil {
		return s.be.types[of]
	}
	if s.fe != nil {
		return s.fe.types[of]
	}
	return nil
}

func (s said) minSize(of int) int64 {
	if s.be != nil && s.be.minSize[of] != 0 {
		return s.be.minSize[of]
	}
	if s.fe != nil {
		return s.fe.minSize[of]
	}
	return 0
}

func (s said) offload() bool { return s.be != nil && s.be.offload || s.fe != nil && s.fe.offload }

// does tells whether a direction is one of the filter's.
func (f *filter) does(s said, d direction) bool {
	dirs := f.dirs
	if dirs == 0 {
		if s.be != nil {
			dirs |= s.be.dirs
		}
		if s.fe != nil {
			dirs |= s.fe.dirs
		}
	}
	return dirs&d != 0
}

// Request is of [stream.Link].
func (l *link) Request(st *stream.Stream, body stream.Source) stream.Source {
	s := saidOf(st)
	if l.f.does(s, requests) && body != nil {
		body = l.request(st, s, body)
	}
	if l.f.does(s, responses) {
		l.look(st, s)
	}
	return body
}

// look finds what may be done with the response, while the request still says what
// the client takes.
func (l *link) look(st *stream.Stream, s said) {
	l.looked = true
	var asked bool
	if l.algo, asked = choose(&st.Req.Header, s.algos()); asked && s.offload() {
		st.Req.Del("accept-encoding")
	}
}

// request compresses the body of a request, if that is wanted and possible.
func (l *link) request(st *stream.Stream, s said, body stream.Source) stream.Source {
	h, a := &st.Req.Header, s.algoReq()
	if a == nil || h.Version < message.HTTP11 || !suits(h, s, ofRequests) || !l.req.begin(st, body, a, false) {
		return body
	}
	mark(h, a)
	return &l.req
}

// Response is of [stream.Link].
func (l *link) Response(st *stream.Stream, body stream.Source) stream.Source {
	if body == nil {
		return nil
	}
	s := saidOf(st)
	if !l.f.does(s, responses) {
		return body
	}
	if !l.looked { // answered by a service before it got here
		l.look(st, s)
	}
	h, a := &st.Res.Header, l.algo
	switch {
	case a == nil, outcomes.Value(st).algo != nil, // by another filter
		h.Version < message.HTTP11, st.Req.Version < message.HTTP11, st.Res.Status < 200, st.Res.Status > 203,
		hasPrefixFold(h.Get("content-type"), "multipart"), !suits(h, s, ofResponses):
		return body
	}
	kind, at := tagOf(h)
	if kind == invalid || !l.res.begin(st, body, a, true) {
		return body
	}
	outcomes.Make(st).algo = a
	mark(h, a)
	if kind == strong { // what it names is another sequence of bytes now
		h.Fields[at].Value = h.Join(weakly, h.Fields[at].Value)
	}
	if !hasElement(h, "vary", "accept-encoding") && !hasElement(h, "vary", "*") {
		h.AddString("vary", "Accept-Encoding")
	}
	return &l.res
}

var weakly = []byte("W/")

// suits tells whether a body may be compressed as far as its head is concerned.
func suits(h *message.Header, s said, of int) bool {
	switch h.Framing {
	case message.Length:
		if h.ContentLength < s.minSize(of) {
			return false
		}
	case message.Chunked:
	default:
		return false
	}
	return !h.Has("content-encoding") && !hasElement(h, "cache-control", "no-transform") && wanted(h.Get("content-type"), s.types(of))
}

// mark makes the head that of a body that is compressed.
func mark(h *message.Header, a *algorithm) {
	h.Framing, h.ContentLength = message.Chunked, -1
	if a != identity {
		h.AddString("content-encoding", a.token)
	}
}
