package stream_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Many changes at once are balanced over once: a ring over many servers takes its
// time, and whoever applies a configuration holds a lock.
func TestBatchBuildsOnce(t *testing.T) {
	now := time.Now()
	built := 0
	how := stream.Balance{New: func(c *balance.Config, set balance.Set, old balance.Picker) balance.Picker {
		built++
		return balance.RoundRobin(c, set, old)
	}}
	at := func(weight int) *server.Settings {
		return &server.Settings{Weight: weight, Addr: reactor.Addr{IP: netip.MustParseAddr("127.0.0.1"), Port: 80}}
	}
	be := stream.NewBackState("app", 1, now)
	be.SetBalance(how, false)
	s1 := server.New("app", "s1", 1, 1, at(1), now)
	s2 := server.New("app", "s2", 2, 1, at(1), now)
	be.Add(s1)
	built = 0
	be.Batch(now, func() {
		s1.Replace(now, at(5))
		be.SetServers([]*server.Server{s1, s2})
		be.SetBalance(how, false)
	})
	if built != 1 {
		t.Errorf("built %d times", built)
	}
	if got := be.Picker().Pick(balance.Query{}); got == nil {
		t.Error("no server")
	}
}
