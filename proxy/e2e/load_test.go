package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// load is a wrk that runs until it is told to stop.
type load struct{ *program }

// startLoad begins to send requests through the proxy, and returns when some
// have been answered.
func startLoad(p *proxy, addr string, connections int, extra ...string) *load {
	p.t.Helper()
	t, wrk := p.t, tool(p.t, "wrk")
	args := append([]string{"-t1", "-c", strconv.Itoa(connections), "-d", "900s", "--timeout", "20s"}, extra...)
	l := &load{start(t, wrk, append(args, "http://"+addr+"/")...)}
	before := p.requests()
	until(t, "the load flows", func() bool { return p.requests() > before+100 })
	return l
}

// requests counts those which the worker has seen.
func (p *proxy) requests() int {
	p.t.Helper()
	n, err := strconv.Atoi(p.info("CumReq"))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

var requestsIn = regexp.MustCompile(`(\d+) requests in`)

// finish stops it, wants not one failed request, and gives the number of good ones.
func (l *load) finish() int {
	l.t.Helper()
	l.signal(syscall.SIGINT)
	l.exit()
	l.await(1, "Transfer/sec") // the last line
	text := l.output()
	for _, bad := range []string{"Socket errors", "Non-2xx"} {
		if strings.Contains(text, bad) {
			l.t.Errorf("requests failed:\n%s", text)
		}
	}
	m := requestsIn.FindStringSubmatch(text)
	if m == nil {
		l.t.Fatalf("wrk said:\n%s", text)
	}
	n, _ := strconv.Atoi(m[1])
	if n == 0 {
		l.t.Errorf("no request was sent:\n%s", text)
	}
	return n
}
