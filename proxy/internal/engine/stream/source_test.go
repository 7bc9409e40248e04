package stream

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// What may be spliced next is not copied in big pieces first.
func TestTunnelGrowsAfterItsChanceToSplice(t *testing.T) {
	s := h1Source{framing: message.Tunnel, in: &input{}}
	for s.full = range bulk + 1 {
		if s.full == bulk && s.spliceable() == 0 {
			t.Fatal("not spliceable")
		}
		s.grow() // would need a reactor
		if s.in.buf != nil {
			t.Errorf("grown after %d full reads", s.full)
		}
	}
}
