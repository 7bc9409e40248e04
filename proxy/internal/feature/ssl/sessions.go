package ssl

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// sessions are those of clients that are not given tickets with the session in
// it ("no-tls-tickets"): the ticket is a number only. They are shared by all
// threads and kept through applied configurations; a master hands them from one
// worker to the next.
var sessions = newSessionCache()

func init() {
	snapshot.RegisterAfter("tls sessions", func(t *snapshot.Transition) {
		sessions.limit(DefaultsOf(t.New.Global).CacheSize * sessionBlock)
	})
}

func newSessionCache() *sessionCache {
	return &sessionCache{byID: map[[sessionID]byte]*list.Element{}}
}

const sessionID = 32

// sessionBlock is the unit of "tune.ssl.cachesize", in bytes.
const sessionBlock = 200

// sessionCache keeps sessions up to a number of bytes; the oldest ones go first.
type sessionCache struct {
	mu    sync.Mutex
	byID  map[[sessionID]byte]*list.Element
	order list.List // of *session, newest first
	size  int
}

type session struct {
	id     [sessionID]byte
	state  []byte
	policy [sha256.Size]byte
	until  time.Time
}

// put keeps a session and gives its number. max is in bytes.
func (c *sessionCache) put(state []byte, policy [sha256.Size]byte, until time.Time, max int) []byte {
	s := &session{state: state, policy: policy, until: until}
	rand.Read(s.id[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[s.id] = c.order.PushFront(s)
	c.size += s.weight()
	c.trim(max)
	return s.id[:]
}

// limit drops what is more than max bytes.
func (c *sessionCache) limit(max int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim(max)
}

// trim is limit for those who hold the lock.
func (c *sessionCache) trim(max int) {
	for c.size > max && c.order.Len() > 0 {
		c.drop(c.order.Back())
	}
}

// weight is what a session takes, in bytes, as HAProxy counts it.
func (s *session) weight() int { return (len(s.state)/sessionBlock + 1) * sessionBlock }

func (c *sessionCache) drop(e *list.Element) {
	s := c.order.Remove(e).(*session)
	delete(c.byID, s.id)
	c.size -= s.weight()
}

// get gives a session by its number, nil if there is none, it is too old, or was
// made under another policy.
func (c *sessionCache) get(id []byte, policy [sha256.Size]byte, now time.Time) []byte {
	if len(id) != sessionID {
		return nil
	}
	stream.TLSCache.Lookups.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[[sessionID]byte(id)]
	if e == nil {
		stream.TLSCache.Misses.Add(1)
		return nil
	}
	s := e.Value.(*session)
	if now.After(s.until) {
		c.drop(e)
		return nil
	}
	if s.policy != policy {
		return nil
	}
	return s.state
}
