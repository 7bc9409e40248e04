package check

import (
	"cmp"
	"io"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/feature/proxyproto"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/feature/ssl"
	"github.com/forebay-lb/forebay/proxy/internal/pki/tlserr"
)

// This file is the connection of a check: how it is made, and bytes to and from the
// server. What they mean is the business of the rules.

// close ends the connection, with a RST unless the rule says to linger: the
// server learns at once that nothing else comes, and no TIME_WAIT stays behind.
func (p *probe) close() { p.c.Close(!p.linger) }

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
		to.Port = cmp.Or(p.portOf(st), st.addr.Port, uint16(p.set.Check.Port), own.Port, srv.Port)
	}
	return to
}

// portOf is the port that the rule says, 0: none.
func (p *probe) portOf(st *step) uint16 {
	if st.portExpr == nil {
		return uint16(st.port)
	}
	if n, ok := p.number(st.portExpr); ok && n > 0 && n < 1<<16 {
		return uint16(n)
	}
	return 0
}

// number evaluates an expression as a number.
func (p *probe) number(e *sample.Expr) (int64, bool) {
	v := sample.Borrow(p.scope())
	defer v.Return(p.scope())
	if !e.Eval(p.scope(), v) {
		return 0, false
	}
	return v.Number()
}

// connect opens the connection of a step, number i of the sequence.
func (p *probe) connect(st *step, i int) (outcome, bool) {
	p.close()
	p.linger, p.proto = st.linger, st.proto
	p.forgetResponse()
	to := p.target(st)
	if !to.IsValid() || !to.IsUnix() && to.Port == 0 {
		return p.failed("SOCKERR", "no port to connect to")
	}
	now := p.r.Now()
	p.c.Deadline = now + int64(p.set.Check.Inter)
	limit := p.px.Timeouts
	if limit.Check > 0 && limit.Connect > 0 {
		p.c.Deadline = min(p.c.Deadline, now+int64(limit.Connect))
	}
	switch err := p.c.Connect(to, p.set.Source, p.c.Deadline); err {
	case nil:
	case reactor.ErrKilled:
		return outcome{}, true
	case reactor.ErrTimeout:
		return p.failed("L4TOUT", "")
	default:
		return p.failed(notConnected(err), reason(err))
	}
	if pre := p.preamble(st); pre != nil {
		from := p.c.Conn().Local()
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
		p.c.Deadline = p.r.Now() + int64(limit.Check)
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
	if k := ssl.ChecksUnderTLS.Of(p.set); name == "" && k != nil && k.NameOfHost && st.asksFor != nil {
		name = hostName(st.asksFor, p.scope())
	}
	p.c.Conn().Client(s.Config(name))
	err := p.c.Conn().Handshake(p.c.Deadline)
	switch {
	case err == nil:
		return outcome{}, false
	case err == reactor.ErrKilled:
		return outcome{}, true
	case err == reactor.ErrTimeout:
		return p.failed("L6TOUT", "")
	case err == io.EOF:
		return p.failed("L6RSP", "SSL handshake failure (the server closed the connection)")
	}
	switch r := tlserr.OfServer(err); r.ID {
	case tlserr.WrongHost, tlserr.WrongName:
		return p.failed("L6RSP", sample.ConnErrorText(r.ID))
	}
	return p.failed("L6RSP", "SSL handshake failure ("+err.Error()+")")
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

// notConnected is the status of a connection that failed. What the machine itself
// lacks says nothing about the server's own state, hence the other status.
func notConnected(err error) string {
	switch err {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE:
		return "SOCKERR"
	}
	return "L4CON"
}

// reason gives an error in the words of the C library, as logs of HAProxy have
// it.
func reason(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// write sends all of b; late is the status when time is up.
func (p *probe) write(b []byte, late string) (outcome, bool) {
	for conn := p.c.Conn(); ; {
		n, err := conn.TryWrite(b, 0)
		b = b[n:]
		done := false
		if err == nil && len(b) == 0 {
			done, err = conn.Flushed()
		}
		if err == nil && !done {
			err = conn.WaitWrite(p.c.Deadline)
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
		return p.failed(late, "")
	}
	if err == reactor.ErrClosed {
		err = syscall.EPIPE // the server had closed it before
	}
	return p.failed("SOCKERR", reason(err))
}

// receive reads more of what the server sends.
func (p *probe) receive() error {
	if p.own.ofHTTP() {
		return p.receiveHTTP()
	}
	n, err := p.c.Conn().Read(p.buf[p.n:], p.c.Deadline)
	p.n += n
	return err
}

// forgetResponse makes room for the next one.
func (p *probe) forgetResponse() {
	p.n, p.res, p.bad, p.ended, p.unread = 0, nil, false, false, true
}
