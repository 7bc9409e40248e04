package feature_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// large is a configuration of many backends; the weight of one server is given.
func large(port uint16, backends, servers, weight int) []byte {
	var b strings.Builder
	b.WriteString("defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n balance roundrobin\n")
	fmt.Fprintf(&b, "frontend web\n bind 127.0.0.1:%d\n use_backend %%[path]\n default_backend b0\n", port)
	for i := range backends {
		fmt.Fprintf(&b, "backend b%d\n", i)
		for j := range servers {
			w := 1
			if i == backends/2 && j == 0 {
				w = weight
			}
			fmt.Fprintf(&b, " server s%d 192.0.2.%d:%d weight %d\n", j, i%250+1, 1000+j, w)
		}
	}
	return []byte(b.String())
}

func loadLarge(tb testing.TB, text []byte, base *stream.Snapshot) *stream.Snapshot {
	s, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Text("t.cfg", text)}, Threads: 2, MaxConn: 2000, Base: base})
	if s == nil {
		tb.Fatal(d.All())
	}
	return s
}

// BenchmarkApply applies configurations of 100,000 servers of which one changes.
// It reports the median of loading and of applying, and what the heap grew by.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("%d backends of 10", n), func(b *testing.B) {
			w, port := workertest.New(b, 2), tcptest.Reserve(b).Port()
			w.Init()
			workertest.Run(b, w)
			if err := snapshot.Start(w, loadLarge(b, large(port, n, 10, 1), nil), nil); err != nil {
				b.Fatal(err)
			}
			texts := [][]byte{large(port, n, 10, 2), large(port, n, 10, 3)}
			var load, apply []time.Duration
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			live, total := m.HeapAlloc, m.TotalAlloc
			b.ResetTimer()
			for i := range b.N {
				t := time.Now()
				s := loadLarge(b, texts[i%2], w.Snapshot())
				load = append(load, time.Since(t))
				t = time.Now()
				if _, err := snapshot.Apply(w, s); err != nil {
					b.Fatal(err)
				}
				apply = append(apply, time.Since(t))
			}
			runtime.ReadMemStats(&m)
			b.ReportMetric(ms(load), "load-ms")
			b.ReportMetric(ms(apply), "apply-ms")
			b.ReportMetric(float64(live)/(1<<20), "live-MB")
			b.ReportMetric(float64(m.TotalAlloc-total)/(1<<20)/float64(b.N), "allocated-MB/op")
		})
	}
}

func ms(list []time.Duration) float64 {
	slices.Sort(list)
	return float64(list[len(list)/2].Microseconds()) / 1000
}
