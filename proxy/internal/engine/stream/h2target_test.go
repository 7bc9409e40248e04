package stream_test

import (
	"bytes"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2say opens a connection of HTTP/2, sends it the given heads as requests, each
// of them followed by what then writes, and gives the connection.
func (b *bed) h2say(then func(f *http2.Framer, id uint32), heads ...[]string) net.Conn {
	c := b.dial()
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f, enc := http2.NewFramer(&out, nil), hpack.NewEncoder(&block)
	f.WriteSettings()
	for i, fields := range heads {
		block.Reset()
		for j := 0; j < len(fields); j += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[j], Value: fields[j+1]})
		}
		id := uint32(2*i + 1)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		then(f, id)
	}
	c.Write(out.Bytes())
	return c
}

// What a request over HTTP/2 is called by rules and logs, and by servers.
func TestH2Target(t *testing.T) {
	type seen struct{ target, host, asked string }
	for _, c := range []struct {
		scheme, authority, host string
		want                    seen
	}{
		{"http", "a", "", seen{"http://a/x?y", "a", "/x?y"}},
		{"http", "a:80", "", seen{"http://a/x?y", "a", "/x?y"}},
		{"http", "a:443", "", seen{"http://a:443/x?y", "a:443", "/x?y"}},
		{"https", "a:443", "", seen{"https://a/x?y", "a", "/x?y"}},
		{"HTTPS", "a:80", "", seen{"HTTPS://a:80/x?y", "a:80", "/x?y"}},
		{"http", "a:", "", seen{"http://a/x?y", "a", "/x?y"}},
		{"http", "[::1]:80", "", seen{"http://[::1]/x?y", "[::1]", "/x?y"}},
		{"http", "a", "b:80", seen{"http://a/x?y", "a", "/x?y"}},
		{"http", "", "b:80", seen{"/x?y", "b:80", "/x?y"}},
		{"ftp", "a:80", "", seen{"ftp://a:80/x?y", "a:80", "ftp://a:80/x?y"}},
	} {
		logged, asked := make(chan seen, 1), make(chan string, 1)
		b := newBed(t, stream.HTTP, []string{origin(t, func(w http.ResponseWriter, r *http.Request) { asked <- r.RequestURI })}, func(b *bed) {
			b.fe.Log = func(st *stream.Stream) {
				logged <- seen{target: string(st.Req.Target), host: string(st.Req.Get("host"))}
			}
		})
		head := []string{":method", "GET", ":scheme", c.scheme, ":path", "/x?y"}
		if c.authority != "" {
			head = append(head, ":authority", c.authority)
		}
		if c.host != "" {
			head = append(head, "host", c.host)
		}
		b.h2say(func(*http2.Framer, uint32) {}, head)
		var got seen
		select {
		case got = <-logged:
			got.asked = <-asked
		case <-time.After(10 * time.Second):
			t.Fatalf("%+v: nothing was logged", c)
		}
		if got != c.want {
			t.Errorf("%s %q %q: %+v, want %+v", c.scheme, c.authority, c.host, got, c.want)
		}
	}
}

// A request that is given up with the same breath is logged, and no server is
// asked.
func TestResetBeforeItBegins(t *testing.T) {
	logged := make(chan stream.Termination, 1)
	b := newBed(t, stream.HTTP, []string{origin(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })}, func(b *bed) {
		b.fe.Log = func(st *stream.Stream) { logged <- st.Term }
	})
	c := b.h2say(func(f *http2.Framer, id uint32) { f.WriteRSTStream(id, http2.ErrCodeCancel) },
		[]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"})
	select {
	case term := <-logged:
		if term != (stream.Termination{Cause: 'C', State: 'R'}) {
			t.Errorf("%c%c", term.Cause, term.State)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was logged")
	}
	c.Close()
}

// A fragment in the path is refused, but for "option
// accept-unsafe-violations-in-http-request", as over HTTP/1.
func TestH2Fragment(t *testing.T) {
	for _, accept := range []bool{false, true} {
		logged := make(chan string, 1)
		b := newBed(t, stream.HTTP, []string{origin(t, hello)}, func(b *bed) {
			if accept {
				b.fe.Options |= stream.AcceptInvalidRequest
			}
			b.fe.Log = func(st *stream.Stream) { logged <- string(st.Req.Target) }
		})
		c := b.h2say(func(*http2.Framer, uint32) {}, []string{":method", "GET", ":scheme", "http", ":path", "/x#y", ":authority", "a"})
		f := http2.NewFramer(nil, c)
		for answered := false; !answered; {
			fr, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch fr := fr.(type) {
			case *http2.HeadersFrame:
				if answered = true; !accept {
					t.Error("it is answered")
				}
			case *http2.RSTStreamFrame:
				if answered = true; accept || fr.ErrCode != http2.ErrCodeProtocol {
					t.Errorf("accepted %v: %v", accept, fr)
				}
			}
		}
		if accept && !t.Failed() {
			if got := <-logged; got != "http://a/x#y" {
				t.Errorf("%q", got)
			}
		}
	}
}
