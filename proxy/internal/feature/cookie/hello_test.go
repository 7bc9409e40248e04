package cookie_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// hello is all that persistence of another kind needs: it says which server had the
// client before. What becomes of that is the engine's.
func init() {
	conf.Register(conf.Keyword{Name: "persist-hello", In: conf.Backend, Parse: func(c *conf.Ctx) error {
		c.Proxy.OnChoose = append(c.Proxy.OnChoose, func(st *stream.Stream) {
			for _, s := range st.BE.BE.Servers() {
				if s.Name == string(st.Req.Get("x-hello")) && st.MayBelong(s) && !st.Persist.Ignored {
					st.Persist.Server = s
				}
			}
		})
		return nil
	}})
}

func TestHello(t *testing.T) {
	s := sim.NewStage(t, head+"listen x\n bind 10.0.0.1:80\n balance first\n persist-hello\n ignore-persist if { path /any }\n server s1 10.2.0.1:80\n server s2 10.2.0.2:80\n server s3 10.2.0.3:80 disabled\n", nil)
	served := ""
	for _, name := range []string{"1", "2", "3"} {
		s.Listen("10.2.0." + name + ":80").Serve(func(string) string { served += name; return ok })
	}
	c := s.Dial("10.0.0.1:80")
	for _, r := range [][2]string{{"/", "s2"}, {"/", ""}, {"/any", "s2"}, {"/", "s3"}, {"/", "s2"}} {
		c.Send("GET " + r[0] + " HTTP/1.1\r\nHost: h\r\nX-Hello: " + r[1] + "\r\n\r\n")
		c.Head()
	}
	if served != "21112" {
		t.Error(served)
	}
}
