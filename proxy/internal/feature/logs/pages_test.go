package logs_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// The page's examples load.
func TestPage(t *testing.T) { bed.Sound(t, bed.Examples(t, "README.md")) }
