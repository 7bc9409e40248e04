package maps

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/pattern"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
)

func init() {
	rule.RegisterAction(
		rule.Action{Name: "set-map", Paren: true, In: rule.Request | rule.Response | rule.AfterResponse, Parse: change(true, true)},
		rule.Action{Name: "del-map", Paren: true, In: rule.Request | rule.Response | rule.AfterResponse, Parse: change(false, false)},
		rule.Action{Name: "add-acl", Paren: true, In: rule.Request | rule.Response, Parse: change(true, false)},
		rule.Action{Name: "del-acl", Paren: true, In: rule.Request | rule.Response | rule.AfterResponse, Parse: change(false, false)},
	)
}

// change is the parser of "set-map(name) key value" and the like.
func change(adds, valued bool) func(l *rule.Line) (rule.Exec, error) {
	count := 1
	if valued {
		count = 2
	}
	return func(l *rule.Line) (rule.Exec, error) {
		name := l.Paren
		x := &changes{adds: adds}
		for _, f := range []*formatted{&x.key, &x.value}[:count] {
			word, err := l.Take(fmt.Sprintf("exactly %d arguments", count))
			if err != nil {
				return nil, err
			}
			if f.Format, err = l.Format(word); err != nil {
				return nil, err
			}
		}
		if name == "" {
			return nil, conf.Predicatef("expects the name of a file of patterns in parentheses")
		}
		c := *l.Ctx
		l.Refer(0, "", func() {
			if x.list = pattern.Of(c.Snap).Named(name); x.list == nil {
				c.Diags.Diag(c.Pos, "nothing uses patterns of the file '%s', so a rule that changes them does nothing.", name)
			}
		})
		l.OnTakeover(func(to *conf.Loading, _ int) bool {
			to.Refer(0, "", func() {
				if !pattern.Of(to.Snap).Named(name).GoesOnWith(x.list) {
					to.TakeNothing()
				}
			})
			return true
		})
		return x.exec, nil
	}
}

// formatted is an argument that is computed for each message.
type formatted struct{ *logformat.Format }

// append computes it in a scratch buffer, to be dropped.
func (f formatted) append(sc *stream.Scope) []byte {
	b := sc.Scratch()
	if f.Format != nil {
		b = f.Format.Append(b, sc)
	}
	return b
}

// changes is what a rule changes.
type changes struct {
	list       *pattern.List
	adds       bool
	key, value formatted
}

func (x *changes) exec(sc *stream.Scope) stream.Verdict {
	if x.list == nil {
		return stream.Continue
	}
	key := x.key.append(sc)
	value := x.value.append(sc)
	switch {
	case !x.adds:
		x.list.Delete(string(key))
	case !x.list.Has(key, value): // most requests change nothing
		// A key or a value that the list cannot have changes nothing.
		x.list.Put(string(key), string(value))
	}
	sc.Drop(value)
	sc.Drop(key)
	return stream.Continue
}
