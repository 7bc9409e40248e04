package snapshot

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

// withCarriers adds carriers for one test, in front of and behind the others.
func withCarriers(t *testing.T, first, last Carrier) {
	was := carriers
	t.Cleanup(func() { carriers = was })
	carriers = append(append([]Carrier{first}, was...), last)
}

// Each phase sees what it was promised.
func TestPhases(t *testing.T) {
	b := newBed(t, 1)
	var log []string
	unlocked := func() bool {
		if !b.w.Mu.TryLock() {
			return false
		}
		b.w.Mu.Unlock()
		return true
	}
	say := func(what string, visible, locked bool, tr *Transition) {
		log = append(log, what)
		if (b.w.Snapshot() == tr.New) != visible || unlocked() == locked || b.w.Snapshot() != tr.Old && !visible {
			t.Errorf("%s: visible %v, locked %v", what, b.w.Snapshot() == tr.New, !unlocked())
		}
	}
	carrier := func(name string) Carrier {
		return Carrier{Name: name, Prepare: func(tr *Transition) (Steps, error) {
			say(name+" prepare", false, false, tr)
			if be := tr.New.Backends["b"]; name == "last" && be.BE == nil {
				t.Error("the backend has no state yet")
			}
			return Steps{
				Undo:   func() { say(name+" undo", false, false, tr) },
				Commit: func() { say(name+" commit", false, true, tr) },
				After:  func() { say(name+" after", true, false, tr) },
			}, nil
		}}
	}
	withCarriers(t, carrier("first"), carrier("last"))
	want := []string{"first prepare", "last prepare", "first commit", "last commit", "first after", "last after"}
	b.start(head + "backend b\n")
	if !slices.Equal(log, want) {
		t.Error(log)
	}
	log = nil
	b.apply(head + "backend b\n retries 1\n")
	if !slices.Equal(log, want) {
		t.Error(log)
	}
	log = nil
	Apply(b.w, b.load("global\n chroot /x\nbackend b\n"))
	Changes(b.w, b.load(head+"backend b\n"))
	if len(log) > 0 {
		t.Error("prepared for nothing:", log)
	}
}

// What a carrier refuses leaves everything as it was, whatever others prepared.
func TestRefusalChangesNothing(t *testing.T) {
	b := newBed(t, 2)
	p := freePorts(t, 2)
	one := origin(t, "one")
	text := func(servers, more string) string {
		return head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\n default_backend app\nbackend app\n%s", p[0], servers) + more
	}
	b.start(text(" server s1 "+one+"\n", ""))
	next := text(" balance leastconn\n server s1 "+one+" weight 5\n server s2 "+one+"\n", fmt.Sprintf("frontend f2\n bind 127.0.0.1:%d\n", p[1]))
	before := b.w.Snapshot()
	be := before.Backends["app"].BE
	server, set := be.Server("s1"), be.Server("s1").Settings()
	var refusal error
	undone := 0
	withCarriers(t,
		Carrier{Name: "first", Prepare: func(*Transition) (Steps, error) {
			return Steps{Undo: func() { undone++ }, Commit: func() { t.Error("committed") }, After: func() { t.Error("finished") }}, nil
		}},
		Carrier{Name: "last", Prepare: func(*Transition) (Steps, error) { return Steps{}, refusal }})
	for _, c := range []struct {
		refusal, want error
		line          string
	}{
		{errors.New("the ring is too small"), nil, ""},
		{Refusal{"ring r has another size", "map m is gone"}, ErrNeedsReload, "! ring r has another size: needs a reload\n! map m is gone: needs a reload\n"},
	} {
		refusal, undone = c.refusal, 0
		if c.want == nil {
			c.want = refusal
		}
		changes, err := Apply(b.w, b.load(next))
		if !errors.Is(err, c.want) || !strings.HasSuffix(lines(changes), c.line) {
			t.Errorf("%v\n%s", err, lines(changes))
		}
		if undone != 1 {
			t.Errorf("undone %d times", undone)
		}
		b.sync()
		if b.w.Snapshot() != before || len(b.w.Listeners) != 1 || len(be.Servers()) != 1 || be.Server("s1") != server || server.Settings() != set || server.Weight() != 1 {
			t.Error("something was changed")
		}
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p[1])); err == nil {
			conn.Close()
			t.Error("a listener of the refused configuration is open")
		}
		if got := dial(t, p[0]).get(); got != "one" {
			t.Error(got)
		}
	}
}

// What commands change while a configuration is prepared is prepared for again.
func TestStalePreparation(t *testing.T) {
	b := newBed(t, 1)
	p := freePorts(t, 1)
	text := head + fmt.Sprintf("frontend web\n bind 127.0.0.1:%d\nbackend app\n server s1 127.0.0.1:1\n", p[0])
	b.start(text)
	app, web := b.w.Snapshot().Backends["app"].BE, b.w.Snapshot().Frontends["web"].FE
	for _, disturb := range []func(){
		func() { app.Remove(app.Server("s1")) },
		func() { web.Stopped.Store(true) },
	} {
		prepared := 0
		func() {
			was := carriers
			defer func() { carriers = was }()
			RegisterCarrier(Carrier{Name: "test", Prepare: func(*Transition) (Steps, error) {
				if prepared++; prepared == 1 {
					disturb()
				}
				return Steps{}, nil
			}})
			b.apply(text)
		}()
		if prepared != 2 {
			t.Errorf("prepared %d times", prepared)
		}
	}
	if s := app.Server("s1"); s == nil || s.Deleted() {
		t.Error("the server of the file is not there")
	}
	if len(b.w.Listeners) != 0 {
		t.Error("the frontend that was shut down listens")
	}
}

// An obstacle that a carrier names is told, and nothing is prepared.
func TestObstacles(t *testing.T) {
	b := newBed(t, 1)
	b.start(head)
	withCarriers(t, Carrier{Prepare: func(*Transition) (Steps, error) { t.Error("prepared"); return Steps{}, nil }},
		Carrier{Obstacles: func(tr *Transition) []string {
			if tr.Old != b.w.Snapshot() || tr.New == nil {
				t.Error("of which configurations?")
			}
			return []string{"log /dev/log"}
		}})
	snap := b.load(head)
	if c, err := Apply(b.w, snap); !errors.Is(err, ErrNeedsReload) || !strings.Contains(lines(c), "! log /dev/log: needs a reload\n") {
		t.Error(lines(c), err)
	}
}
