package rule

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterAction(
		Action{Name: "accept", In: Connection | Session | RequestContent | ResponseContent, Parse: verdict(stream.Stop), Final: true},
		Action{Name: "reject", In: Connection | Session | RequestContent | ResponseContent, Parse: func(l *Line) (Exec, error) {
			switch l.Phase {
			case Connection:
				return reject, nil
			case Session:
				return rejectSession, nil
			}
			return rejectContent(l.Phase), nil
		}, Final: true},
		Action{Name: "close", In: ResponseContent, Parse: func(*Line) (Exec, error) { return closeServer, nil }, Final: true},
	)
	conf.Register(
		conf.Keyword{Name: "tcp-request inspect-delay", In: conf.Proxies, Max: -1, Parse: inspectDelay(func(p *stream.Proxy) *time.Duration { return &p.InspectDelay })},
		conf.Keyword{Name: "tcp-response inspect-delay", In: conf.Defaults | conf.Backend, Max: -1, Parse: inspectDelay(func(p *stream.Proxy) *time.Duration { return &p.RespInspectDelay })},
	)
}

func verdict(v stream.Verdict) func(*Line) (Exec, error) {
	exec := func(*stream.Scope) stream.Verdict { return v }
	return func(*Line) (Exec, error) { return exec, nil }
}

// reject closes the connection with a single RST: nothing of it is to linger.
func reject(sc *stream.Scope) stream.Verdict {
	sc.FE.FE.Counters[sc.R.Index].DeniedConn.Add(1)
	if l := sc.Listening(); l != nil {
		l.DeniedConn.Add(1)
	}
	sc.Sess.ResetOnClose()
	return stream.Drop
}

// rejectSession closes a connection that would be a session.
func rejectSession(sc *stream.Scope) stream.Verdict {
	sc.FE.FE.Counters[sc.R.Index].DeniedSess.Add(1)
	if l := sc.Listening(); l != nil {
		l.DeniedSess.Add(1)
	}
	return stream.Drop
}

// rejectContent closes without an answer. A request counts as denied in the frontend,
// whose rule it may be.
func rejectContent(phase Phase) Exec {
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		st.Denied(phase == ResponseContent, true)
		ended(st, 'P', phase)
		st.Reject()
		return stream.Drop
	}
}

// closeServer ends what the server sends with what it has sent.
func closeServer(sc *stream.Scope) stream.Verdict {
	sc.Stream.CloseServer()
	return stream.Stop
}

// inspectDelay reads how long rules may wait for more data.
func inspectDelay(field func(*stream.Proxy) *time.Duration) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		w := c.Words()
		text := w.Next()
		d, err := config.ParseTime(text, time.Millisecond)
		var bad *config.CharError
		why := ""
		switch {
		case err == nil:
			*field(c.Proxy) = d
			return w.End()
		case errors.Is(err, config.ErrTimeOverflow):
			why = " (timer overflow in argument '" + text + "')"
		case errors.As(err, &bad):
			why = fmt.Sprintf(" (unexpected character '%c')", bad.Char)
		}
		return conf.Predicatef("expects a positive delay in milliseconds, in %s%s", c.Where(), why)
	}
}

// silentDrop reads "silent-drop [ rst-ttl <ttl> ]".
func silentDrop(l *Line) (Exec, error) {
	ttl := 0
	if l.Peek() == "rst-ttl" {
		l.Next()
		n, err := strconv.Atoi(l.Next())
		if err != nil || n < 1 || n > 255 {
			return nil, conf.About("rst-ttl", conf.Predicatef("expects a number of hops between 1 and 255"))
		}
		ttl = n
	}
	phase := l.Phase
	return func(sc *stream.Scope) stream.Verdict {
		vanish(sc.Sess, ttl)
		if st := sc.Stream; st != nil {
			ended(st, 'P', phase)
			st.Leave()
		}
		return stream.Drop
	}, nil
}

// vanish makes the coming close go unnoticed by the client: in repair mode the
// kernel forgets the connection and sends nothing. That takes privileges; without
// them, or with a ttl, a RST is sent that does not get farther than ttl hops.
func vanish(s *stream.Session, ttl int) {
	if !s.IsOpen() {
		return // of HTTP/2: the client has closed it, or another of its requests has
	}
	sys, fd := s.Reactor().Sys, s.Fd()
	if ttl == 0 {
		if sys.SetsockoptInt(fd, syscall.IPPROTO_TCP, unix.TCP_REPAIR, 1) == 0 {
			return
		}
		ttl = 1
	}
	sys.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_TTL, ttl)
	sys.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, ttl)
	s.ResetOnClose()
}
