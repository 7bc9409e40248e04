package stream_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// limit puts settings of TLS in force.
func (b *bed) limit(l stream.TLSLimits) {
	snap := *b.w.Snapshot()
	g := *snap.Global
	stream.TLSSettings.Set(&g, l)
	snap.Global = &g
	b.w.SetSnapshot(&snap)
}

func TestMaxSSLConn(t *testing.T) {
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {})
	b := newBed(t, stream.HTTP, []string{o}, secured(0))
	b.limit(stream.TLSLimits{MaxConn: 2})
	var open []*tls.Conn
	for range 2 {
		c, err := tls.Dial("tcp", b.addr, clientTLS())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if c, err := tls.Dial("tcp", b.addr, clientTLS()); err == nil {
		c.Close()
		t.Fatal("a third connection")
	}
	// A connection that ends makes room for another.
	open[0].Close()
	for b.w.CurrTLS.Load() != 1 {
		b.w.OnAll(func(*reactor.Reactor) {})
	}
	c, err := tls.Dial("tcp", b.addr, clientTLS())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	open[1].Close()
}

// The limit is on connections of both sides together.
func TestMaxSSLConnWithServers(t *testing.T) {
	o, opt := secureOrigin(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")) })
	b := newBed(t, stream.HTTP, []string{o}, opt, secured(0))
	status := func(max int) int {
		b.limit(stream.TLSLimits{MaxConn: max})
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS()}}
		defer c.CloseIdleConnections()
		res, err := c.Get("https://" + b.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	b.be.Retries = 0
	if got := status(1); got != 503 {
		t.Errorf("status %d, want 503", got)
	}
	for b.w.CurrTLS.Load() != 0 {
		b.w.OnAll(func(*reactor.Reactor) {})
	}
	if got := status(2); got != 200 {
		t.Errorf("status %d, want 200", got)
	}
}

func TestRecordSizes(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 16<<10) // 256 KiB
	o := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	})
	for _, c := range []struct {
		limits      stream.TLSLimits
		first, most int // the most that a record carries at first, and later
	}{
		{stream.TLSLimits{}, 16384, 16384},
		{stream.TLSLimits{HardMaxRecord: 1000}, 1000, 1000},
		{stream.TLSLimits{MaxRecord: 1400}, 1400, 16384},
		{stream.TLSLimits{MaxRecord: 1400, HardMaxRecord: 5000}, 1400, 5000},
		{stream.TLSLimits{HardMaxRecord: 10}, 10, 10},
	} {
		b := newBed(t, stream.HTTP, []string{o}, secured(tls.VersionTLS12))
		b.limit(c.limits)
		raw, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		seen := &recorder{Conn: raw}
		cfg := clientTLS()
		cfg.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} // 24 bytes longer than its content
		s := tls.Client(seen, cfg)
		fmt.Fprint(s, "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
		got, err := io.ReadAll(s)
		raw.Close()
		if err != nil || !bytes.HasSuffix(got, body) {
			t.Fatalf("%+v: %d bytes, %v", c.limits, len(got), err)
		}
		sent, most := 0, 0
		for data := seen.data; len(data) >= 5; {
			n := int(binary.BigEndian.Uint16(data[3:]))
			if data[0] == 23 {
				if n -= 24; sent < 60_000 && n > c.first {
					t.Errorf("%+v: a record of %d bytes after %d", c.limits, n, sent)
				}
				sent += n
				most = max(most, n)
				n += 24
			}
			data = data[5+n:]
		}
		if most > c.most || most < c.most*9/10 {
			t.Errorf("%+v: the longest record has %d bytes, want %d", c.limits, most, c.most)
		}
	}
}

// recorder keeps all that is read.
type recorder struct {
	net.Conn
	data []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.data = append(r.data, p[:n]...)
	return n, err
}

// No more connections are accepted for TLS in a second than "maxsslrate" says; the
// next one waits in the kernel until the second is over.
func TestMaxSSLRate(t *testing.T) {
	pair := certtest.SelfSigned(t, "a.test", certtest.Valid(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)))
	s := sim.NewStage(t, "global\n maxsslrate 2\n"+stageHead+"frontend x\n bind "+front+" ssl crt a.pem\n bind 10.1.0.1:81\n http-request return status 200\n", fstest.MapFS{"a.pem": {Data: pair.PEM(t)}})
	accepted := &s.Worker.Counters[0].Conns
	for i, want := range []int64{1, 2, 2, 2} {
		s.Dial(front)
		if s.Pass(0); accepted.Load() != want {
			t.Errorf("%d connections were accepted of %d", accepted.Load(), i+1)
		}
	}
	s.Dial("10.1.0.1:81")
	if s.Pass(0); accepted.Load() != 3 {
		t.Error("a connection without TLS waits too")
	}
	began := s.Now()
	if s.Pass(time.Second - 1 - began); accepted.Load() != 3 {
		t.Errorf("%d connections were accepted within the second", accepted.Load())
	}
	if s.Pass(2 * time.Second); accepted.Load() != 5 {
		t.Errorf("%d connections were accepted in all", accepted.Load())
	}
}
