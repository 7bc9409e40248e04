package ssl

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"testing"
	"time"
)

func TestSessionsAreHandedOver(t *testing.T) {
	now := time.Now()
	policy := [sha256.Size]byte{1}
	old, next := newSessionCache(), newSessionCache()
	const max = 100 * sessionBlock
	var ids [][]byte
	for i := range 5 {
		until := now.Add(time.Hour)
		if i == 3 {
			until = now.Add(-time.Second)
		}
		ids = append(ids, old.put([]byte{byte(i)}, policy, until, max))
	}
	own := next.put([]byte("own"), policy, now.Add(time.Hour), max)
	next.take(old.newest(4*sessionBlock, now)) // the first one is too much
	next.take(old.newest(4*sessionBlock, now)) // once is enough
	if next.size != 4*sessionBlock || next.order.Len() != 4 {
		t.Errorf("%d bytes, %d sessions", next.size, next.order.Len())
	}
	for i, want := range []bool{false, true, true, false, true} {
		if got := next.get(ids[i], policy, now); (got != nil) != want || want && !bytes.Equal(got, []byte{byte(i)}) {
			t.Errorf("session %d: %v", i, got)
		}
	}
	// The newest go last.
	next.limit(2 * sessionBlock)
	if next.get(own, policy, now) == nil || next.get(ids[4], policy, now) == nil || next.get(ids[2], policy, now) != nil {
		t.Error("not in their order")
	}
}

// What is no reply to the command does no harm.
func TestTakeOverOfAnything(t *testing.T) {
	var b bytes.Buffer
	gob.NewEncoder(&b).Encode([]handed{{State: []byte("x")}})
	for _, reply := range [][]byte{nil, []byte("\n"), []byte("Unknown command: '_getsessions'\n\n"), b.Bytes()[:b.Len()-1]} {
		was := sessions.size
		takeOver(reply)
		if sessions.size != was {
			t.Errorf("%q is taken", reply)
		}
	}
}
