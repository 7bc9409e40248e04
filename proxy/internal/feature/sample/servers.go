package sample

import (
	"strings"
	"sync/atomic"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// This file is what there is to know of backends and servers by name (manual 7.3.2).

func init() {
	ofBackend := func(name string, f func(*stream.Proxy) int64) {
		RegisterFetch(Fetch{Name: name, Args: "[backend]", Out: Int, Where: lookups, Compile: backendCount(f)})
	}
	ofBackend("nbsrv", serving)
	ofBackend("be_conn", func(be *stream.Proxy) int64 { return be.BE.Cur.Load() })
	ofBackend("be_sess_rate", func(be *stream.Proxy) int64 { return be.BE.SessRate.Cur.Load() })
	ofBackend("queue", func(be *stream.Proxy) int64 { return be.BE.Queue.Waiting() })
	ofBackend("avg_queue", averageQueue)
	ofBackend("connslots", slots)
	ofBackend("be_conn_free", freeOfBackend)

	ofServer := func(name string, f func(*server.Server) int64) {
		RegisterFetch(Fetch{Name: name, Args: "server", Out: Int, Where: lookups, Compile: aboutServer(func(s *server.Server, v *Value) bool { return v.SetInt(f(s)) })})
	}
	ofServer("srv_conn", func(s *server.Server) int64 { return s.Cur.Load() })
	ofServer("srv_conn_free", func(s *server.Server) int64 {
		if s.Limit.Load() == 0 {
			return -1
		}
		return max(s.Slots()-s.Cur.Load(), 0)
	})
	ofServer("srv_queue", func(s *server.Server) int64 { return s.Queued.Load() })
	ofServer("srv_sess_rate", func(s *server.Server) int64 { return s.SessRate.Cur.Load() })
	ofServer("srv_weight", func(s *server.Server) int64 {
		st := s.State()
		if st.Op == server.Starting {
			return int64(s.Effective()+server.Scale-1) / server.Scale
		}
		return int64(st.UserWeight)
	})
	ofServer("srv_iweight", func(s *server.Server) int64 { return int64(s.State().InitWeight) })
	ofServer("srv_uweight", func(s *server.Server) int64 { return int64(s.State().UserWeight) })
	RegisterFetch(
		Fetch{Name: "srv_is_up", Args: "server", Out: Bool, Where: lookups, Compile: aboutServer(func(s *server.Server, v *Value) bool {
			st := s.State()
			return v.SetBool(st.Admin&server.Maint == 0 && st.Op != server.Stopped)
		})},
		Fetch{Name: "srv_id", Out: Int, Where: srvName, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Srv != nil && v.SetInt(int64(sc.Srv.ID))
		})},
		Fetch{Name: "bc_be_queue", Out: Int, Where: Response, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Stream != nil && v.SetInt(sc.Stream.BackQueue)
		})},
		Fetch{Name: "bc_srv_queue", Out: Int, Where: Response, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Stream != nil && v.SetInt(sc.Stream.SrvQueue)
		})},
	)
}

// serving is how many servers take traffic: backups do when nobody else does, the first
// one or all of them.
func serving(be *stream.Proxy) int64 {
	active, backup, _ := be.BE.Usable()
	switch {
	case active > 0:
		return int64(active)
	case backup > 0 && !be.Has(stream.AllBackups):
		return 1
	}
	return int64(backup)
}

// averageQueue is who waits for a server, for each that there is: twice as many if there
// is none, since one may be back soon.
func averageQueue(be *stream.Proxy) int64 {
	n := serving(be)
	if n == 0 {
		return 2 * be.BE.Queue.Waiting()
	}
	return (be.BE.Queue.Waiting() + n - 1) / n
}

// slots is how much more the servers that are up take, with their queues, -1 if one
// has no limit.
func slots(be *stream.Proxy) int64 {
	var sum int64
	for _, s := range be.BE.Servers() {
		if s.State().Op == server.Stopped {
			continue
		}
		limit, queue := s.Limit.Load(), int64(s.Settings().MaxQueue)
		if limit == 0 || queue == 0 {
			return -1
		}
		sum += limit - s.Cur.Load() + queue - s.Queued.Load()
	}
	return sum
}

// freeOfBackend is how many more streams the servers in use serve at once, -1 if one
// has no limit.
func freeOfBackend(be *stream.Proxy) int64 {
	active, _, _ := be.BE.Usable()
	var sum int64
	for _, s := range be.BE.Servers() {
		switch backup := s.Settings().Backup; {
		case !s.Usable() || s.Weight() == 0, backup && active > 0:
			continue
		case s.Limit.Load() == 0:
			return -1
		default:
			sum += max(s.Slots()-s.Cur.Load(), 0)
			if backup && !be.Has(stream.AllBackups) {
				return sum // the others wait for this one to be down
			}
		}
	}
	return sum
}

// found is a server that was looked up, and where.
type found struct {
	be  *stream.BackState
	srv *server.Server
}

// aboutServer makes a fetch of "[<backend>/]<server>".
func aboutServer(f func(*server.Server, *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	return func(c *conf.Ctx, args []string) (Func, error) {
		where, name, both := strings.Cut(args[0], "/")
		if !both {
			where, name = "", args[0]
		}
		resolveServer(c, where, name)
		var last atomic.Pointer[found]
		return func(sc *stream.Scope, v *Value, n int) bool {
			be := sc.BE
			if where != "" {
				be = sc.Snap.Backend(where)
			}
			if n > 0 || be == nil || be.BE == nil {
				return false
			}
			l := last.Load()
			if l == nil || l.be != be.BE || l.srv.Deleted() {
				s := be.BE.Server(name)
				if s == nil {
					return false
				}
				l = &found{be.BE, s}
				last.Store(l)
			}
			return f(l.srv, v)
		}, nil
	}
}

// resolveServer looks, when all sections are known, whether there is the server that an
// argument names. It does so again for configurations that take the section over, whose
// backend may be another one.
func resolveServer(c *conf.Ctx, where, name string) {
	at := *c
	of := where
	if of == "" && c.Proxy != nil {
		of = c.Proxy.Name
	}
	kind := "sample fetch keyword"
	if c.InACL {
		kind = "ACL keyword"
	}
	in := " '" + c.Fetch + "'"
	if c.In != "" {
		in += " in " + c.In
	}
	if c.Proxy != nil {
		in += " in proxy '" + c.Proxy.Name + "'"
	}
	look := func(l *conf.Loading, pos config.Pos) {
		p := l.Snap.Backends[of]
		if p == nil {
			if where != "" {
				l.Alert(pos, "unable to find proxy '%s' referenced in arg 1 of %s%s.", where, kind, in)
			} else if !at.InDefaults {
				l.Alert(pos, "unable to find server '%s' in proxy '%s', referenced in arg 1 of %s%s.", name, of, kind, in)
			}
			return
		}
		for _, s := range p.ServerLines {
			if s.Name == name {
				return
			}
		}
		l.Alert(pos, "unable to find server '%s' in proxy '%s', referenced in arg 1 of %s%s.", name, of, kind, in)
	}
	c.Refer(conf.Backend, where, func() { look(at.Loading, at.Pos) })
	c.OnTakeover(func(l *conf.Loading, lines int) bool {
		pos := at.Pos
		pos.Line += lines
		l.Refer(conf.Backend, "", func() { look(l, pos) })
		return true
	})
}
