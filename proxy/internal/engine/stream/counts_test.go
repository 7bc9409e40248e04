package stream_test

import (
	"slices"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// What is counted in which phase is what the chart says.
func TestCountsOfPhases(t *testing.T) {
	const tcp = "listen x\n bind " + front + "\n mode tcp\n"
	answers := func(s *sim.Stage) { s.Listen("10.2.0.1:80").Serve(func(string) string { return ok }) }
	asks := func(want string) func(s *sim.Stage) {
		return func(s *sim.Stage) {
			p := s.Dial(front)
			p.Send(get)
			p.Expect(want)
		}
	}
	refuses := func(s *sim.Stage) { s.Listen("10.2.0.1:80").Refuse = true }
	says := func(text, want string) func(s *sim.Stage) {
		return func(s *sim.Stage) {
			h := s.Listen("10.2.0.1:80")
			p := s.Dial(front)
			p.Send(get)
			v := h.Accept()
			v.Head()
			if text != "" {
				v.Send(text)
			}
			v.Close()
			p.Expect(want)
		}
	}
	seen := make(map[string]bool)
	stream.CountedIn = func(mode, phase string, counts []string) {
		for _, c := range counts {
			seen[mode+" "+phase+" "+c] = true
			if !slices.Contains(stream.PhaseCounts(mode, phase), c) {
				t.Errorf("mode %s: %s counts %s", mode, phase, c)
			}
		}
	}
	defer func() { stream.CountedIn = nil }()
	for _, c := range []struct {
		name, conf string
		play       []func(s *sim.Stage)
		want       []string
	}{
		{"answered", "", []func(*sim.Stage){answers, asks("ok"), asks("ok")}, []string{"http frontend Requests", "http route Sessions", "http queue Chosen", "http connect Sessions", "http connect Connects", "http response Status", "http end Traffic", "http end Status", "http end Durations", "http end LogLines"}},
		{"kept", "http-reuse always", []func(*sim.Stage){answers, asks("ok"), asks("ok")}, []string{"http connect Reuses"}},
		{"no request", "", []func(*sim.Stage){func(s *sim.Stage) { p := s.Dial(front); p.Send("GET\r\n\r\n"); p.Expect("400") }}, []string{"http request ReqErrors", "http request Requests"}},
		{"denied", "http-request deny", []func(*sim.Stage){asks("403")}, []string{"http frontend DeniedReq"}},
		{"returned", "http-request return status 200", []func(*sim.Stage){asks("200")}, []string{"http frontend Intercepted"}},
		{"monitor", "monitor-uri /x", []func(*sim.Stage){asks("200")}, []string{"http frontend Intercepted"}},
		{"denied in the backend", "frontend x\n bind " + front + "\n default_backend y\nbackend y\n http-request deny\n server s1 10.2.0.1:80", []func(*sim.Stage){asks("403")}, []string{"http backend DeniedReq"}},
		{"no backend", "frontend x\n bind " + front + "\nbackend y\n server s1 10.2.0.1:80", []func(*sim.Stage){asks("503")}, nil},
		{"refused", "retries 1", []func(*sim.Stage){refuses, asks("503")}, []string{"http connect Retries", "http connect ConnErrors"}},
		{"redispatched", "option redispatch 1\n retries 1\n server s1 10.2.0.1:80\n server s2 10.2.0.2:80", []func(*sim.Stage){refuses, func(s *sim.Stage) { s.Listen("10.2.0.2:80").Serve(func(string) string { return ok }) }, asks("ok"), asks("ok")}, []string{"http queue Redisp"}},
		{"no server", "server s1 10.2.0.1:80 disabled", []func(*sim.Stage){asks("503")}, []string{"http queue ConnErrors"}},
		{"no response", "", []func(*sim.Stage){says("", "502")}, []string{"http response RespErrors"}},
		{"half a response", "", []func(*sim.Stage){says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "half")}, []string{"http forward RespErrors", "http forward ServerAborts"}},
		{"response denied", "http-response deny", []func(*sim.Stage){answers, asks("502")}, []string{"http response rules DeniedResp"}},
		{"tcp", tcp, []func(*sim.Stage){answers, asks("ok")}, []string{"tcp route Sessions", "tcp queue Chosen", "tcp connect Connects", "tcp end Traffic", "tcp end Durations"}},
		{"tcp refused", tcp + "retries 1", []func(*sim.Stage){refuses, func(s *sim.Stage) { s.Dial(front).Rest() }}, []string{"tcp connect Retries", "tcp connect ConnErrors"}},
		{"tcp rejected", tcp + "tcp-request content reject", []func(*sim.Stage){func(s *sim.Stage) { s.Dial(front).Rest() }}, []string{"tcp frontend DeniedReq"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clear(seen)
			s := stage(t, c.conf)
			for _, f := range c.play {
				f(s)
			}
			s.Pass(time.Minute)
			for _, w := range c.want {
				if !seen[w] {
					t.Errorf("%s was not seen", w)
				}
			}
		})
	}
}
