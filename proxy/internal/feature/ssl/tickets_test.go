package ssl

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// sealer is either kind of keys.
type sealer interface {
	seal(state, policy []byte, now time.Time) []byte
	open(ticket, policy []byte, now time.Time, lifetime time.Duration) []byte
}

func ticketKey(t *testing.T, n int) TicketKey {
	t.Helper()
	k := make([]byte, n)
	rand.Read(k)
	return k
}

func ticketRing(keys ...TicketKey) *TicketKeys {
	k := &TicketKeys{}
	k.ring.Store(&keys)
	return k
}

func newSecret() []byte {
	secret := make([]byte, life.SecretSize)
	rand.Read(secret)
	return secret
}

func TestTickets(t *testing.T) {
	policy, other := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	now := time.Unix(1_700_000_000, 0)
	const lifetime = 300 * time.Second
	for name, k := range map[string]sealer{
		"derived": newDerived(newSecret()),
		"AES-128": ticketRing(ticketKey(t, 48), ticketKey(t, 48), ticketKey(t, 48)),
		"AES-256": ticketRing(ticketKey(t, 80), ticketKey(t, 80), ticketKey(t, 80)),
	} {
		for _, size := range []int{0, 1, 11, 12, 13, 200, 5000} {
			state := make([]byte, size)
			rand.Read(state)
			ticket := k.seal(state, policy[:], now)
			open := func(ticket []byte, policy [32]byte, at time.Time) []byte {
				return k.open(ticket, policy[:], at, lifetime)
			}
			if got := open(ticket, policy, now.Add(lifetime-time.Second)); got == nil && size > 0 || !bytes.Equal(got, state) {
				t.Errorf("%s: a session of %d bytes does not come back", name, size)
			}
			if size == 0 {
				continue
			}
			if bytes.Contains(ticket, state) && size > 10 {
				t.Errorf("%s: the session can be read in the ticket", name)
			}
			if bytes.Equal(ticket, k.seal(state, policy[:], now)) {
				t.Errorf("%s: two tickets are equal", name)
			}
			if open(ticket, other, now) != nil {
				t.Errorf("%s: taken under another policy", name)
			}
			if open(ticket, policy, now.Add(lifetime+time.Second)) != nil {
				t.Errorf("%s: taken after its lifetimetime", name)
			}
			if open(ticket, policy, now.Add(-time.Hour)) != nil {
				t.Errorf("%s: taken before it was made", name)
			}
			for i := range len(ticket) {
				bad := bytes.Clone(ticket)
				bad[i] ^= 1
				if open(bad, policy, now) != nil {
					t.Errorf("%s: taken with byte %d of %d changed", name, i, len(ticket))
				}
				if i < 400 && open(ticket[:i], policy, now) != nil {
					t.Errorf("%s: taken when cut to %d bytes", name, i)
				}
			}
		}
	}
}

func TestTicketsOutliveTheProcess(t *testing.T) {
	policy := sha256.Sum256(nil)
	secret := newSecret()
	now := time.Unix(1_700_000_000, 0)
	ticket := newDerived(secret).seal([]byte("session"), policy[:], now)
	// two hours later the key is another one
	next := newDerived(secret)
	next.seal(nil, policy[:], now.Add(2*time.Hour))
	if got := next.open(ticket, policy[:], now.Add(2*time.Hour), 24*time.Hour); string(got) != "session" {
		t.Errorf("the next process reads %q", got)
	}
	if newDerived(newSecret()).open(ticket, policy[:], now, time.Hour) != nil {
		t.Error("a process with another secret reads it")
	}
	for i := range 3 * maxEpochs {
		next.key(uint32(i * epoch))
	}
	if n := len(*next.byTime.Load()); n > maxEpochs {
		t.Errorf("%d keys are kept", n)
	}
}

func TestTicketKeysRotate(t *testing.T) {
	policy := sha256.Sum256(nil)
	now := time.Now()
	k := ticketRing(ticketKey(t, 80), ticketKey(t, 80), ticketKey(t, 80))
	ticket := k.seal([]byte("session"), policy[:], now)
	if !bytes.Equal(ticket[:16], k.Keys()[1][:16]) {
		t.Error("not sealed with the last key but one")
	}
	for i, want := range []bool{true, false} {
		if err := k.Push(base64.StdEncoding.EncodeToString(ticketKey(t, 80))); err != nil {
			t.Fatal(err)
		}
		if got := k.open(ticket, policy[:], now, time.Hour) != nil; got != want {
			t.Errorf("opens after %d changes: %v", i+1, got)
		}
	}
	for _, bad := range []string{"", "x", base64.StdEncoding.EncodeToString(ticketKey(t, 48)), base64.StdEncoding.EncodeToString(ticketKey(t, 79))} {
		if k.Push(bad) == nil {
			t.Errorf("%q was taken as a key", bad)
		}
	}
}

// A file has more keys than are kept: the newest ones count, as in HAProxy.
func TestTicketKeyFile(t *testing.T) {
	var lines []string
	var keys []TicketKey
	for range 5 {
		k := ticketKey(t, 48)
		keys = append(keys, k)
		lines = append(lines, base64.StdEncoding.EncodeToString(k))
	}
	name := certtest.Write(t, t.TempDir(), "keys", []byte(strings.Join(lines, "\r\n")))
	c := &conf.Ctx{Loading: &conf.Loading{Snap: &stream.Snapshot{Global: &stream.Global{}}, Files: bundle.Disk{}, Diags: new(config.Diagnostics)}}
	k, err := loadTicketKeys(c, name)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range keys[2:] {
		if !bytes.Equal(k.Keys()[i], want) {
			t.Errorf("key %d is another one", i)
		}
	}
	if again, _ := loadTicketKeys(c, name); again != k || len(TicketKeysOf(c.Snap.Global)) != 1 {
		t.Error("the file was read twice")
	}
}

func TestSessionCache(t *testing.T) {
	c := newSessionCache()
	a, b := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))
	now := time.Unix(1_700_000_000, 0)
	until := now.Add(time.Minute)
	first := c.put([]byte("one"), a, until, 3*sessionBlock)
	if got := c.get(first, a, now); string(got) != "one" {
		t.Errorf("kept %q", got)
	}
	if c.get(first, b, now) != nil {
		t.Error("given under another policy")
	}
	if c.get(make([]byte, 32), a, now) != nil || c.get(nil, a, now) != nil || c.get(make([]byte, 33), a, now) != nil {
		t.Error("given for a number that was never given out")
	}
	if c.get(first, a, until.Add(1)) != nil || c.get(first, a, now) != nil {
		t.Error("given after its time")
	}
	var ids [][]byte
	for range 10 {
		ids = append(ids, c.put(make([]byte, sessionBlock/2), a, until, 3*sessionBlock))
	}
	for i, id := range ids {
		if got := c.get(id, a, now) != nil; got != (i >= 7) {
			t.Errorf("session %d of 10 is there: %v", i, got)
		}
	}
	if c.limit(2 * sessionBlock); c.get(ids[7], a, now) != nil || c.get(ids[8], a, now) == nil {
		t.Error("a new limit does not drop the oldest one alone")
	}
	if c.put(make([]byte, 10*sessionBlock), a, until, 3*sessionBlock); c.size != 0 || len(c.byID) != 0 {
		t.Errorf("a session that is too large is kept: %d bytes", c.size)
	}
}
