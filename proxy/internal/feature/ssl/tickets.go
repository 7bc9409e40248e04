package ssl

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"maps"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
)

// tickets makes and takes the sessions of one bind line. A session is taken only
// where the policy is the one that it was made under.
type tickets struct {
	keys     *TicketKeys // nil: the process's own
	lifetime time.Duration
	cache    int // blocks of sessions that are kept here, where tickets are not wanted
}

// into sets how a configuration keeps sessions: in tickets, or with stateful here.
func (t *tickets) into(c *tls.Config, policy [sha256.Size]byte, stateful bool) {
	seal := func(state []byte) []byte { return own.seal(state, policy[:], time.Now()) }
	open := func(ticket []byte) []byte { return own.open(ticket, policy[:], time.Now(), t.lifetime) }
	switch {
	case stateful:
		seal = func(state []byte) []byte {
			return sessions.put(state, policy, time.Now().Add(t.lifetime), t.cache*sessionBlock)
		}
		open = func(id []byte) []byte { return sessions.get(id, policy, time.Now()) }
	case t.keys != nil:
		seal = func(state []byte) []byte { return t.keys.seal(state, policy[:], time.Now()) }
		open = func(ticket []byte) []byte { return t.keys.open(ticket, policy[:], time.Now(), t.lifetime) }
	}
	c.WrapSession = func(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		state, err := s.Bytes()
		if err != nil {
			return nil, err
		}
		return seal(state), nil
	}
	c.UnwrapSession = func(ticket []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
		state := open(ticket)
		if state == nil {
			return nil, nil
		}
		s, err := tls.ParseSessionState(state)
		if err != nil {
			return nil, nil // of another version of the program: a full handshake
		}
		return s, nil
	}
}

// own are the process's own keys.
var own = func() *derived {
	secret := make([]byte, life.SecretSize)
	rand.Read(secret)
	return newDerived(secret)
}()

func init() {
	// The same keys in all workers of a master: sessions outlive a worker.
	life.OnSecret(func(secret []byte) { own = newDerived(secret) })
}

// derived are keys that follow from a secret and the time. A key is used for one
// epoch; older ones open what they sealed for as long as sessions live.
type derived struct {
	secret []byte
	byTime atomic.Pointer[map[uint32]cipher.AEAD] // copied to be changed
}

// epoch is how long one key seals, in seconds.
const epoch = 3600

// maxEpochs bounds the keys that are kept; the longest lifetime of a session is
// about 600 epochs, but few sessions are that old.
const maxEpochs = 32

func newDerived(secret []byte) *derived {
	d := &derived{secret: secret}
	d.byTime.Store(&map[uint32]cipher.AEAD{})
	return d
}

// key gives the key of a moment, in seconds since 1970.
func (d *derived) key(seconds uint32) cipher.AEAD {
	n := seconds / epoch
	known := *d.byTime.Load()
	if k := known[n]; k != nil {
		return k
	}
	raw, err := hkdf.Key(sha256.New, d.secret, nil, "session tickets\x00"+string(binary.BigEndian.AppendUint32(nil, n)), 32)
	if err != nil {
		panic(err) // impossible: the length is right
	}
	block, _ := aes.NewCipher(raw)
	k, _ := cipher.NewGCM(block)
	next := make(map[uint32]cipher.AEAD, len(known)+1)
	if len(known) < maxEpochs {
		maps.Copy(next, known)
	}
	next[n] = k
	d.byTime.Store(&next)
	return k
}

// A ticket is the time of its making (4 bytes), a nonce (12), and the sealed
// session.
const ticketHead = 4 + 12

func (d *derived) seal(state, policy []byte, now time.Time) []byte {
	seconds := uint32(now.Unix())
	ticket := make([]byte, ticketHead, ticketHead+len(state)+16)
	binary.BigEndian.PutUint32(ticket, seconds)
	rand.Read(ticket[4:])
	return d.key(seconds).Seal(ticket, ticket[4:], state, additional(ticket[:4], policy))
}

// open gives the session in a ticket, nil if it is not one of ours, too old, or
// of another policy.
func (d *derived) open(ticket, policy []byte, now time.Time, lifetime time.Duration) []byte {
	if len(ticket) < ticketHead {
		return nil
	}
	seconds := binary.BigEndian.Uint32(ticket)
	if !fresh(seconds, now, lifetime) {
		return nil
	}
	state, err := d.key(seconds).Open(nil, ticket[4:ticketHead], ticket[ticketHead:], additional(ticket[:4], policy))
	if err != nil {
		return nil
	}
	return state
}

func additional(seconds, policy []byte) []byte {
	return append(append(make([]byte, 0, 4+sha256.Size), seconds...), policy...)
}

// fresh tells whether a session made at that moment may be taken. Clocks of a
// fleet may differ a little.
func fresh(seconds uint32, now time.Time, lifetime time.Duration) bool {
	age := now.Sub(time.Unix(int64(seconds), 0))
	return age < lifetime && age > -skew
}

const skew = time.Minute
