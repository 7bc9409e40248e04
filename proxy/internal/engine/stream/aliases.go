package stream

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
)

// unserved is what there is of an exchange where a connection never had one.
var unserved Stream

// exchange is the scope's stream. It must not be changed.
func (sc *Scope) exchange() *Stream {
	if sc.Stream != nil {
		return sc.Stream
	}
	return &unserved
}

// What an exchange is between: addresses and names.
func init() {
	for _, a := range []struct {
		ip, port string
		of       func(*Scope) reactor.Addr
	}{
		{"ci", "cp", (*Scope).source},
		{"fi", "fp", (*Scope).front},
		{"bi", "bp", func(sc *Scope) reactor.Addr { return sc.exchange().ServerSide() }},
		{"si", "sp", func(sc *Scope) reactor.Addr {
			if sc.Srv == nil {
				return reactor.Addr{}
			}
			return *sc.Srv.Addr()
		}},
	} {
		RegisterAlias(Alias{Name: a.ip, Addr: a.of}, Alias{Name: a.port, Addr: a.of, Port: true})
	}
	RegisterAlias(
		Alias{Name: "f", Append: func(dst []byte, sc *Scope) []byte { return appendName(dst, sc.FE) }},
		Alias{Name: "ft", Append: func(dst []byte, sc *Scope) []byte {
			dst = appendName(dst, sc.FE)
			if sc.Sess != nil && sc.Sess.Listener.Bind.Load().TLS != nil { // under TLS, or it was to be
				dst = append(dst, '~')
			}
			return dst
		}},
		Alias{Name: "b", Append: func(dst []byte, sc *Scope) []byte { return appendName(dst, sc.BE) }},
		Alias{Name: "s", Append: func(dst []byte, sc *Scope) []byte {
			switch st := sc.exchange(); {
			case sc.Srv != nil:
				return append(dst, sc.Srv.Name...)
			case st.Service != nil && st.Service.Name() != "":
				return append(dst, st.Service.Name()...)
			}
			return append(dst, "<NOSRV>"...)
		}},
	)
}

func appendName(dst []byte, p *Proxy) []byte {
	if p == nil {
		return dst
	}
	return append(dst, p.Name...)
}

// source is the client's address; of UNIX sockets, most of which have no name, it
// only matters that they are such.
func (sc *Scope) source() reactor.Addr {
	switch {
	case sc.Sess == nil:
		return reactor.Addr{}
	case sc.Sess.Src.IP.IsValid():
		return sc.Sess.Src
	}
	return reactor.Addr{Path: "unix"}
}

// front is the address that the client connected to.
func (sc *Scope) front() reactor.Addr {
	switch {
	case sc.Sess == nil:
		return reactor.Addr{}
	case !sc.Sess.IsOpen():
		return sc.Sess.Listener.Bind.Load().Addr
	}
	return sc.Sess.Dst()
}

// How an exchange went, and what else goes on.
func init() {
	RegisterAlias(
		Alias{Name: "B", Grows: true, Int: func(sc *Scope) int64 { return sc.exchange().ResIn }},
		Alias{Name: "U", Int: func(sc *Scope) int64 { return sc.exchange().ReqIn }},
		Alias{Name: "ST", Int: (*Scope).status},
		Alias{Name: "ts", Form: Plain, Append: func(dst []byte, sc *Scope) []byte { return sc.termination(dst, 2) }},
		Alias{Name: "tsc", Form: Plain, Append: func(dst []byte, sc *Scope) []byte { return sc.termination(dst, 4) }},
		Alias{Name: "rc", Form: Plain, Append: func(dst []byte, sc *Scope) []byte {
			st := sc.exchange()
			if st.Redispatch {
				dst = append(dst, '+')
			}
			return strconv.AppendInt(dst, int64(st.Retries), 10)
		}},
		Alias{Name: "sq", Int: func(sc *Scope) int64 { return sc.exchange().SrvQueue }},
		Alias{Name: "bq", Int: func(sc *Scope) int64 { return sc.exchange().BackQueue }},
		Alias{Name: "rt", Hex: true, Int: func(sc *Scope) int64 { return int64(sc.ID) }},
		Alias{Name: "ac", Int: func(sc *Scope) int64 {
			if sc.W == nil {
				return 0
			}
			return sc.W.Curr.Load()
		}},
		Alias{Name: "fc", Int: func(sc *Scope) int64 {
			if sc.FE == nil || sc.FE.FE == nil {
				return 0
			}
			return sc.FE.FE.Cur.Load()
		}},
		Alias{Name: "bc", Int: func(sc *Scope) int64 {
			if sc.BE == nil || sc.BE.BE == nil {
				return 0
			}
			return sc.BE.BE.Cur.Load()
		}},
		Alias{Name: "sc", Int: func(sc *Scope) int64 {
			if sc.Srv == nil {
				return 0
			}
			return sc.Srv.Cur.Load()
		}},
	)
}

// status is what the client was answered, -1 where it could have been and was not.
func (sc *Scope) status() int64 {
	st := sc.exchange()
	if st.Status == 0 && sc.Sess != nil && sc.FE.Mode == HTTP && sc.Failed == nil && (st.HasRequest || !sc.Sess.H2()) {
		return -1
	}
	return int64(st.Status)
}

// termination appends the first n signs of the termination state.
func (sc *Scope) termination(dst []byte, n int) []byte {
	t := [4]byte{'P', 'R', '-', '-'} // of a connection that is no exchange
	if st := sc.Stream; st != nil {
		t[0], t[1] = st.Term.Cause, st.Term.State
		t[2], t[3] = st.cookieState()
	}
	for i := range t {
		if t[i] == 0 {
			t[i] = '-'
		}
	}
	return append(dst, t[:n]...)
}
