package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scenario is one thing that is measured.
type scenario struct {
	name, what string
	threads    int
	target     float64 // highest value that is good, of the ratio or of Forebay's own value
	kind       kind
	run        func(b *bench, r *running) (sample, error)
	once       bool                                       // one round is enough: it takes long
	lines      func(b *bench) string                      // what it adds to the configuration
	starts     func(b *bench, p *program) (sample, error) // instead of run: it starts the program by itself
}

func (s *scenario) extra(b *bench) string {
	if s.lines == nil {
		return ""
	}
	return s.lines(b)
}

// kind tells what a sample's value is.
type kind uint8

const (
	cpuPerRequest  kind = iota // µs; the target is a ratio
	bytesPerClient             // the target is Forebay's own value
	latency                    // ms; the target is a ratio
	loadTime                   // ms; the target is a ratio
	bytesPerEntry              // the target is a ratio
)

func (k kind) unit() string { return [...]string{"µs", "B", "ms", "ms", "B"}[k] }

// digits is how many of a value's follow the point.
func (k kind) digits() int { return [...]int{2, 0, 2, 0, 0}[k] }

// sample is the result of one round.
type sample struct {
	value        float64
	perSecond    float64 // requests; 0: does not apply
	user, system float64 // µs a request
}

var scenarios = []scenario{
	{name: "keepalive-64", what: "keep-alive, 64 connections, one thread", threads: 1, target: 0.8, run: wrk(64, http("http"), "/")},
	{name: "keepalive-256", what: "keep-alive, 256 connections, one thread", threads: 1, target: 0.8, run: wrk(256, http("http"), "/")},
	{name: "keepalive-64-2t", what: "keep-alive, 64 connections, two threads", threads: 2, target: 0.8, run: wrk(64, http("http"), "/")},
	{name: "keepalive-256-2t", what: "keep-alive, 256 connections, two threads", threads: 2, target: 0.8, run: wrk(256, http("http"), "/")},
	{name: "always-64", what: "`http-reuse always`, 64 connections", threads: 1, target: 0.8, run: wrk(64, http("always"), "/")},
	{name: "edits", what: "10 conditions and 20 edited headers, 64 connections", threads: 1, target: 0.8, run: wrk(64, http("edits"), "/")},
	{name: "bwlim", what: "`filter bwlim-out`, 100 connections, the limit never reached", threads: 1, target: 0.8, run: wrk(100, http("bwlim"), "/")},
	{name: "gzip", what: "20 KiB of text compressed with gzip level 1, 64 connections", threads: 1, target: 0.8, run: wrk(64, http("gzip"), "/page", "-H", "Accept-Encoding: gzip")},
	{name: "uri", what: "`balance uri`, 1,000 servers, 64 connections", threads: 1, target: 0.8, run: wrk(64, http("uri"), "/some/path/of/a/file?with=query")},
	{name: "cookie", what: "a cookie inserted, 64 connections", threads: 1, target: 0.8, run: wrk(64, http("cookie"), "/")},
	{name: "close", what: "a connection per request, one thread", threads: 1, target: 1.0, run: perConnection},
	{name: "close-2t", what: "a connection per request, two threads", threads: 2, target: 1.0, run: perConnection},
	{name: "big", what: "1 MiB bodies, 16 connections", threads: 1, target: 0.7, run: wrk(16, http("http"), "/big")},
	{name: "tcp", what: "TCP mode, 200 B, 64 connections", threads: 1, target: 0.85, run: wrk(64, http("tcp"), "/")},
	{name: "tcp-big", what: "TCP mode, 1 MiB, 16 connections", threads: 1, target: 0.85, run: wrk(16, http("tcp"), "/big")},
	{name: "h2-1", what: "HTTP/2 in clear, 64 connections of 1 stream", threads: 1, target: 0.8, run: h2load(64, 1, false)},
	{name: "h2-10", what: "HTTP/2 in clear, 16 connections of 10 streams", threads: 1, target: 0.8, run: h2load(16, 10, false)},
	{name: "h2-100", what: "HTTP/2 in clear, 4 connections of 100 streams", threads: 1, target: 0.8, run: h2load(4, 100, false)},
	{name: "h2s-1", what: "HTTP/2 over TLS, 64 connections of 1 stream", threads: 1, target: 0.8, run: h2load(64, 1, true)},
	{name: "h2s-10", what: "HTTP/2 over TLS, 16 connections of 10 streams", threads: 1, target: 0.8, run: h2load(16, 10, true)},
	{name: "h2s-100", what: "HTTP/2 over TLS, 4 connections of 100 streams", threads: 1, target: 0.8, run: h2load(4, 100, true)},
	{name: "tls-keepalive", what: "keep-alive over TLS, 64 connections", threads: 1, target: 0.8, run: wrk(64, https("ecdsa"), "/")},
	{name: "tls-big", what: "1 MiB bodies over TLS, 16 connections", threads: 1, target: 1.0, run: wrk(16, https("ecdsa"), "/big")},
	{name: "tls-ecdsa", what: "full handshake, ECDSA P-256", threads: 1, target: 0.8, run: handshakes("ecdsa", false)},
	{name: "tls-rsa", what: "full handshake, RSA 2048", threads: 1, target: 1.0, run: handshakes("rsa", false)},
	{name: "tls-resumed", what: "resumed handshake", threads: 1, target: 0.8, run: handshakes("ecdsa", true)},
	mapped("str", 10, str), mapped("str", 10_000, str), mapped("str", 1_000_000, str),
	mapped("beg", 10, beg), mapped("beg", 10_000, beg), mapped("beg", 1_000_000, beg),
	mapped("ip", 10, ip), mapped("ip", 10_000, ip), mapped("ip", 1_000_000, ip),
	// HAProxy compares expressions one by one: more of them make no sense.
	mapped("reg", 10, reg), mapped("reg", 100, reg), mapped("reg", 1_000, reg),
	loading("str", str), loading("beg", beg), loading("ip", ip),
	entrySize("str", str), entrySize("beg", beg), entrySize("ip", ip),
	{name: "p99", what: "99th percentile at 15,000 requests a second", threads: 1, target: 1.0, kind: latency, run: percentile},
	{name: "idle", what: "idle connection", threads: 1, target: 600, kind: bytesPerClient, run: idle, once: true},
	{name: "idle-h2", what: "idle HTTP/2 connection in clear", threads: 1, target: 2500, kind: bytesPerClient, run: idleConns(2000, dialH2), once: true},
	{name: "idle-tls", what: "idle connection under TLS", threads: 1, target: 10000, kind: bytesPerClient, run: idleConns(2000, dialTLS("http/1.1")), once: true},
	{name: "idle-h2s", what: "idle HTTP/2 connection under TLS", threads: 1, target: 12000, kind: bytesPerClient, run: idleConns(2000, dialTLS("h2")), once: true},
	{name: "burst", what: "a minute after 9,000 requests at once, a connection", threads: 1, target: 2048, kind: bytesPerClient, run: burst, once: true},
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in ([\d.]+)(us|ms|s|m)`)
	wrkTrouble  = regexp.MustCompile(`(?m)^.*(Socket errors|Non-2xx).*$`)
)

// Where the scenarios send their requests.

func http(port string) func(*running) string {
	return func(r *running) string { return "http://" + r.at[port].String() }
}

func https(port string) func(*running) string {
	return func(r *running) string { return "https://" + r.at[port].String() }
}

// wrk loads a proxy with wrk, with more arguments of its own.
func wrk(connections int, to func(*running) string, path string, more ...string) func(*bench, *running) (sample, error) {
	return func(b *bench, r *running) (sample, error) {
		var out []byte
		return b.timed(r, func() (int64, error) {
			var err error
			out, err = exec.Command("wrk", append(more, "-t1", "-c"+strconv.Itoa(connections), "-d"+strconv.Itoa(int(b.length.Seconds()))+"s", to(r)+path)...).CombinedOutput()
			if err != nil {
				return 0, fmt.Errorf("wrk: %w\n%s", err, out)
			}
			if bad := wrkTrouble.Find(out); bad != nil {
				return 0, fmt.Errorf("wrk: %s", strings.TrimSpace(string(bad)))
			}
			m := wrkRequests.FindSubmatch(out)
			if m == nil {
				return 0, fmt.Errorf("cannot read what wrk says:\n%s", out)
			}
			return strconv.ParseInt(string(m[1]), 10, 64)
		})
	}
}

// timed measures the CPU time per request of what f does.
func (b *bench) timed(r *running, f func() (int64, error)) (sample, error) {
	before, err := r.cpu()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	n, err := f()
	took := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	if n == 0 {
		return sample{}, fmt.Errorf("no request succeeded")
	}
	after, err := r.cpu()
	if err != nil {
		return sample{}, err
	}
	u := after.sub(before)
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }
	return sample{value: per(u.total), perSecond: float64(n) / took.Seconds(), user: per(u.user), system: per(u.system)}, nil
}

func perConnection(b *bench, r *running) (sample, error) {
	return b.timed(r, func() (int64, error) { return closing(r.at["close"], 64, b.length) })
}

// fixedRate is the load of the latency scenario, in requests a second.
const fixedRate = 15000

func percentile(b *bench, r *running) (sample, error) {
	k, err := newKeep(r.at["http"], 64)
	if err != nil {
		return sample{}, err
	}
	defer k.close()
	if _, err := k.rate(fixedRate, time.Second); err != nil {
		return sample{}, err
	}
	all, err := k.rate(fixedRate, b.length)
	if err != nil {
		return sample{}, err
	}
	slices.Sort(all)
	p := all[len(all)*99/100]
	return sample{value: float64(p.Microseconds()) / 1000, perSecond: float64(len(all)) / b.length.Seconds()}, nil
}

// steadyMemory is the resident memory when it has stopped changing: when it was the
// same, but for a little, for some seconds, or the time is over.
func steadyMemory(r *running, limit time.Duration) (int64, error) {
	last, err := r.rss()
	same := 0
	for end := time.Now().Add(limit); err == nil && same < 8 && time.Now().Before(end); {
		time.Sleep(time.Second)
		var now int64
		now, err = r.rss()
		if d := now - last; d < 32<<10 && d > -32<<10 {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return last, err
}

// base is the memory of a proxy that has worked and rests.
func base(b *bench, r *running) (int64, error) {
	if _, err := wrk(64, http("http"), "/")(b, r); err != nil {
		return 0, err
	}
	return steadyMemory(r, 20*time.Second)
}

func idle(b *bench, r *running) (sample, error) {
	return memory(b, r, "http", 5000, getSmall, func() (int64, error) { return steadyMemory(r, 40*time.Second) })
}

func burst(b *bench, r *running) (sample, error) {
	return memory(b, r, "hold", held, getHold, func() (int64, error) {
		time.Sleep(time.Minute)
		return r.rss()
	})
}

// memory is what n connections take, long after a request on each of them at the
// same time.
func memory(b *bench, r *running, port string, n int, req string, rest func() (int64, error)) (sample, error) {
	before, err := base(b, r)
	if err != nil {
		return sample{}, err
	}
	k, err := newKeep(r.at[port], n)
	if err != nil {
		return sample{}, err
	}
	defer k.close()
	if req == getSmall {
		err = k.each(req)
	} else {
		err = k.all(req)
	}
	if err != nil {
		return sample{}, err
	}
	after, err := rest()
	return sample{value: float64(after-before) / float64(n)}, err
}
