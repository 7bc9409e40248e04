package pattern

import (
	"bytes"
	"encoding/gob"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	const command = "_getpatterns"
	runtimeapi.Register(runtimeapi.Command{Words: command, Level: runtimeapi.Admin, Run: handOver})
	life.Leave(life.Legacy{What: "changes of maps and ACLs", Command: command, Take: takeOver})
	life.OnServe(func(w *stream.Worker) {
		for _, text := range lost {
			if w.Announce != nil {
				w.Announce(4, text)
			}
		}
		lost = nil
	})
}

// maxHanded bounds what is handed over of all lists, in bytes of text.
const maxHanded = 128 << 20

// left is what a worker leaves of a list to the one that takes its place: how it
// differs from what the configuration says. Versions that were not put in force
// stay behind.
type left struct {
	Key       string
	Sum       sum
	Missing   bool
	TooMuch   bool // there is more than can be handed over
	Cur, Next uint32
	Kept      []span // what is there of the configuration's patterns, by their places
	Changed   []changed
	Added     []added
}

type span struct{ First, Last int }

type changed struct {
	Place int
	Value string
}

type added struct{ Key, Value string }

// inherited are the lists of the worker before, lost is what cannot be taken over.
// Both are only used before the worker serves.
var (
	inherited map[string]*left
	lost      []string
)

func handOver(c *runtimeapi.Conn, _ []string) error {
	c.Quit() // no empty line behind it
	if !c.ExposeFD {
		return nil
	}
	var b bytes.Buffer
	set := Of(c.Worker.Snapshot())
	stream.Await(c.R, func() {
		var list []*left
		room := maxHanded
		for _, l := range set.Lists {
			if l.store != nil && l.isChanged() {
				list = append(list, l.leave(&room))
			}
		}
		if len(list) > 0 {
			gob.NewEncoder(&b).Encode(list)
		}
	})
	_, err := c.Write(b.Bytes())
	return err
}

// leave tells how the list differs. Changes meanwhile are in it or not.
func (l *List) leave(room *int) *left {
	cur, next, _ := l.State()
	out := &left{Key: l.key, Sum: l.sum, Missing: l.missing, Cur: cur, Next: next}
	for e := l.First(cur); e != nil; e = e.Next() {
		l.store.mu.Lock()
		value, isChanged := e.Value(), e.changed
		l.store.mu.Unlock()
		switch n := len(out.Kept); {
		case e.place == 0:
			out.Added = append(out.Added, added{e.Key, value})
		case n > 0 && out.Kept[n-1].Last == e.place-1:
			out.Kept[n-1].Last = e.place
		default:
			out.Kept = append(out.Kept, span{e.place, e.place})
		}
		if e.place == 0 || isChanged {
			if *room -= len(e.Key) + len(value) + 16; *room < 0 {
				return &left{Key: l.key, TooMuch: true}
			}
		}
		if e.place > 0 && isChanged {
			out.Changed = append(out.Changed, changed{e.place, value})
		}
	}
	return out
}

// takeOver notes what another worker has left. What is no reply to the command is
// of no use.
func takeOver(reply []byte) {
	var list []*left
	if gob.NewDecoder(bytes.NewReader(reply)).Decode(&list) != nil {
		return
	}
	inherited = make(map[string]*left, len(list))
	for _, l := range list {
		inherited[l.Key] = l
	}
}

// inherit makes of a list that was just read what the worker before has left of it.
func (l *List) inherit() {
	in := inherited[l.key]
	if in == nil {
		return
	}
	delete(inherited, l.key) // who tries again to bind its addresses prepares once more
	why := ""
	switch {
	case in.TooMuch:
		why = "it is more than can be handed to another process"
	case in.Sum != l.sum || in.Missing != l.missing:
		why = "the file on the disk is another one"
	default:
		if err := l.apply(in); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		lost = append(lost, strings.TrimSuffix(l.loss(why), ".")+" is lost")
	}
}

// apply changes the list as it was changed in another process. With an error some of
// it is left out.
func (l *List) apply(in *left) (err error) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed {
		return nil
	}
	v := s.cur.Load()
	if len(in.Kept) == 0 {
		v = s.empty(in.Cur)
		s.cur.Store(v)
	}
	kept, values := in.Kept, in.Changed
	for e := v.head.Load(); e != nil; e = e.Next() {
		for len(kept) > 0 && kept[0].Last < e.place {
			kept = kept[1:]
		}
		if len(kept) == 0 || e.place < kept[0].First {
			s.remove(v, e)
			continue
		}
		for len(values) > 0 && values[0].Place < e.place {
			values = values[1:]
		}
		if len(values) > 0 && values[0].Place == e.place {
			if _, fault := l.set([]*Entry{e}, values[0].Value); fault != nil {
				err = fault
			}
		}
	}
	for _, a := range in.Added {
		if fault := l.append(v, a.Key, a.Value); fault != nil {
			err = fault
		}
	}
	v.number, s.next, s.changed = in.Cur, in.Next, true
	return err
}
