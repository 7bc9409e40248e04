package ssl

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	const command = "_getsessions"
	runtimeapi.Register(runtimeapi.Command{Words: command, Level: runtimeapi.Admin, Run: handOver})
	life.Leave(life.Legacy{What: "TLS sessions", Command: command, Take: takeOver})
}

// maxHanded bounds the sessions that are handed over, in bytes; the newest ones
// go.
const maxHanded = 8 << 20

// handed is a session on its way to another process.
type handed struct {
	ID     [sessionID]byte
	State  []byte
	Policy [sha256.Size]byte
	Until  time.Time
}

func handOver(c *runtimeapi.Conn, _ []string) error {
	c.Quit() // no empty line behind it
	if !c.ExposeFD {
		return nil
	}
	var b bytes.Buffer
	stream.Await(c.R, func() {
		if list := sessions.newest(maxHanded, time.Now()); len(list) > 0 {
			gob.NewEncoder(&b).Encode(list)
		}
	})
	_, err := c.Write(b.Bytes())
	return err
}

// takeOver puts the sessions of another worker among ours: what [handOver] gave,
// which is of no use if that worker does not know the command.
func takeOver(reply []byte) {
	var list []handed
	if gob.NewDecoder(bytes.NewReader(reply)).Decode(&list) == nil {
		sessions.take(list)
	}
}

// newest gives sessions of at most max bytes, the newest first.
func (c *sessionCache) newest(max int, now time.Time) (list []handed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(*session)
		if max -= s.weight(); max < 0 {
			break
		}
		if now.Before(s.until) {
			list = append(list, handed{s.id, s.state, s.policy, s.until})
		}
	}
	return list
}

// take adds sessions, the newest first.
func (c *sessionCache) take(list []handed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range list {
		if c.byID[h.ID] == nil {
			s := &session{id: h.ID, state: h.State, policy: h.Policy, until: h.Until}
			c.byID[s.id] = c.order.PushBack(s)
			c.size += s.weight()
		}
	}
}
