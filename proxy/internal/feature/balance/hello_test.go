package balance_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// hello is all that an algorithm needs: its name, and the key that a server is chosen
// by. One that needs no key has New instead, which makes a [balance.Picker].
func init() {
	conf.RegisterAlgorithm(conf.Algorithm{Name: "hello", Parse: func(c *conf.Ctx, b *stream.Balance, _ string) error {
		w := c.Words()
		number, err := w.Int(0, 100)
		if err != nil {
			return err
		}
		b.Key = func(st *stream.Stream, h *balance.HashType) (uint32, bool) {
			return uint32(number), len(st.Req.Query()) > 0
		}
		return w.End()
	}})
}

func TestHello(t *testing.T) {
	s := sim.NewStage(t, head+"listen x\n bind 10.0.0.1:80\n balance hello 4\n server s1 10.2.0.1:80\n server s2 10.2.0.2:80\n server s3 10.2.0.3:80\n", nil)
	for _, name := range []string{"1", "2", "3"} {
		s.Listen("10.2.0." + name + ":80").Serve(func(string) string { return "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name })
	}
	c := s.Dial("10.0.0.1:80")
	got := ""
	for _, path := range []string{"/?a", "/?b", "/", "/", "/?c"} {
		c.Send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		c.Head()
		b := make([]byte, 1)
		c.Read(b)
		got += string(b)
	}
	if got != "22122" { // the fourth of three is the second; others take turns
		t.Errorf("%s", got)
	}
}
