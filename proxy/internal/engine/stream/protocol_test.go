package stream_test

import (
	"slices"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The names of "proto" and of ALPN are those of the protocols that registered.
func TestProtocolsByName(t *testing.T) {
	for name, want := range map[string][]string{"": {"h2", "http/1.1"}, "h1": {"http/1.1"}, "h2": {"h2"}, "none": {}, "nosuch": {}} {
		if got := stream.ALPN(name); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for name, mode := range map[string]stream.Mode{"h1": stream.HTTP, "h2": stream.HTTP, "none": stream.TCP} {
		if p := stream.ProtocolNamed(name); p == nil || p.Name != name || p.Mode != mode || !p.ForClients() {
			t.Errorf("%q: %+v", name, p)
		}
	}
	if stream.ProtocolNamed("nosuch") != nil || stream.ProtocolNamed("") != nil {
		t.Error("a protocol that nobody registered")
	}
}
