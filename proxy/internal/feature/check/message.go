package check

import (
	"fmt"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logs"
)

// notice is something to tell about a server or a backend. Text is what the logs
// of the proxy say, Console what is said on standard error.
type notice struct {
	Level         logs.Level
	Text, Console string
}

// tell sends a sentence, or another one to the console, to who wants to know.
func tell(w *stream.Worker, p *stream.Proxy, m notice) {
	if m.Console == "" {
		m.Text += "."
		m.Console = m.Text
	}
	logs.Send(w, p, m.Level, m.Text)
	if w.Announce != nil {
		w.Announce(int(m.Level), m.Console)
	}
}

// voices remembers which backends were said to have no server, so that it is
// said once.
type voices struct {
	mu    sync.Mutex
	empty map[*stream.BackState]bool
}

// became tells whether b has no usable server now but had one before.
func (v *voices) became(b *stream.BackState) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	active, backup, _ := b.Usable()
	was := v.empty[b]
	if active+backup > 0 {
		delete(v.empty, b)
		return false
	}
	if v.empty == nil {
		v.empty = make(map[*stream.BackState]bool)
	}
	v.empty[b] = true
	return !was
}

// keep forgets backends that are not in the snapshot.
func (v *voices) keep(snap *stream.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for b := range v.empty {
		if p := snap.Backends[b.Name]; p == nil || p.BE != b {
			delete(v.empty, b)
		}
	}
}

// usable tells whether a server in this state takes new streams.
func usable(st *server.State) bool {
	return (st.Op == server.Running || st.Op == server.Starting) && st.Admin&(server.Maint|server.Drain) == 0 && st.UserWeight > 0
}

// changed tells of a server's transition.
func changed(w *stream.Worker, v *voices, b *stream.BackState, s *server.Server, old, cur server.State, reason string) {
	snap := w.Snapshot()
	if snap == nil || s.Deleted() {
		return
	}
	p := snap.Backends[b.Name]
	if p == nil || p.BE != b {
		return
	}
	gone := v.became(b) && usable(&old)
	if text, level := transition(b, s, &old, &cur, reason); text != "" {
		tell(w, p, notice{Level: level, Text: text})
	}
	if gone {
		k := kindOf(p)
		tell(w, p, notice{
			Level: logs.Emerg, Text: fmt.Sprintf("%s %s has no server available!", k, p.Name),
			Console: fmt.Sprintf("%s '%s' has no server available!", k, p.Name),
		})
	}
}

// transition words a change of state as HAProxy does, "" if there is nothing to
// say.
func transition(b *stream.BackState, s *server.Server, old, cur *server.State, reason string) (string, logs.Level) {
	name := "Server " + s.Backend + "/" + s.Name
	if s.Settings().Backup {
		name = "Backup " + name
	}
	// What went down as it was being stopped is no surprise.
	alarm := logs.Alert
	if old.Op == server.Stopping || old.Admin&server.Drain != 0 || old.UserWeight == 0 {
		alarm = logs.Notice
	}
	maint, was := cur.Admin&server.Maint != 0, old.Admin&server.Maint != 0
	drain, drained := cur.Admin&server.Drain != 0, old.Admin&server.Drain != 0
	forced := ""
	if old.Admin&(server.ForcedMaint|server.ConfigMaint) != 0 {
		forced = "forced "
	}
	switch {
	case maint && was:
		return "", 0
	case maint && old.Op == server.Stopped:
		return name + " was DOWN and now enters maintenance", logs.Notice
	case maint:
		return name + " is going DOWN for maintenance" + left(b, s), alarm
	case was:
		state := "READY"
		if drain {
			state = "DRAIN"
		}
		return fmt.Sprintf("%s is %s/%s (leaving %smaintenance)", name, upDown(cur), state, forced), logs.Notice
	case drain && !drained:
		return name + " enters drain state" + online(b), logs.Notice
	case drained && !drain:
		return fmt.Sprintf("%s is %s (leaving forced drain)", name, upDown(cur)), logs.Notice
	case cur.Op == old.Op:
		return "", 0
	}
	if reason != "" {
		reason = ", " + reason
	}
	switch cur.Op {
	case server.Stopped:
		return name + " is DOWN" + reason + left(b, s), alarm
	case server.Stopping:
		return name + " is stopping" + reason + online(b), logs.Notice
	}
	return name + " is UP" + reason + online(b), logs.Notice
}

func upDown(st *server.State) string {
	if st.Op == server.Stopped {
		return "DOWN"
	}
	return "UP"
}

// left and online count what a backend still has. Streams do not wait for one
// server here but for the backend, so that none has to be queued again.
func left(b *stream.BackState, s *server.Server) string {
	active, backup, note := counts(b)
	return fmt.Sprintf(". %d active and %d backup servers left.%s %d sessions active, 0 requeued, %d remaining in queue", active, backup, note, s.Cur.Load(), s.Queued.Load())
}

func online(b *stream.BackState) string {
	active, backup, note := counts(b)
	return fmt.Sprintf(". %d active and %d backup servers online.%s 0 sessions requeued, %d total in queue", active, backup, note, b.Queue.Len.Load())
}

func counts(b *stream.BackState) (active, backup int, note string) {
	active, backup, _ = b.Usable()
	if active == 0 && backup > 0 {
		note = " Running on backup."
	}
	return active, backup, note
}
