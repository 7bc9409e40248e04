package logs

import (
	"errors"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
)

// wish is what rules say of how an exchange is logged.
type wish struct {
	said, silent bool
	level        Level
	done         []*event // of "do-log": rules on contents are evaluated again as more comes
}

// Reset forgets an exchange ([slot.Resetter]).
func (w *wish) Reset() { *w = wish{done: w.done[:0]} }

// again notes that a rule logs, and tells whether it has done so before.
func (w *wish) again(rule *event) bool {
	if slices.Contains(w.done, rule) {
		return true
	}
	w.done = append(w.done, rule)
	return false
}

var wishes = slot.New[*stream.Stream, wish]()

func init() {
	const ofStreams = rule.RequestContent | rule.ResponseContent | rule.Request | rule.Response | rule.AfterResponse
	rule.RegisterAction(
		rule.Action{Name: "set-log-level", In: ofStreams, Parse: setLogLevel},
		rule.Action{Name: "do-log", In: ofStreams | rule.Connection | rule.Session, Parse: doLog},
	)
}

// setLogLevel reads "set-log-level <level>|silent".
func setLogLevel(l *rule.Line) (rule.Exec, error) {
	name := l.Next()
	w := wish{silent: name == "silent", level: Level(slices.Index(levels, name))}
	if w.level < 0 && !w.silent {
		return nil, errors.New("expects exactly 1 argument (log level name or 'silent')")
	}
	return func(sc *stream.Scope) stream.Verdict {
		now := wishes.Make(sc.Stream)
		now.said, now.silent, now.level = true, w.silent, w.level
		return stream.Continue
	}, nil
}

// places are where lines of "do-log" come from.
var places = map[rule.Phase]origin{
	rule.Request: httpReq, rule.Response: httpRes, rule.AfterResponse: httpAfterRes, rule.Connection: tcpReqConn,
	rule.Session: tcpReqSess, rule.RequestContent: tcpReqCont, rule.ResponseContent: tcpResCont,
}

// doLog reads "do-log [ profile <name> ]". It logs as the frontend does, and does not
// change what that logs besides.
func doLog(l *rule.Line) (rule.Exec, error) {
	var profile *Profile
	if l.Peek() == "profile" {
		l.Next()
		name := l.Next()
		if name == "" {
			return nil, errors.New("missing log-profile name behind 'profile'")
		}
		c := *l.Ctx
		l.Later(func() {
			var err error
			if profile, err = findProfile(c.Snap, name); err != nil {
				c.Report(err)
			}
		})
	}
	at, self, contents := places[l.Phase], new(event), l.Phase == rule.RequestContent || l.Phase == rule.ResponseContent
	return func(sc *stream.Scope) stream.Verdict {
		s := sections.Of(sc.FE)
		if s == nil || len(s.all) == 0 {
			return stream.Continue
		}
		ev := event{level: Info, format: s.format, sd: s.sdFmt, origin: at, profile: profile}
		if sc.Stream != nil {
			w := wishes.Make(sc.Stream)
			if w.said && w.silent || contents && w.again(self) {
				return stream.Continue
			}
			if w.said {
				ev.level = w.level
			}
			end := sc.Stream.Time.End
			sc.Stream.Time.End = sc.R.Now()
			s.line(sc, &ev)
			sc.Stream.Time.End = end
			return stream.Continue
		}
		s.line(sc, &ev)
		return stream.Continue
	}, nil
}
