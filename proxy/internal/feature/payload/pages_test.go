package payload_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// The example of the page loads, but for its backends.
func TestPage(t *testing.T) {
	text := bed.Examples(t, "README.md")
	for _, name := range []string{"shop", "acme", "rest"} {
		text += "backend " + name + "\n mode tcp\n timeout connect 5s\n timeout server 1m\n server s 192.0.2.1:443\n"
	}
	bed.Sound(t, text)
}
