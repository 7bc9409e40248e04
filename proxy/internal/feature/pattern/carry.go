package pattern

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	snapshot.RegisterCarrier(snapshot.Carrier{
		Name: "patterns",
		Losses: func(t *snapshot.Transition) (texts []string) {
			was := Of(t.Old)
			for _, l := range Of(t.New).Lists {
				if o := was.byKey[l.key]; o != nil && o.isChanged() {
					if why := l.differs(o); why != "" {
						texts = append(texts, l.loss(why))
					}
				}
			}
			return texts
		},
		Prepare: func(t *snapshot.Transition) (snapshot.Steps, error) {
			was := new(Set)
			if t.Old != nil {
				was = Of(t.Old)
			}
			lists := Of(t.New).Lists
			lives := make(map[*live]bool)
			for _, o := range was.Lists {
				lives[o.live] = true
			}
			for _, l := range lists {
				if lives[l.live] || l.Name != "" && l.store != nil {
					if err := l.goesOn(was); err != nil {
						return snapshot.Steps{}, err
					}
					continue
				}
				if o := was.byKey[l.key]; o != nil && l.differs(o) == "" && l.adopt(o) == nil {
					continue
				}
				l.ready()
				if t.Old == nil {
					l.inherit()
				}
			}
			return snapshot.Steps{After: func() {
				release(t.Old, lists)
				inherited = nil
			}}, nil
		},
	})
}

// goesOn prepares a list that shares what lives of one in was, if that was not
// changed into what does not fit since it was loaded.
func (l *List) goesOn(was *Set) error {
	l.ready() // if the other configuration never was in force
	l.content = ""
	if o := was.byKey[l.key]; o != nil && o.store == l.store {
		if why := l.differs(o); why != "" {
			return fmt.Errorf("%s (%s)", l.Text, why)
		}
	}
	for _, m := range l.Matchers {
		if err := l.store.index(m.shape); err != nil {
			return err
		}
	}
	return nil
}

func (l *List) isChanged() bool {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return l.store.changed
}

// differs tells why what lives of a list cannot go on as this one, "" if it can.
func (l *List) differs(o *List) string {
	switch {
	case o.sum != l.sum || o.missing != l.missing:
		return "the file on the disk is another one"
	case o.Pairs != l.Pairs:
		return "it is used in another way"
	}
	for _, m := range l.Matchers {
		if err := o.fits(m); err != nil {
			return err.Error()
		}
	}
	return ""
}

// fits tells whether what was added at run time can be matched by m too.
func (l *List) fits(m *Matcher) error {
	for _, o := range l.Matchers {
		if o.shape == m.shape && o.Out == m.Out {
			return nil
		}
	}
	if l.store == nil || !l.isChanged() {
		return nil
	}
	for e := l.store.cur.Load().head.Load(); e != nil; e = e.Next() {
		err := m.Out.check(e.Value())
		if err == nil && m.shape != shapeless {
			_, err = e.form(m.shape, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *List) loss(why string) string {
	name := "patterns of " + l.Text
	if l.Name != "" {
		name = "pattern file " + l.Name
	}
	return fmt.Sprintf("%s: what was changed at run time (%s)", name, why)
}

// adopt goes on with what lives of a list. Nothing that the other one uses is
// changed by it.
func (l *List) adopt(o *List) error {
	for _, m := range l.Matchers {
		if err := o.store.index(m.shape); err != nil {
			return err
		}
	}
	if l.live != o.live {
		l.store, l.content, l.names = o.store, "", nil
	}
	return nil
}

// release gives back what neither the configuration in force nor the one before it
// needs: there may be streams that go on with that one.
func release(old *stream.Snapshot, lists []*List) {
	used := make(map[*store]*[shapes]bool)
	note := func(l *List) {
		if used[l.store] == nil {
			used[l.store] = new([shapes]bool)
		}
		for _, m := range l.Matchers {
			if m.shape != shapeless {
				used[l.store][m.shape] = true
			}
		}
	}
	for _, l := range lists {
		if l.names != nil {
			l.names = nil
		}
		note(l)
	}
	if old != nil {
		for _, l := range Of(old).Lists {
			if used[l.store] != nil {
				note(l)
			}
		}
	}
	for _, l := range lists {
		l.store.keep(used[l.store])
	}
}
