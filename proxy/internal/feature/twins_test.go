package feature_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// Two frontends that listen on one address both get connections, as far as the
// kernel spreads them.
func TestFrontendsOfOneAddress(t *testing.T) {
	text := fmt.Sprintf("defaults\n mode http\n timeout client 10s\nfrontend f\n bind 127.0.0.1:%[1]d\n bind 127.0.0.1:%[1]d\n http-request return hdr X-By f\n"+
		"frontend g\n bind 127.0.0.1:%[1]d\n http-request return hdr X-By g\n", freePort(t))
	snap := bed.MustLoad(t, 2, text)
	bed.StartSnapshot(t, snap)
	url := "http://" + snap.Frontends["f"].Binds[0].Addr.String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	seen := map[string]int{}
	for n := 0; (seen["f"] == 0 || seen["g"] == 0) && n < 1000; n++ {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		seen[res.Header.Get("X-By")]++
	}
	if seen["f"] == 0 || seen["g"] == 0 || len(seen) != 2 {
		t.Error(seen)
	}
}
