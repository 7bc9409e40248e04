package rule

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// recorder notes the options that sockets get.
type recorder struct {
	reactor.Sys
	repair syscall.Errno // what TCP_REPAIR gives
	calls  []string
}

func (s *recorder) SetsockoptInt(fd, level, opt, val int) syscall.Errno {
	s.calls = append(s.calls, fmt.Sprint(level, " ", opt, " ", val))
	if level == syscall.IPPROTO_TCP && opt == 19 {
		return s.repair
	}
	return s.Sys.SetsockoptInt(fd, level, opt, val)
}

func TestSilentDrop(t *testing.T) {
	const repair, ttl, hops, linger = "6 19 1", "0 2 %d", "41 16 %d", "1 13"
	reset := func(n int) []string { return []string{fmt.Sprintf(ttl, n), fmt.Sprintf(hops, n), linger} }
	for _, c := range []struct {
		words  []string
		repair syscall.Errno
		want   []string
	}{
		{nil, 0, []string{repair}},
		{nil, syscall.EPERM, append([]string{repair}, reset(1)...)},
		{[]string{"rst-ttl", "5"}, 0, reset(5)},
	} {
		sys := &recorder{Sys: reactor.Linux, repair: c.repair}
		r, err := reactor.New(0, sys, reactor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		client, err := stream.OpenClient(r, pair[0], stream.TCP)
		if err != nil {
			t.Fatal(err)
		}
		st := &stream.Scope{R: r, Sess: &client.Session}
		exec, err := silentDrop(&Line{Phase: Connection, Words: conf.ReadWords(c.words, "if", "unless")})
		if err != nil {
			t.Fatal(err)
		}
		if v := exec(st); v != stream.Drop {
			t.Errorf("%v: verdict %v", c.words, v)
		}
		for i, call := range sys.calls { // the length of lingering is the reactor's affair
			if len(call) > len(linger) && call[:len(linger)] == linger {
				sys.calls[i] = linger
			}
		}
		if !slices.Equal(sys.calls, c.want) {
			t.Errorf("%v: %q", c.words, sys.calls)
		}
		client.Conn.Close()
		syscall.Close(pair[1])
		r.Close()
	}
}
