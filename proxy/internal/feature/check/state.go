package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logs"
)

// text describes the outcome for messages: "reason: Layer4 timeout, check
// duration: 2001ms".
func (o outcome) text(took time.Duration) string {
	s := "reason: " + server.StatusOf(o.status).Words
	switch o.status {
	case "L7OK", "L7OKC", "L7STS":
		s += fmt.Sprintf(", code: %d", o.code)
	}
	if o.info != "" {
		s += fmt.Sprintf(", info: \"%s\"", printable(o.info))
	}
	return s + fmt.Sprintf(", check duration: %dms", took.Milliseconds())
}

// maxInfo bounds what a server can put into a message, in bytes.
const maxInfo = 127

// printable makes text of a server harmless in a log line.
func printable(s string) string { return strings.ReplaceAll(plain(s), `"`, "<22>") }

// plain makes text of a server harmless in a table.
func plain(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s) && i < maxInfo; i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			b = fmt.Appendf(b, "<%02X>", c)
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// interval is the time to the next check (manual, "inter").
func interval(k *server.Check, st *server.State) time.Duration {
	switch {
	case st.Health == k.Rise+k.Fall-1:
	case st.Op == server.Stopped && st.Health == 0:
		if k.DnInter > 0 {
			return k.DnInter
		}
	case k.FastInter > 0:
		return k.FastInter
	}
	return k.Inter
}

// conclude enters the outcome of a check into the server's state: first the
// health counter, then, where that decides it, up, down or stopping.
func conclude(w *stream.Worker, p *stream.Proxy, s *server.Server, out outcome, took time.Duration, now time.Time) {
	k := s.Settings().Check
	var counted, void, news bool
	var cur server.State
	s.Update(now, "", func(st *server.State) {
		if void = st.CheckPaused || st.Admin&server.Maint != 0; void {
			return // it was switched off meanwhile
		}
		news = st.CheckStatus != out.status
		st.Checks++
		st.CheckStatus, st.CheckCode, st.CheckDesc = out.status, out.code, plain(out.info)
		st.CheckTook, st.LastChecked = took, now
		counted = note(st, &k, out.kind())
		cur = *st
	})
	if void {
		return
	}
	logged := p.Has(stream.LogHealthChecks)
	if logged && (news || counted) {
		tell(w, p, notice{Level: logs.Notice, Text: checkLine(s, &k, &cur, out, took)})
	}
	reason := ""
	if !logged { // or it would be said twice
		reason = out.text(took)
	}
	s.Update(now, reason, func(st *server.State) {
		if st.Admin&server.Maint == 0 {
			operate(st, &k, out.kind())
		}
	})
}

// note records the result of a check and moves the health counter, and tells
// whether it moved: below rise it falls to 0, from rise on it goes up to its end.
func note(st *server.State, k *server.Check, kind kind) bool {
	switch kind {
	case failed:
		st.CheckResult = 2
		if st.Health == 0 {
			return false
		}
		st.CheckFails++
		if st.Health--; st.Health < k.Rise {
			st.Health = 0
		}
		return true
	case passed, conditional:
		st.CheckResult = 3
		if kind == conditional {
			st.CheckResult = 4
		}
		full := k.Rise + k.Fall - 1
		if st.Health >= full {
			return false
		}
		if st.Health++; st.Health >= k.Rise {
			st.Health = full
		}
		return true
	}
	return false
}

// operate puts the server up, down or into stopping, where the health counter
// after a check of that kind decides it.
func operate(st *server.State, k *server.Check, kind kind) {
	switch {
	case kind == failed:
		if st.Health == 0 && st.Op != server.Stopped {
			st.Op = server.Stopped
			st.Downs++
		}
	case st.Health < k.Rise:
	case kind == passed && st.Op != server.Starting:
		st.Op = server.Running
	case kind == conditional && st.Op != server.Stopped:
		st.Op = server.Stopping
	}
}

// checkLine is the message of "option log-health-checks".
func checkLine(s *server.Server, k *server.Check, st *server.State, out outcome, took time.Duration) string {
	backup, how := "", "failed"
	if s.Settings().Backup {
		backup = "backup "
	}
	switch out.kind() {
	case passed:
		how = "succeeded"
	case conditional:
		how = "conditionally succeeded"
	}
	n, of, state := st.Health, k.Rise, "DOWN"
	if st.Health >= k.Rise {
		n, of, state = st.Health-k.Rise+1, k.Fall, "UP"
		if st.UserWeight == 0 {
			state = "DRAIN"
		}
	}
	return fmt.Sprintf("Health check for %sserver %s/%s %s, %s, status: %d/%d %s", backup, s.Backend, s.Name, how, out.text(took), n, of, state)
}

// stateHeader is the value of the header of "http-check send-state".
func stateHeader(p *stream.Proxy, s *server.Server, node string) string {
	st, set := s.State(), s.Settings()
	k := set.Check
	n, of := st.Health, k.Rise
	if st.Op != server.Stopped {
		n, of = st.Health-k.Rise+1, k.Fall
	}
	full := st.Health == k.Rise+k.Fall-1
	var word string
	switch {
	case st.Op == server.Stopped && st.Health == 0:
		word = "DOWN"
	case st.Op == server.Stopped:
		word = fmt.Sprintf("DOWN %d/%d", n, of)
	case st.Op == server.Stopping && full:
		word = "NOLB"
	case st.Op == server.Stopping:
		word = fmt.Sprintf("NOLB %d/%d", n, of)
	case full:
		word = "UP"
	default:
		word = fmt.Sprintf("UP %d/%d", n, of)
	}
	a, addr, port := s.Addr(), "unix", "unix"
	if !a.IsUnix() {
		addr, port = a.IP.String(), fmt.Sprint(a.Port)
	}
	_, _, weight := p.BE.Usable()
	return fmt.Sprintf("%s; address=%s; port=%s; name=%s/%s; node=%s; weight=%d/%d; scur=%d/%d; qcur=%d",
		word, addr, port, s.Backend, s.Name, node, st.UserWeight, weight, s.Cur.Load(), p.BE.Cur.Load(), s.Queued.Load())
}
