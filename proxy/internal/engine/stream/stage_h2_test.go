package stream_test

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/forebay-lb/forebay/proxy/internal/testing/sim"
)

// h2peer is a client's or a server's part in a connection of HTTP/2 on a stage.
type h2peer struct {
	*http2.Framer
	t    *testing.T
	p    *sim.Peer
	enc  *hpack.Encoder
	buf  bytes.Buffer
	next uint32 // the next stream of a client
}

// startH2Peer begins HTTP/2 on a connection: that of a server if the peer has
// already been sent the preface.
func startH2Peer(t *testing.T, p *sim.Peer, server bool) *h2peer {
	t.Helper()
	h := &h2peer{t: t, p: p, Framer: http2.NewFramer(p, p), next: 1}
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.enc = hpack.NewEncoder(&h.buf)
	if server {
		p.Expect(http2.ClientPreface)
	} else {
		p.Send(http2.ClientPreface)
	}
	h.WriteSettings()
	return h
}

// frame reads one, and answers settings.
func (h *h2peer) frame() http2.Frame {
	h.t.Helper()
	f, err := h.ReadFrame()
	if err != nil {
		h.t.Fatal(err)
	}
	if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
		h.WriteSettingsAck()
	}
	return f
}

// head waits for the head of a message, and gives its stream and fields.
func (h *h2peer) head() (id uint32, fields map[string]string, end bool) {
	h.t.Helper()
	for {
		switch f := h.frame().(type) {
		case *http2.MetaHeadersFrame:
			fields = map[string]string{}
			for _, x := range f.Fields {
				fields[x.Name] = x.Value
			}
			return f.StreamID, fields, f.StreamEnded()
		case *http2.RSTStreamFrame:
			h.t.Fatalf("stream %d is reset: %v", f.StreamID, f.ErrCode)
		}
	}
}

// send sends a head on a stream.
func (h *h2peer) send(id uint32, end bool, fields ...string) {
	h.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: h.buf.Bytes(), EndHeaders: true, EndStream: end})
}

// ask sends a request and gives its stream.
func (h *h2peer) ask(method, path string, end bool) uint32 {
	id := h.next
	h.next += 2
	h.send(id, end, ":method", method, ":scheme", "http", ":authority", "a", ":path", path)
	return id
}

// reset waits until a stream is reset, and gives the name of the code.
func (h *h2peer) reset() string {
	h.t.Helper()
	for {
		if f, ok := h.frame().(*http2.RSTStreamFrame); ok {
			return f.ErrCode.String()
		}
	}
}
