package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// Filter is what a line "filter" of a proxy, or a keyword that stands for one,
// puts in the way of the data of its streams.
type Filter interface {
	// Attach gives the filter's part in a stream that enters its proxy, nil if it
	// has none.
	Attach(st *Stream) Link
}

// Link is a filter's part in one stream: a link between source and sink. Links
// stand in the order of the configuration, the frontend's first, in both
// directions, unless "filter-sequence" says otherwise of one. All methods run on the stream's reactor; those that are given a
// source run on its coroutine, and may wait.
//
// A link gives the source that the next one, or the sink, takes its data from: the
// one it was given, or one of its own before that. That may change, add and drop
// data, and hold it back: its Next gives nothing then, and its Wait waits for
// whatever it needs. Whoever changes a body's length sets the framing of the head.
type Link interface {
	// Request sees the head st.Req, which it may change, and what comes of the body:
	// nil if there is none. Rules are done with it, and no server has been asked.
	Request(st *Stream, body Source) Source
	// Response is the same of st.Res: the server's, or that of a [Service], after
	// all rules.
	Response(st *Stream, body Source) Source
	// Tunnel sees what comes through a connection of mode tcp, or after an upgrade
	// or CONNECT, from one side.
	Tunnel(st *Stream, data Source, fromClient bool) Source
	// End tells that the exchange is over: st.Term says how. Nothing is called
	// after it.
	End(st *Stream)
}

// Passing is a [Link] that lets all pass: embed it, and write what differs.
type Passing struct{}

// Request is of [Link].
func (Passing) Request(_ *Stream, body Source) Source { return body }

// Response is of [Link].
func (Passing) Response(_ *Stream, body Source) Source { return body }

// Tunnel is of [Link].
func (Passing) Tunnel(_ *Stream, data Source, _ bool) Source { return data }

// End is of [Link].
func (Passing) End(*Stream) {}

// attached is a link of a stream, and whose it is.
type attached struct {
	Link
	filter Filter
	// turn are the numbers of the links whose turn it is here: with requests, and
	// what the client sends, and with responses. -1: none.
	turn [2]int
}

// Directions of data, for the order of filters.
const (
	towardsServer = iota
	towardsClient
)

// attach has the filters of a proxy take part in the stream.
func (st *Stream) attach(p *Proxy) {
	first := len(st.links)
	for _, f := range p.Filters {
		if l := f.Attach(st); l != nil {
			n := len(st.links)
			st.links = append(st.links, attached{l, f, [2]int{n, n}})
		}
	}
	for direction, order := range p.FilterOrder {
		if order != nil {
			arrange(st.links, first, direction, order)
		}
	}
}

// arrange sets whose turn it is among links from number first on.
func arrange(links []attached, first, direction int, order []Filter) {
	at := first
	for _, f := range order {
		for n := first; n < len(links); n++ {
			if links[n].filter == f {
				links[at].turn[direction] = n
				at++
			}
		}
	}
	for ; at < len(links); at++ {
		links[at].turn[direction] = -1
	}
}

// Link is the part that a filter has in the stream, nil if it has none.
func (st *Stream) Link(f Filter) Link {
	for i := range st.links {
		if st.links[i].filter == f {
			return st.links[i].Link
		}
	}
	return nil
}

// detach ends the part of the filters in the stream.
func (st *Stream) detach() {
	links := st.links
	st.links = links[:0]
	for i := range links {
		links[i].End(st)
	}
	clear(links)
}

// filters is the phase of that name: the filters see the request before it is sent,
// if it is one that servers are sent.
func (st *Stream) filters() step {
	switch {
	case st.client.revoked():
		st.clientLeft('R') // rules have seen it, and it is logged: the server is spared
		return stop
	case st.extended && (http1.HasElement(st.Req.Upgrade, "h2c") || http1.HasElement(st.Req.Upgrade, "h2")):
		st.ErrText = "extended CONNECT for HTTP/2" // which HTTP/1 does not ask a server for either
		st.fail(501, 'P', 'R')
		return stop
	}
	st.reqData = st.reqBody
	if len(st.links) == 0 {
		return next
	}
	st.filtered = true
	if st.Req.Framing == message.Tunnel {
		st.filterRequest(nil)
	} else {
		st.reqData = st.filterRequest(st.reqBody)
	}
	return next
}

// filterRequest shows the request to the filters, and gives the body that they make
// of it.
func (st *Stream) filterRequest(body Source) Source {
	for i := range st.links {
		if n := st.links[i].turn[towardsServer]; n >= 0 {
			body = st.links[n].Request(st, body)
		}
	}
	return body
}

// filterResponse is the same for the response.
func (st *Stream) filterResponse(body Source) Source {
	for i := range st.links {
		if n := st.links[i].turn[towardsClient]; n >= 0 {
			body = st.links[n].Response(st, body)
		}
	}
	return body
}

// filterTunnel is the same for a direction of a tunnel.
func (st *Stream) filterTunnel(data Source, fromClient bool) Source {
	direction := towardsClient
	if fromClient {
		direction = towardsServer
	}
	for i := range st.links {
		if n := st.links[i].turn[direction]; n >= 0 {
			data = st.links[n].Tunnel(st, data, fromClient)
		}
	}
	return data
}
