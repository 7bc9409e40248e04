package check

import (
	"cmp"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/transport"
	"github.com/forebay-lb/forebay/proxy/internal/feature/proxyproto"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/pki/tlserr"
)

// outcome is how a check ended, in the terms of the statistics (manual of the
// statistics, "check_status").
type outcome struct {
	status string
	code   int // HTTP status, 0: none
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
	w        *stream.Worker
	r        *reactor.Reactor
	scope    *stream.Scope // of operations, nil: there was none
	srv      *server.Server
	px       *stream.Proxy
	set      *server.Settings
	own      *settings
	node     string
	conn     transport.Conn
	deadline int64
	linger   bool

	buf      []byte
	n        int // bytes received
	res      message.Response
	head     int // length of the head, 0: not complete
	ended    bool
	method   message.Method
	received bool // a response was read since the last request
	h2       *h2  // of a connection that speaks HTTP/2
}

// Readable is not called: a coroutine always waits, or nothing matters.
func (p *probe) Readable() {}

// run makes the check. It is the body of a coroutine; killed means that nothing
// is to be concluded.
func (p *probe) run() (out outcome, killed bool) {
	defer p.close()
	if p.own != nil && p.own.hello {
		return p.runHello()
	}
	if p.own == nil || !p.own.on {
		if out, killed = p.connect(&step{kind: connect, defaults: true}, 0); out.status != "" || killed {
			return out, killed
		}
		if p.conn.TLS != nil {
			return outcome{status: "L6OK"}, false
		}
		return outcome{status: "L4OK"}, false
	}
	defer p.forget()
	p.buf = p.r.Buffer()
	defer func() { p.r.Release(p.buf) }()
	for i := range p.own.sequence {
		st := &p.own.sequence[i]
		p.operate(st.before)
		switch st.kind {
		case connect:
			out, killed = p.connect(st, i)
		case send:
			out, killed = p.send(st)
		default:
			out, killed = p.expect(st)
		}
		if out.status != "" || killed {
			return out, killed
		}
	}
	p.operate(p.own.pending)
	last := &p.own.sequence[len(p.own.sequence)-1]
	out = outcome{status: "L7OK", code: p.res.Status}
	if last.ok != "" {
		out.status = last.ok
	}
	return out, false
}

// close ends the connection, with a RST unless the rule says to linger: the
// server learns at once that nothing else comes, and no TIME_WAIT stays behind.
func (p *probe) close() {
	p.h2.free()
	p.h2 = nil
	if p.linger {
		p.conn.Close()
	} else {
		p.conn.Abort()
	}
}

// target is the address to connect to (manual, "addr" and "port" of server
// lines).
func (p *probe) target(st *step) reactor.Addr {
	srv, own := *p.srv.Addr(), p.set.Check.Addr
	to := srv
	switch {
	case st.addr.IsValid():
		to = st.addr
	case own.IsValid():
		to = own
	}
	if !to.IsUnix() {
		to.Port = cmp.Or(uint16(st.port), st.addr.Port, uint16(p.set.Check.Port), own.Port, srv.Port)
	}
	return to
}

// connect opens the connection of a step, number i of the sequence.
func (p *probe) connect(st *step, i int) (outcome, bool) {
	if p.conn.IsOpen() {
		p.close()
	}
	p.linger = st.linger
	p.n, p.head, p.received, p.ended = 0, 0, false, false
	to := p.target(st)
	if !to.IsValid() || !to.IsUnix() && to.Port == 0 {
		return outcome{status: "SOCKERR", info: "no port to connect to"}, false
	}
	now := p.r.Now()
	p.deadline = now + int64(p.set.Check.Inter)
	limit := p.px.Timeouts
	if limit.Check > 0 && limit.Connect > 0 {
		p.deadline = min(p.deadline, now+int64(limit.Connect))
	}
	switch err := stream.Connect(p.r, &p.conn.FD, p, to, p.set.Source, p.deadline); err {
	case nil:
	case reactor.ErrKilled:
		return outcome{}, true
	case reactor.ErrTimeout:
		return outcome{status: "L4TOUT"}, false
	default:
		return notConnected(err), false
	}
	if pre := p.preamble(st); pre != nil {
		from := p.conn.Local()
		if out, killed := p.write(pre.AppendOwn(nil, from, to), "L4TOUT"); out.status != "" || killed {
			return out, killed
		}
	}
	if s := p.security(st, i); s != nil {
		if out, killed := p.secure(s, st); out.status != "" || killed {
			return out, killed
		}
	}
	if limit.Check > 0 {
		p.deadline = p.r.Now() + int64(limit.Check)
	}
	return outcome{}, false
}

// security is how the connection of a step is secured, nil: in clear.
func (p *probe) security(st *step, i int) *ssl.Upstream {
	if s := lineOf(p.set).rules[i]; s != nil {
		return s
	}
	if k := ssl.ChecksUnderTLS.Of(p.set); k != nil && st.defaults {
		return k.Upstream
	}
	return nil
}

// secure makes the connection secure.
func (p *probe) secure(s *ssl.Upstream, st *step) (outcome, bool) {
	name := s.Name(nil)
	if k := ssl.ChecksUnderTLS.Of(p.set); name == "" && k != nil && k.NameOfHost && st.host != "" {
		name = st.host
	}
	p.conn.Client(s.Config(name))
	err := p.conn.Handshake(p.deadline)
	switch {
	case err == nil:
		return outcome{}, false
	case err == reactor.ErrKilled:
		return outcome{}, true
	case err == reactor.ErrTimeout:
		return outcome{status: "L6TOUT"}, false
	case err == io.EOF:
		return outcome{status: "L6RSP", info: "SSL handshake failure (the server closed the connection)"}, false
	}
	switch r := tlserr.OfServer(err); r.ID {
	case tlserr.WrongHost, tlserr.WrongName:
		return outcome{status: "L6RSP", info: sample.ConnErrorText(r.ID)}, false
	}
	return outcome{status: "L6RSP", info: "SSL handshake failure (" + err.Error() + ")"}, false
}

// preamble is what the connection begins with, nil: nothing.
func (p *probe) preamble(st *step) *proxyproto.Sender {
	own := proxyproto.ForChecks.Of(p.set)
	switch {
	case st.defaults && own != nil:
		return *own
	case !st.proxy:
		return nil
	}
	if of := proxyproto.SenderOf(p.set); of != nil {
		return of
	}
	return proxyproto.V1
}

// notConnected is the outcome of a connection that failed. What the machine
// itself lacks says nothing about the server's own state, hence the other
// status.
func notConnected(err error) outcome {
	out := outcome{status: "L4CON", info: reason(err)}
	switch err {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE:
		out.status = "SOCKERR"
	}
	return out
}

// reason gives an error in the words of the C library, as logs of HAProxy have
// it.
func reason(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func (p *probe) send(st *step) (outcome, bool) {
	state := ""
	if p.own.sendState {
		state = stateHeader(p.px, p.srv, p.node)
	}
	p.n, p.head, p.received, p.ended = 0, 0, false, false
	p.method = message.MethodOf([]byte(st.method))
	req := st.request.bytes(state)
	if p.speaksH2() {
		return p.sendH2(req, len(req)-len(st.request.body))
	}
	return p.write(req, "L7TOUT")
}

// write sends all of b; late is the status when time is up.
func (p *probe) write(b []byte, late string) (outcome, bool) {
	for {
		n, err := p.conn.TryWrite(b, 0)
		b = b[n:]
		done := false
		if err == nil && len(b) == 0 {
			done, err = p.conn.Flushed()
		}
		if err == nil && !done {
			err = p.conn.WaitWrite(p.deadline)
		}
		if err != nil {
			return p.broken(err, late)
		}
		if done {
			return outcome{}, false
		}
	}
}

// broken is the outcome of an error after the connection was made.
func (p *probe) broken(err error, late string) (outcome, bool) {
	switch {
	case err == reactor.ErrKilled:
		return outcome{}, true
	case err == reactor.ErrTimeout:
		return outcome{status: late}, false
	}
	return outcome{status: "SOCKERR", info: reason(err)}, false
}

var errInvalid = errors.New("not a response")

func (p *probe) expect(st *step) (outcome, bool) {
	late := "L7TOUT"
	if st.late != "" {
		late = st.late
	}
	for {
		content, err := p.parse()
		if err != nil {
			return outcome{status: "L7RSP"}, false
		}
		if p.head != 0 {
			if p.res.Status == 404 && p.own.disable404 && p.srv.State().Op != server.Stopped {
				return outcome{status: "L7OKC", code: 404}, false
			}
			if out, sure := p.judge(st, content); sure {
				return out, false
			}
		}
		if p.ended {
			return outcome{status: "L7RSP"}, false
		}
		err = p.receive()
		switch {
		case err == io.EOF:
			p.ended = true
		case err != nil:
			return p.broken(err, late)
		}
	}
}

// receive reads more of the response.
func (p *probe) receive() error {
	if p.h2 != nil {
		return p.receiveH2()
	}
	n, err := p.conn.Read(p.buf[p.n:], p.deadline)
	p.n += n
	return err
}

// judge evaluates the rule on what was received so far. An outcome without a
// status lets the sequence go on; sure is false when more is needed.
func (p *probe) judge(st *step, content []byte) (out outcome, sure bool) {
	all := p.ended || p.n == len(p.buf) || p.complete(content)
	fail := outcome{status: "L7STS", code: p.res.Status, info: string(p.res.Reason)}
	if st.ofBody() {
		fail = outcome{status: "L7RSP"}
		if st.minRecv > len(content) && !all {
			return out, false
		}
		if all && len(content) == 0 {
			fail.info = "HTTP content check could not find a response body"
			return p.refused(st, fail), true
		}
	}
	switch matched := st.matches(&p.res, content); {
	case matched != st.not && (st.ofBody() && st.not && !all && st.minRecv < 0):
		return out, false // unwanted content may still come
	case matched != st.not:
		return out, true
	case st.ofBody() && !st.not && !all && st.minRecv < 0:
		return out, false
	case st.ofBody() && st.not:
		fail.info = "HTTP check matched unwanted content"
	case st.ofBody():
		fail.info = "HTTP content check did not match"
	}
	return p.refused(st, fail), true
}

// refused completes the outcome of a rule that was not met.
func (p *probe) refused(st *step, out outcome) outcome {
	if st.bad != "" {
		out.status, out.code = st.bad, p.res.Status
	}
	if st.comment != "" {
		out.info += " comment: " + st.comment
	}
	return out
}

// parse reads the head once it is complete, and gives the body as far as it was
// received.
func (p *probe) parse() (content []byte, err error) {
	if p.h2 != nil {
		return p.parseH2()
	}
	for p.head == 0 {
		n, err := http1.ParseResponse(p.buf[:p.n], &p.res, p.method, nil)
		switch {
		case err != nil:
			return nil, err
		case n == 0 && p.n == len(p.buf):
			return nil, errInvalid
		case n == 0:
			return nil, nil
		case p.res.Status < 200 && p.res.Status != 101: // an interim one
			p.n = copy(p.buf, p.buf[n:p.n])
		default:
			p.head = n
		}
	}
	raw := p.buf[p.head:p.n]
	switch p.res.Framing {
	case message.NoBody:
		return nil, nil
	case message.Length:
		return raw[:min(int64(len(raw)), p.res.ContentLength)], nil
	case message.Chunked:
		return p.chunks(raw)
	}
	return raw, nil
}

// chunks decodes a chunked body from its start: at most one buffer, and checks
// are rare.
func (p *probe) chunks(raw []byte) ([]byte, error) {
	var c http1.Chunks
	out := make([]byte, 0, len(raw))
	for {
		data, n, done, err := c.Next(raw, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, data...)
		raw = raw[n:]
		if done {
			p.ended = true
		}
		if done || n == 0 {
			return out, nil
		}
	}
}

// complete tells whether the body was received as a whole.
func (p *probe) complete(content []byte) bool {
	switch p.res.Framing {
	case message.NoBody:
		return true
	case message.Length:
		return int64(len(content)) == p.res.ContentLength
	}
	return false
}
