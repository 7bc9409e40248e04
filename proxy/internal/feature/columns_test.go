package feature

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// The columns of modules stand in HAProxy's order (oracle, show stat), whichever
// package registers its own first.
func TestModuleOrder(t *testing.T) {
	header, _, _ := strings.Cut(bed.Ask(t, bed.Start(t, 1, ""), "show stat"), "\n")
	_, own, _ := strings.Cut(header, ",-,")
	ssl, h2 := strings.Index(own, "ssl_"), strings.Index(own, "h2_")
	if ssl != 0 || h2 < strings.LastIndex(own, "ssl_") {
		t.Error(own)
	}
}
