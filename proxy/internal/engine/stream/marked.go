package stream

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Causes of [Stream.Kill], as the log tells them (manual 8.5).
const (
	Killed     = 'K' // by an administrator
	ServerDown = 'D' // its server was marked down
	ServerUp   = 'U' // it was on a backup server, and an active one came up
)

// KillOn ends those streams of a reactor, on it, that a server which of accepts is
// serving. One that only has something left to say to its client goes on.
func (w *Worker) KillOn(r *reactor.Reactor, cause byte, of func(*server.Server) bool) {
	w.EachStream(r, func(st *Stream) bool {
		if st.slot && of(st.Srv) {
			st.Kill(cause)
		}
		return true
	})
}

// Marked does what a server of b asks for when it goes down or comes up
// ("on-marked-down", "on-marked-up"). Any thread may call it, after the
// transition: who chooses a server from then on does not choose one that is down.
func (w *Worker) Marked(b *BackState, s *server.Server, old, cur server.State) {
	set := s.Settings()
	switch was, is := old.Up(), cur.Up(); {
	case was && !is && set.EndSessions:
		w.killAll(ServerDown, func(o *server.Server) bool { return o == s })
	case !was && is && set.EndBackups && !set.Backup && s.Weight() > 0:
		w.killAll(ServerUp, func(o *server.Server) bool {
			return o.Settings().Backup && b.has(o)
		})
	}
}

func (w *Worker) killAll(cause byte, of func(*server.Server) bool) {
	for _, r := range w.Reactors {
		r.Post(func() { w.KillOn(r, cause, of) })
	}
}
