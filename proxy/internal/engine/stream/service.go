package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/message"

// Service answers requests inside the proxy: a [Reply], an exporter, a page. A
// rule sets [Stream.Service] and gives [Answer].
type Service interface {
	// Name is what logs have in place of the server, such as "<STATS>"; "" for what
	// they have when there is none.
	Name() string
	// Serve makes the head of the response in st.Res, which is that of a 200
	// without fields and of unknown length, and gives the body, nil if there is
	// none. It runs in the stream's coroutine. What the source makes is asked for
	// as the client takes it.
	Serve(st *Stream) Source
}

// Name is of [Service]: error pages and the like have none.
func (rep *Reply) Name() string { return "" }

// Serve is of [Service].
func (rep *Reply) Serve(st *Stream) Source {
	res := &st.Res
	res.Status = rep.Status
	res.Reason = res.CopyString(rep.Reason)
	res.Fields = append(res.Fields, rep.Fields...)
	res.Framing, res.ContentLength = message.Length, int64(len(rep.Body))
	if len(rep.Body) == 0 {
		return nil
	}
	st.own.p = rep.Body
	return &st.own
}
