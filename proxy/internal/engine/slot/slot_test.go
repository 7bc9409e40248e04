package slot_test

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

type line struct{ slots slot.Values }

func (l *line) Slots() *slot.Values { return &l.slots }

type other struct{ slots slot.Values }

func (o *other) Slots() *slot.Values { return &o.slots }

type list struct{ words []string }

func (l *list) Clone() *list { return &list{append([]string(nil), l.words...)} }

func (l *list) Reset() { l.words = l.words[:0] }

var (
	numbers = slot.New[*line, int]()
	lists   = slot.New[*line, list]()
	others  = slot.New[*other, string]()
)

func TestSlots(t *testing.T) {
	l, o := new(line), new(other)
	if numbers.Of(l) != nil || lists.Of(l) != nil || others.Of(o) != nil {
		t.Fatal("values before there are any")
	}
	*numbers.Make(l) = 7
	lists.Make(l).words = []string{"a"}
	others.Set(o, "x")
	if *numbers.Of(l) != 7 || *numbers.Make(l) != 7 || lists.Of(l).words[0] != "a" || *others.Of(o) != "x" {
		t.Error(*numbers.Of(l), lists.Of(l), *others.Of(o))
	}

	// A copy has its own set of the same values.
	c := *l
	numbers.Set(&c, 8)
	if *numbers.Of(l) != 7 || *numbers.Of(&c) != 8 || lists.Of(l) != lists.Of(&c) {
		t.Error("what hangs on a copy shows at the original, or it shares nothing")
	}
	lists.Edit(&c).words = []string{"b"}
	if lists.Of(l).words[0] != "a" || lists.Of(&c).words[0] != "b" {
		t.Error("an edited value is shared")
	}
	d := line{l.slots.Clone()}
	*numbers.Of(&d) = 9
	lists.Of(&d).words[0] = "d"
	if *numbers.Of(l) != 7 || lists.Of(l).words[0] != "a" {
		t.Error("a clone shares values")
	}

	d.slots.Reset()
	if *numbers.Of(&d) != 0 || len(lists.Of(&d).words) != 0 || cap(lists.Of(&d).words) == 0 {
		t.Error("after Reset:", *numbers.Of(&d), lists.Of(&d))
	}
	if n := testing.AllocsPerRun(100, func() { d.slots.Reset(); lists.Make(&d).words = append(lists.Make(&d).words, "e") }); n > 0 {
		t.Errorf("%v allocations for each use of a pooled object", n)
	}
	if n := testing.AllocsPerRun(100, func() { numbers.Set(new(line), 1) }); n > 2 {
		t.Errorf("%v allocations for an object and its first value", n)
	}
	if size := unsafe.Sizeof(slot.Values{}); size > 8 {
		t.Errorf("values take %d bytes of each object", size)
	}
}

type living struct{ slots slot.Live }

func (l *living) LiveSlots() *slot.Live { return &l.slots }

var counts, names = slot.NewLive[*living, struct {
	sync.Mutex
	n int
}](), slot.NewLive[*living, string]()

func TestLive(t *testing.T) {
	l := new(living)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				c := counts.In(l)
				c.Lock()
				c.n++
				c.Unlock()
				names.In(l)
			}
		})
	}
	wg.Wait()
	if n := counts.In(l).n; n != 800 {
		t.Errorf("%d of 800 counted", n)
	}
}
