package balance_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// The example of the page loads, without a word of complaint.
func TestPage(t *testing.T) {
	snap := bed.Sound(t, bed.Examples(t, "README.md"))
	b := snap.Backends["cache"].Balance
	if b.Key == nil || !b.Config.Hash.Consistent || b.Config.Factor != 150 || snap.Backends["users"].FullConn != 1000 {
		t.Errorf("%+v", b)
	}
}
