package ring

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func testBuffer(size int) *Buffer { return newBuffer(&place{}, "r", size) }

func (b *Buffer) put(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
}

func (x *reader) all() (list []string) {
	for {
		event, ok := x.append(nil)
		if !ok {
			return list
		}
		list = append(list, string(event))
	}
}

// A ring has the newest events that there is room for, whatever their lengths,
// and through changes of its size; readers see each event once, or count it as
// lost.
func TestBufferAgainstList(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		size := 40 + rnd.IntN(200)
		b := testBuffer(size)
		server, slow := b.read(nil, false, nil), b.read(nil, false, nil)
		server.counts, slow.counts = true, true
		var list []string // what is to be in the ring
		var seen, late, lost int
		wrote := 0
		held := func() (n int) {
			for _, e := range list {
				n += prefix + len(e)
			}
			return n
		}
		for step := range 400 {
			switch rnd.IntN(12) {
			case 0:
				if size = 40 + rnd.IntN(200); rnd.IntN(3) == 0 {
					size = 12
				}
				kept := len(list)
				b.resize(size)
				for held() > size {
					list = list[1:]
				}
				_ = kept
			case 1, 2:
				seen += len(server.all())
			case 3:
				if rnd.IntN(4) == 0 {
					late += len(slow.all())
				}
			default:
				text := fmt.Sprint(step, strings.Repeat("x", rnd.IntN(30)))
				b.put(text)
				wrote++
				list = append(list, text[:min(len(text), longest(size))])
				for held() > size {
					list = list[1:]
				}
			}
			if got := b.read(nil, false, nil).all(); !slices.Equal(got, list) {
				t.Fatalf("seed %d, step %d: %q, want %q", seed, step, got, list)
			}
			if got := b.read(nil, true, nil).all(); got != nil {
				t.Fatalf("seed %d: behind the end there is %q", seed, got)
			}
		}
		seen, late = seen+len(server.all()), late+len(slow.all())
		lost = int(b.lost())
		if seen+late+lost != 2*wrote {
			t.Fatalf("seed %d: %d events, read by one %d, by the other %d, lost %d", seed, wrote, seen, late, lost)
		}
	}
}

// What readers of commands miss is no loss, and who has gone counts no more.
func TestDroppedCounts(t *testing.T) {
	b := testBuffer(40)
	b.read(nil, false, nil)
	x := b.read(nil, false, nil)
	x.counts = true
	for i := range 10 {
		b.put(fmt.Sprint("event ", i)) // 11 bytes: three of them
	}
	if n := b.lost(); n != 7 {
		t.Errorf("%d are lost before it was read, want 7", n)
	}
	if got := x.all(); len(got) != 3 || got[2] != "event 9" {
		t.Errorf("%q", got)
	}
	x.close()
	b.put("more")
	if n := b.lost(); n != 7 {
		t.Errorf("%d are lost, want 7", n)
	}
}

// A reader that goes back reads again; one that went back too far reads what there
// is.
func TestReadAgain(t *testing.T) {
	b := testBuffer(40)
	x := b.read(nil, false, nil)
	b.put("a")
	b.put("b")
	first := x.next
	x.all()
	x.back(first)
	if got := x.all(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	for range 9 {
		b.put("c")
	}
	x.back(first)
	if got := x.all(); len(got) != 8 || got[0] != "c" {
		t.Errorf("%q", got)
	}
}

func BenchmarkWrite(bench *testing.B) {
	b := testBuffer(1 << 20)
	event := append(binary.BigEndian.AppendUint32(nil, 200), make([]byte, 200)...)
	for bench.Loop() {
		b.mu.Lock()
		b.write(event)
		b.mu.Unlock()
	}
}
