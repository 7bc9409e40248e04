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

// answering tells whether the proxy answers by itself.
func (st *Stream) answering() bool { return st.Reply != nil || st.Service != nil }

// answer sends our own answer to the client and tells whether the connection may
// be used again.
func (st *Stream) answer() (keep bool) {
	rep, svc := st.Reply, st.Service
	if rep != nil {
		svc = rep
		if rep.Silent {
			st.Status = rep.For
			return false
		}
	}
	st.bodies = true
	res := &st.Res
	res.Reset()
	res.Version, res.Status, res.Framing = message.HTTP11, 200, message.Chunked
	body := svc.Serve(st)
	status := res.Status
	if status < 200 || status == 204 || status == 304 {
		res.Framing, res.ContentLength, body = message.NoBody, -1, nil
	}
	st.HasResponse = true
	if st.HasRequest { // what answers no request is not of the rules' concern (manual 4.2)
		st.afterRules()
	}
	if rep == nil {
		body = st.filterResponse(body)
	}
	if st.headOnly {
		body = nil
	}
	st.Status = res.Status
	if rep != nil && rep.For != 0 && res.Status == status {
		st.Status = rep.For
	}
	keep = st.client.begin(body, st.HasRequest && !(rep != nil && rep.Close))
	t := &st.download
	if t.run(); !t.failed() {
		return keep
	}
	if t.werr != nil {
		st.end('C', 'D')
	} else {
		st.end('I', 'D')
		st.client.cut()
	}
	return false
}
