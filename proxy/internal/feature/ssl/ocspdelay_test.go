package ssl

import (
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

func TestRenewalDelays(t *testing.T) {
	p := certtest.NewCA(t, "ca").Issue(t, "a.test")
	now := time.Now().Truncate(time.Second)
	u := &ocspUpdates{shortest: shortestDelay, longest: longestDelay}
	for _, x := range []struct {
		good, want time.Duration
	}{
		{24 * time.Hour, time.Hour},             // not less often than that
		{time.Hour, 54 * time.Minute},           // before its end, as HAProxy sees it, and a minute
		{30 * time.Minute, 24 * time.Minute},    //
		{8 * time.Minute, 5 * time.Minute},      // not more often
		{-10 * time.Minute, 5 * time.Minute},    //
		{65*time.Minute + 59, 59 * time.Minute}, // the fraction does not count
	} {
		der := p.OCSP(t, func(r *ocsp.Response) { r.NextUpdate = now.Add(x.good) })
		if got := u.after(der, now).Sub(now); got != x.want {
			t.Errorf("a response that is good for %v: renewed after %v, want %v", x.good, got, x.want)
		}
	}
	for row, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 1000: time.Hour} {
		if got := u.backOff(row); got != want {
			t.Errorf("after %d failures: %v, want %v", row, got, want)
		}
	}
	u.shortest, u.longest = 0, 10*time.Second
	if got := u.backOff(5); got < 0 || got > 10*time.Second {
		t.Errorf("no shortest delay: %v", got)
	}
}
