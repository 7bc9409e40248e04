package stream_test

import (
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// Over HTTP/2, on either side, the streams of a server that is marked down are
// reset, and the client's connection serves the others.
func TestOnMarkedDownH2(t *testing.T) {
	for _, proto := range []string{"h1", "h2"} {
		t.Run("server of "+proto, func(t *testing.T) {
			s := sim.NewStage(t, stageHead+"listen x\n bind "+front+"\n balance roundrobin\n server s1 10.2.0.1:80 proto "+proto+" on-marked-down shutdown-sessions\n"+
				" server s2 10.2.0.2:80\n", nil)
			h1, h2 := s.Listen("10.2.0.1:80"), s.Listen("10.2.0.2:80")
			p := startH2Peer(t, s.Dial(front), false)
			first := p.ask("GET", "/a", true)
			v := h1.Accept()
			if proto == "h2" {
				b := startH2Peer(t, v, true)
				id, _, _ := b.head()
				b.send(id, false, ":status", "200")
			} else {
				v.Head()
				v.Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
			}
			p.head()
			second := p.ask("GET", "/b", true)
			v2 := h2.Accept()
			v2.Head()
			s.Pass(time.Second)
			s.Backend("x").Server("s1").SetAdmin(time.Time{}, server.ForcedMaint, 0, "")
			for reset := false; !reset; {
				f, err := p.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch f := f.(type) {
				case *http2.RSTStreamFrame:
					if f.StreamID != first {
						t.Fatalf("stream %d is reset", f.StreamID)
					}
					reset = true
				case *http2.DataFrame:
					if f.StreamEnded() {
						t.Fatal("the response ended as if it were complete")
					}
				}
			}
			v2.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
			if id, fields, _ := p.head(); id != second || fields[":status"] != "200" {
				t.Errorf("stream %d: %v", id, fields)
			}
			s.Pass(time.Second)
			if n := s.Backend("x").Server("s1").Cur.Load(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			if lines := s.Lines(); len(lines) != 3 || lines[1] != "x/s1 0/0/0/0/0 500 DC-- 0" || lines[2] != "x/s2 0/0/0/1000/1000 200 ---- 0" {
				t.Errorf("%q", lines)
			}
		})
	}
}
