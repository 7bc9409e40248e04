package daemon

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// from is a connection of an address.
type from struct {
	net.Conn
	address string
	closed  bool
}

func (f *from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(f.address, "1"))
	if err != nil {
		panic(err)
	}
	return a
}

func (f *from) Close() error { f.closed = true; return nil }

func TestGate(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	g := newGate(nil, 400)
	g.now = func() time.Time { return now }
	admit := func(address string) (*guest, *guest) {
		x, out := g.admit(&from{address: address})
		if out != nil {
			out.Close()
		}
		return x, out
	}
	var first *guest
	for i := range maxStrangers {
		x, out := admit("192.0.2.1")
		if i == 0 {
			first = x
		}
		if out != nil {
			t.Fatal("one had to go early")
		}
	}
	// A burst is no attack, up to half of all.
	if _, out := admit("192.0.2.1"); out != nil {
		t.Error("a burst was cut")
	}
	now = now.Add(2 * patience)
	if _, out := admit("192.0.2.1"); out != first {
		t.Error("the oldest of the address did not go")
	}
	if _, out := admit("192.0.2.2"); out != nil {
		t.Error("another address had to go")
	}
	for range 400 {
		admit("192.0.2.1")
	}
	if n := g.of["192.0.2.1"].Len(); n > 200 {
		t.Errorf("one address has %d", n)
	}
	// Full of strangers from everywhere: the oldest goes, who is known stays.
	known, _ := admit("192.0.2.2")
	welcome(withGuest(context.Background(), known))
	for i := range 2000 {
		admit(net.IPv4(198, 51, byte(i>>8), byte(i)).String())
	}
	if g.open != 400 || known.gone {
		t.Errorf("%d are open, known gone: %v", g.open, known.gone)
	}
	// Full of those who are known: an idle one goes, else the new one.
	for x := g.strangers.Front(); x != nil; x = g.strangers.Front() {
		welcome(withGuest(context.Background(), x.Value.(*guest)))
	}
	if x, _ := admit("192.0.2.3"); x != nil {
		t.Error("one too many")
	}
	state(known, http.StateIdle)
	state(known, http.StateActive)
	if x, _ := admit("192.0.2.3"); x != nil {
		t.Error("a busy one had to go")
	}
	state(known, http.StateIdle)
	if x, out := admit("192.0.2.3"); x == nil || out != known {
		t.Error("the idle one did not go")
	}
	known.Close() // once more
	if g.open != 400 || len(g.of) != 1 || g.idle.Len() != 0 {
		t.Errorf("%d open, %d addresses, %d idle", g.open, len(g.of), g.idle.Len())
	}
}
