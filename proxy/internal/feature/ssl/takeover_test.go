package ssl_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// Backends whose servers speak TLS without files of their own are taken over.
func TestServersWithoutFilesAreTakenOver(t *testing.T) {
	const text = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n" +
		"backend b\n server s1 127.0.0.1:1 ssl verify none sni str(a) alpn h2\n server s2 127.0.0.1:2 ssl verify none check-ssl\n"
	in := bed.Input(1, text)
	first, d := snapshot.Load(in)
	if first == nil {
		t.Fatal(d.All())
	}
	in = bed.Input(1, text+"backend c\n")
	in.Base = first
	next, d := snapshot.Load(in)
	if next == nil {
		t.Fatal(d.All())
	}
	if next.Backends["b"] != first.Backends["b"] {
		t.Error("a section was read anew that is what it was")
	}
}
