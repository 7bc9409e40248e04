package rule

import (
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterAction(
		Action{Name: "accept", In: Connection | RequestContent | ResponseContent, Parse: verdict(stream.Stop), Final: true},
		Action{Name: "reject", In: Connection | RequestContent | ResponseContent, Parse: func(l *Line) (Exec, error) {
			if l.Phase != Connection {
				return rejectContent(l), nil
			}
			return reject, nil
		}, Final: true},
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

// rejectContent closes without a word.
func rejectContent(l *Line) Exec {
	response, frontend, term := l.Phase == ResponseContent, l.Proxy.Frontend, stream.Termination{Cause: 'P', State: 'R'}
	if response {
		term.State = 'D'
	}
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		denied(st, response, frontend)
		if st.Term.Cause == 0 {
			st.Term = term
		}
		return stream.Drop
	}
}

// silentDrop reads "silent-drop [ rst-ttl <ttl> ]".
func silentDrop(l *Line) (Exec, error) {
	ttl := 0
	if l.Peek() == "rst-ttl" {
		l.Next()
		n, err := strconv.Atoi(l.Next())
		if err != nil || n < 1 || n > 255 {
			return nil, fmt.Errorf("'rst-ttl' expects a number of hops between 1 and 255")
		}
		ttl = n
	}
	phase := l.Phase
	return func(sc *stream.Scope) stream.Verdict {
		vanish(sc.Sess, ttl)
		if st := sc.Stream; st != nil {
			answered(st, 'P', phase)
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
