package stream_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// fixed answers every request of a connection with the same bytes and allocates
// nothing meanwhile.
func fixed(t testing.TB, answer string) string {
	out := []byte(answer)
	return tcptest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				c.Close()
				return
			}
			c.Write(out)
		}
	})
}

func TestNoAllocationPerRequest(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
	b := newBed(t, stream.HTTP, []string{fixed(t, answer)})
	c := b.dial()
	req := []byte("GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	want := 0
	one := func() {
		c.Write(req)
		if want == 0 {
			n, _ := c.Read(buf)
			want = n
			return
		}
		if _, err := io.ReadFull(c, buf[:want]); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		one()
	}
	if n := testing.AllocsPerRun(500, one); n >= 0.5 {
		t.Errorf("%v allocations per request", n)
	}
}

func TestNoAllocationPerRequestH2(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
	b := newBed(t, stream.HTTP, []string{fixed(t, answer)})
	c := b.dial()
	buf := make([]byte, 4096)
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for n := 0; n < 9+9; { // until our settings were acknowledged, which is the last
		k, err := c.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		if n += k; bytes.HasSuffix(buf[:n], []byte("\x00\x00\x00\x04\x01\x00\x00\x00\x00")) {
			break
		}
	}
	req := []byte("\x00\x00\x10\x01\x05\x00\x00\x00\x00\x82\x86\x84\x01\x0bexample.com")
	id := uint32(1)
	want := 0
	one := func() {
		binary.BigEndian.PutUint32(req[5:], id)
		id += 2
		c.Write(req)
		if want == 0 {
			for !bytes.HasSuffix(buf[:want], []byte("hello")) {
				n, err := c.Read(buf[want:])
				if err != nil {
					t.Fatal(err)
				}
				want += n
			}
			return
		}
		if _, err := io.ReadFull(c, buf[:want]); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		one()
	}
	if n := testing.AllocsPerRun(500, one); n >= 0.5 {
		t.Errorf("%v allocations per request", n)
	}
}

// fixedH2 is fixed over HTTP/2: each HEADERS frame is answered with 200 and "hello".
func fixedH2(t testing.TB) string {
	return tcptest.Serve(t, func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 4096)
		if _, err := io.ReadFull(c, buf[:24]); err != nil { // the preface
			return
		}
		c.Write([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // SETTINGS
		out := []byte("\x00\x00\x01\x01\x04\x00\x00\x00\x00\x88" + "\x00\x00\x05\x00\x01\x00\x00\x00\x00hello")
		for {
			if _, err := io.ReadFull(c, buf[:9]); err != nil {
				return
			}
			n := int(buf[1])<<8 | int(buf[2])
			switch kind := buf[3]; {
			case kind == 4 && buf[4] == 0:
				c.Write([]byte("\x00\x00\x00\x04\x01\x00\x00\x00\x00"))
			case kind == 1:
				copy(out[5:9], buf[5:9])
				copy(out[15:19], buf[5:9])
				c.Write(out)
			}
			if _, err := io.ReadFull(c, buf[:n]); err != nil {
				return
			}
		}
	})
}

func TestNoAllocationPerRequestToH2(t *testing.T) {
	b := newBed(t, stream.HTTP, []string{fixedH2(t)}, func(b *bed) { b.be.BE.Servers()[0].Settings().Proto = "h2" })
	c := b.dial()
	req := []byte("GET /x HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	one := func() {
		c.Write(req)
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")) && !bytes.HasSuffix(buf[:n], []byte("hello\r\n0\r\n\r\n")); {
			k, err := c.Read(buf[n:])
			if n += k; err != nil {
				t.Fatalf("%v after %q", err, buf[:n])
			}
		}
	}
	for range 200 {
		one()
	}
	if n := testing.AllocsPerRun(500, one); n >= 0.5 {
		t.Errorf("%v allocations per request", n)
	}
}
