package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

func TestSpreadSettings(t *testing.T) {
	s := bed.MustLoad(t, 1, "global\n spread-checks 5\n max-spread-checks 2s\n")
	if got := spreadOf(s.Global); got != (spread{5, 2 * time.Second}) {
		t.Errorf("%+v", got)
	}
	for line, want := range map[string]string{
		"spread-checks 60":                    "'spread-checks' needs a positive value in range 0..50.",
		"spread-checks 5\n spread-checks 6":   "spread-checks already specified. Continuing.",
		"max-spread-checks":                   "'max-spread-checks' expects <time> as argument.",
		"max-spread-checks 5x":                "unsupported character 'x' in 'max-spread-checks' (wants an integer delay).",
		"max-spread-checks 99999999999999999": "timer overflow in argument '99999999999999999' to 'max-spread-checks' (maximum value is 2147483647 ms or ~24.8 days)",
	} {
		if _, d := bed.Load(1, "global\n "+line+"\n"); !strings.Contains(fmt.Sprint(d.All()), want) {
			t.Errorf("%s: %v, want %s", line, d.All(), want)
		}
	}
}
