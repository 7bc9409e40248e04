package feature_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// everywhere gets a value from every fetch that there is, with each of a few
// arguments, wherever "test_everything" stands.
var everywhere struct {
	expressions int
	ran         [5]atomic.Int64
	bare        atomic.Pointer[[]string] // what went wrong in a scope without session and stream
}

func init() {
	sample.RegisterFetch(sample.Fetch{Name: "test_everything", Args: "place", Out: sample.Int, Where: sample.Everywhere, Compile: everything})
}

func everything(c *conf.Ctx, args []string) (sample.Func, error) {
	var list []*sample.Expr
	for _, name := range sample.Names() {
		if len(name) > 5 && name[:5] == "test_" {
			continue
		}
		arguments := []string{"", "(x)", "(1)", "(1,2)", "(x,1)"}
		switch name { // these are told when all proxies are known
		case "be_conn", "nbsrv", "queue", "avg_queue", "be_conn_free", "be_sess_rate", "connslots":
			arguments = []string{"(app)"}
		case "srv_conn", "srv_conn_free", "srv_is_up", "srv_iweight", "srv_queue", "srv_sess_rate", "srv_uweight", "srv_weight":
			arguments = []string{"(app/s1)"}
		case "fe_conn":
			arguments = []string{"(web)"}
		}
		for _, a := range arguments {
			// What a fetch of this place may not use is none of this test's business.
			if e, err := sample.Parse(c, name+a); err == nil {
				list = append(list, e)
			}
		}
	}
	everywhere.expressions = len(list)
	place := int(args[0][0] - '0')
	return func(sc *stream.Scope, v *sample.Value, n int) bool {
		if n > 0 {
			return false
		}
		for _, e := range list {
			for i := sample.Single; i < 2; i++ {
				e.Nth(sc, v, i)
			}
		}
		if place == 0 {
			everywhere.bare.Store(evaluateBare(sc, list))
		}
		everywhere.ran[place].Add(1)
		return v.SetInt(int64(len(list)))
	}, nil
}

// evaluateBare gets the values in a scope as a record of log-forward has it, with the
// section's proxy and nothing else, and gives what went wrong.
func evaluateBare(sc *stream.Scope, list []*sample.Expr) *[]string {
	var wrong []string
	one := func(e *sample.Expr) {
		defer func() {
			if r := recover(); r != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", e.Fetch.Name, r))
			}
		}()
		bare := &stream.Scope{W: sc.W, R: sc.R, Snap: sc.Snap, FE: sc.FE}
		var v sample.Value
		some := false
		for i := sample.Single; i < 2; i++ {
			some = e.Nth(bare, &v, i) || some
		}
		if some && !e.Usable(sample.ConfigParser|sample.CommandLine) && !withoutStream[e.Fetch.Name] {
			wrong = append(wrong, e.Fetch.Name+" has a value without what it is taken from")
		}
	}
	for _, e := range list {
		one(e)
	}
	return &wrong
}

// withoutStream are fetches that have a value nevertheless: of the section, or that
// there is no such connection.
var withoutStream = map[string]bool{
	"fe_id": true, "fe_name": true,
	"bc_http_major": true, "ssl_bc": true, "ssl_bc_is_resumed": true, "ssl_fc": true, "ssl_fc_has_sni": true, "ssl_fc_is_resumed": true,
}

const places = `
global
    log 127.0.0.1:%d local0
    nbthread 1
defaults
    mode http
    log global
    log-format %%[test_everything(4)]
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend web
    bind 127.0.0.1:%d
    tcp-request connection reject if { test_everything(0) lt 0 }
    http-request set-header X-Seen %%[test_everything(1)]
    http-response set-header X-Seen %%[test_everything(3)]
    default_backend app
backend app
    http-request set-header X-App %%[test_everything(2)]
    server s1 %s
`

// A fetch may be evaluated where what it looks at is not there: before a request,
// without a server, at the end of everything. It has no value then, and no fetch
// may fail otherwise.
func TestEveryFetchEverywhere(t *testing.T) {
	syslog, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer syslog.Close()
	port := freePort(t)
	text := fmt.Sprintf(places, syslog.LocalAddr().(*net.UDPAddr).Port, port, answer(t))
	bed.Start(t, 1, text)
	line := make([]byte, 2048)
	for _, request := range []string{"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", "bad\r\n\r\n"} {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(request))
		syslog.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := syslog.Read(line); err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		c.Close()
	}
	for i, want := range [5]int64{2, 1, 1, 1, 2} {
		if n := everywhere.ran[i].Swap(0); n != want {
			t.Errorf("place %d: evaluated %d times, want %d", i, n, want)
		}
	}
	if bare := everywhere.bare.Load(); bare == nil || len(*bare) > 0 {
		t.Errorf("in a scope without session and stream: %q", bare)
	}
	if everywhere.expressions < 150 {
		t.Errorf("only %d expressions", everywhere.expressions)
	}
}
