package check

import (
	"cmp"
	"fmt"
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// outcome is how a check ended, in the terms of the statistics (manual of the
// statistics, "check_status").
type outcome struct {
	status string
	code   int // HTTP status, or what "status-code" says
	info   string
}

// kind classifies a status.
type kind uint8

const (
	failed kind = iota
	passed
	conditional
)

func (o outcome) kind() kind {
	switch o.status {
	case "L4OK", "L6OK", "L7OK":
		return passed
	case "L7OKC":
		return conditional
	}
	return failed
}

// probe is one check under way.
type probe struct {
	w    *stream.Worker
	r    *reactor.Reactor
	sc   *stream.Scope // nil: nobody asked for it, see scope
	srv  *server.Server
	px   *stream.Proxy
	set  *server.Settings
	own  *settings
	node string
	at   *step // that is gone through

	c      *stream.Client
	linger bool
	proto  string // that the rule forces, "": none

	buf    []byte            // what was received: bytes, or the body of the response
	n      int               // so many bytes of it
	res    *message.Response // its head, nil: it is not complete
	bad    bool              // it is none
	unread bool              // there may be more to read
	ended  bool              // there is not
}

// scope is what operations, expressions and formats are evaluated in.
func (p *probe) scope() *stream.Scope {
	if p.sc == nil {
		p.sc = &stream.Scope{W: p.w, R: p.r, Snap: p.w.Snapshot(), BE: p.px, Srv: p.srv, Check: &stream.Check{}}
	}
	p.sc.Check.Conn, p.sc.Check.Res, p.sc.Check.Data = p.c.Conn(), p.res, nil
	if !p.own.ofHTTP() {
		p.sc.Check.Data = p.buf[:p.n]
	}
	return p.sc
}

// run makes the check. It is the body of a coroutine; killed means that nothing
// is to be concluded.
func (p *probe) run() (out outcome, killed bool) {
	defer func() {
		if p.sc != nil {
			p.sc.Check.End(p.w)
		}
		p.close()
		if p.buf != nil {
			p.r.Release(p.buf)
		}
	}()
	rules := p.own.active()
	if len(rules.sequence) > 1 {
		p.buf = p.r.Buffer()
	}
	for i := 0; i < len(rules.sequence); i++ {
		p.at = &rules.sequence[i]
		p.operate(p.at.before)
		again := false
		switch p.at.kind {
		case connect:
			out, killed = p.connect(p.at, i)
		case send:
			out, killed = p.send(p.at)
		default:
			again, out, killed = p.expect(p.at)
		}
		if out.status != "" || killed {
			return out, killed
		}
		if again {
			i = p.at.first - 1
		}
	}
	p.operate(rules.pending)
	return p.passed(), false
}

// passed is the outcome when all that was to be done is done.
func (p *probe) passed() outcome {
	st, out := p.at, outcome{status: "L7OK"}
	switch {
	case p.gone():
		return outcome{status: "L7OKC", code: 404}
	case st.kind == connect && p.c.Conn().TLS != nil:
		out.status = "L6OK"
	case st.kind == connect:
		out.status = "L4OK"
	case st.kind == expects:
		out.status, out.code = cmp.Or(st.ok, out.status), p.code(st)
	}
	switch {
	case st.kind == expects && st.onSuccess != nil:
		out.info = string(st.onSuccess.Append(nil, p.scope()))
	case p.own.ofTCP() && (st.kind != connect || st.number > 0):
		out.info = "(tcp-check)"
	}
	return out
}

// gone tells whether the server says with 404 that it wants no more traffic ("http-check
// disable-on-404").
func (p *probe) gone() bool {
	return p.res != nil && p.res.Status == 404 && p.own.disable404 && p.srv.State().Op != server.Stopped
}

// code is the code of an expectation's outcome.
func (p *probe) code(st *step) int {
	if st.code != nil {
		if n, ok := p.number(st.code); ok {
			return int(n)
		}
	}
	if p.res != nil {
		return p.res.Status
	}
	return 0
}

// failed is the outcome of what is wrong with the connection, or of a timeout. Those of
// "tcp-check" tell where it was.
func (p *probe) failed(status, info string) (outcome, bool) {
	return outcome{status: status, info: info + p.place()}, false
}

// place tells where in the rules of "tcp-check" the check is, "" for others.
func (p *probe) place() string {
	st := p.at
	if !p.own.ofTCP() {
		return ""
	}
	if st.number == 0 {
		return " at initial connection step of tcp-check"
	}
	text := fmt.Sprintf(" at step %d of tcp-check ", st.number)
	switch {
	case st.kind == connect && st.port != 0:
		text += fmt.Sprintf("(connect port %d)", st.port)
	case st.kind == connect:
		text += "(connect)"
	case st.kind == send:
		text += "(send)"
	case st.awaited != "":
		text += "(expect " + st.awaited + ")"
	default:
		text += fmt.Sprintf("(expect %s '%s')", cmp.Or(st.failedOn, "string"), st.text.data)
	}
	if st.comment != "" {
		text += " comment: '" + st.comment + "'"
	}
	return text
}

// send is a "send" rule.
func (p *probe) send(st *step) (outcome, bool) {
	p.forgetResponse()
	if !p.own.ofHTTP() {
		b, err := st.payload.bytes(p.scope())
		if err != nil {
			return outcome{status: "L7RSP", info: fmt.Sprintf("tcp-check send : failed to build log-format string at step %d", st.number)}, false
		}
		return p.write(b, "L7TOUT")
	}
	state := ""
	if p.own.sendState {
		state = stateHeader(p.px, p.srv, p.node)
	}
	return p.ask(st, state)
}

// expect is an "expect" rule. again is true if it cannot be told yet.
func (p *probe) expect(st *step) (again bool, out outcome, killed bool) {
	if p.unread && !p.ended {
		err := p.receive()
		switch {
		case err == io.EOF, err != nil && err != reactor.ErrKilled && err != reactor.ErrTimeout && (p.n > 0 || p.res != nil):
			// A connection that broke when all was said is looked at no less.
			p.ended = true
		case err != nil:
			out, killed = p.broken(err, cmp.Or(st.late, "L7TOUT"))
			return false, out, killed
		}
	}
	p.unread = false
	if p.own.ofHTTP() {
		again, out = p.judgeResponse(st)
	} else {
		again, out = p.judgePayload(st)
	}
	p.unread = again
	return again, out, false
}

// judgePayload evaluates a rule on the bytes that have come.
func (p *probe) judgePayload(st *step) (again bool, out outcome) {
	all := p.ended || p.n == len(p.buf)
	if all && p.n == 0 {
		out := outcome{status: cmp.Or(st.bad, "L7RSP"), info: fmt.Sprintf("TCPCHK got an empty response at step %d", st.number)}
		if st.comment != "" {
			out.info += " comment: '" + st.comment + "'"
		}
		return false, out
	}
	met, again, err := p.meets(st, p.buf[:p.n], all)
	switch {
	case err != nil:
		return false, p.refused(st, "L7RSP", err.Error())
	case again, met:
		return again, out
	case !p.own.ofTCP():
		return false, p.refused(st, cmp.Or(st.bad, "L7RSP"), "")
	}
	info := ""
	if st.onError == nil {
		info = "TCPCHK did not match content"
		if st.not {
			info = "TCPCHK matched unwanted content"
		}
		if st.failedOn == "" {
			info += fmt.Sprintf(" '%s' at step %d", st.text.data, st.number)
		} else {
			info += fmt.Sprintf(" (%s) at step %d", st.failedOn, st.number)
		}
	}
	return false, p.refused(st, cmp.Or(st.bad, "L7RSP"), info)
}

// judgeResponse evaluates a rule on what has come of the response.
func (p *probe) judgeResponse(st *step) (again bool, out outcome) {
	switch {
	case p.bad, p.res == nil && p.ended:
		return false, p.refused(st, "L7RSP", "")
	case p.res == nil:
		return true, out
	case p.gone():
		return false, out
	case st.what == content || st.what == rcontent:
		return p.judgeBody(st, p.buf[:p.n])
	}
	matched, err := st.matchesHead(p.scope(), p.res)
	switch {
	case err != nil:
		return false, p.refused(st, "L7RSP", err.Error())
	case matched != st.not:
		return false, out
	}
	info := ""
	if st.onError == nil {
		info = string(p.res.Reason)
	}
	return false, p.refused(st, cmp.Or(st.bad, "L7STS"), info)
}

// judgeBody evaluates a rule about the body.
func (p *probe) judgeBody(st *step, body []byte) (again bool, out outcome) {
	all := p.ended || p.n == len(p.buf)
	fail := func(info string) outcome {
		if st.onError != nil {
			info = ""
		}
		return p.refused(st, cmp.Or(st.bad, "L7RSP"), info)
	}
	switch {
	case len(body) == 0 && all:
		return false, fail("HTTP content check could not find a response body")
	case len(body) == 0:
		return true, out
	}
	met, again, err := p.meets(st, body, all)
	switch {
	case err != nil:
		return false, p.refused(st, "L7RSP", err.Error())
	case again, met:
		return again, out
	case st.not:
		return false, fail("HTTP check matched unwanted content")
	}
	return false, fail("HTTP content check did not match")
}

// meets evaluates a rule on bytes, of which all have come or again tells to wait for
// more.
func (p *probe) meets(st *step, got []byte, all bool) (met, again bool, err error) {
	if !all && (len(got) < len(st.text.data) || len(got) < st.minRecv) {
		return false, true, nil
	}
	matched, err := st.matchesText(p.scope(), got)
	if err != nil {
		return false, false, err
	}
	return matched != st.not, !matched && !all && st.minRecv < 0, nil
}

// refused is the outcome of a rule that was not met.
func (p *probe) refused(st *step, status, info string) outcome {
	if info == "" && st.onError != nil {
		info = string(st.onError.Append(nil, p.scope()))
	}
	if st.comment != "" {
		info += " comment: " + st.comment
	}
	return outcome{status: status, code: p.code(st), info: info}
}
