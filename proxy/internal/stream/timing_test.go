package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/sim"
)

// stageHead is what configurations on the simulated clock begin with. The log
// line says who was asked, the timers, the status, the termination and the tries.
const stageHead = `
global
  nbthread 1
  log {log} local0
defaults
  mode http
  log global
  log-format "%b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %tsc %rc"
  timeout client 10s
  timeout server 10s
  timeout connect 2s
`

const (
	front = "10.0.0.1:80"
	get   = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
	ok    = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
)

// stage starts a configuration with one server at 10.2.0.1:80 unless it names
// others; "listen x" and its bind line are there.
func stage(t *testing.T, text string) *sim.Stage {
	t.Helper()
	if !strings.Contains(text, "listen ") && !strings.Contains(text, "frontend ") {
		text = "listen x\n bind " + front + "\n" + text
	}
	if !strings.Contains(text, " server ") {
		text += "\n server s1 10.2.0.1:80\n"
	}
	return sim.NewStage(t, stageHead+text+"\n", nil)
}

func wantLines(t *testing.T, s *sim.Stage, want ...string) {
	t.Helper()
	got := s.Lines()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestStage(t *testing.T) {
	s := stage(t, "")
	h := s.Listen("10.2.0.1:80")
	c := s.Dial(front)
	c.Send(get)
	v := h.Accept()
	v.Head()
	s.Pass(time.Second)
	v.Send(ok)
	c.Expect("ok")
	wantLines(t, s, "x/s1 0/0/0/1000/1000 200 ---- 0")
	c.Send(get)
	v.Head()
	s.Pass(10 * time.Second)
	c.Expect("504")
	wantLines(t, s, "x/s1 0/0/0/-1/10000 504 sH-- 0")
}
