package stream_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// TestSpliceOptions: large bodies are spliced unless a proxy is against it, in the
// direction that it names, and none is for it.
func TestSpliceOptions(t *testing.T) {
	const size = 4 << 20
	const auto, req, res = stream.SpliceAuto, stream.SpliceRequest, stream.SpliceResponse
	for _, c := range []struct {
		name             string
		fe, feNo         stream.Option
		be, beNo         stream.Option
		global           bool
		request, respond bool
	}{
		{"nothing said", 0, 0, 0, 0, false, true, true},
		{"no splice-auto in the frontend", 0, auto, 0, 0, false, false, false},
		{"no splice-auto in the backend", 0, 0, 0, auto, false, false, false},
		{"no splice-request", 0, 0, 0, req, false, false, true},
		{"no splice-response", 0, res, 0, 0, false, true, false},
		{"one direction again", 0, auto, res, 0, false, false, true},
		{"the other proxy is for it", auto, 0, 0, auto, false, true, true},
		{"nosplice", auto | req | res, 0, 0, 0, true, false, false},
	} {
		for _, mode := range []stream.Mode{stream.HTTP, stream.TCP} {
			addr := origin(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				if r.Method == "GET" {
					w.Header().Set("Content-Length", strconv.Itoa(size))
					io.WriteString(w, strings.Repeat("x", size))
				}
			})
			exchange := func(b *bed, method string) int64 {
				var body io.Reader
				if method == "POST" {
					body = strings.NewReader(strings.Repeat("x", size))
				}
				r, err := http.NewRequest(method, "http://"+b.addr+"/", body)
				if err != nil {
					t.Fatal(err)
				}
				before := b.w.Counters[0].SplicedBytes.Load()
				resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || method == "GET" && n != size {
					t.Errorf("%s, mode %v, %s: %d bytes, %v", c.name, mode, method, n, err)
				}
				return b.w.Counters[0].SplicedBytes.Load() - before
			}
			for method, want := range map[string]bool{"POST": c.request, "GET": c.respond} {
				b := newBed(t, mode, []string{addr}, func(b *bed) {
					b.fe.Options, b.fe.NoOptions, b.be.Options, b.be.NoOptions = c.fe, c.feNo, c.be, c.beNo
					b.noSplice = c.global
				})
				got := exchange(b, method)
				// A tunnel is spliced once there is much at a time, which is not said.
				for tries := 0; want && got == 0 && tries < 100; tries++ {
					got = exchange(b, method)
				}
				if got > 0 != want {
					t.Errorf("%s, mode %v, %s: %d bytes are spliced", c.name, mode, method, got)
				}
			}
		}
	}
}
