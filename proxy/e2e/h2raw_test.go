package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2conn is a client of HTTP/2 that says whatever it is told to, and takes down
// what comes back without judging it.
type h2conn struct {
	t *testing.T
	c net.Conn
	w *bufio.Writer // what is said together arrives together; it is sent before anything is read
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
	part  []byte // of a head that is being received

	streams map[uint32]*h2stream
	opened  []uint32 // what an answer is expected on
	goaway  string
	leaving bool // GOAWAY has come
	closed  string
	pongs   int
}

// h2stream is what has come on a stream.
type h2stream struct {
	heads []string
	body  []byte
	end   string // "END" or a code of RST_STREAM, "" while it is open
}

func (s *h2stream) String() string {
	var b strings.Builder
	for _, h := range s.heads {
		fmt.Fprintf(&b, "{%s} ", h)
	}
	fmt.Fprintf(&b, "%.400q %s", s.body, s.end)
	return b.String()
}

// status gives that of the final response, "" if there is none.
func (s *h2stream) status() string {
	for _, h := range s.heads {
		if v, is := strings.CutPrefix(h, ":status: "); is && v[0] != '1' {
			return v[:3]
		}
	}
	return ""
}

// dialH2 opens a connection and says what one begins with: the preface, and
// settings.
func dialH2(t *testing.T, addr string, settings ...http2.Setting) *h2conn {
	t.Helper()
	h := dialRaw(t, addr)
	h.w.WriteString(http2.ClientPreface)
	h.WriteSettings(settings...)
	return h
}

// dialRaw opens a connection and says nothing.
func dialRaw(t *testing.T, addr string) *h2conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newH2conn(t, c)
}

func newH2conn(t *testing.T, c net.Conn) *h2conn {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	h := &h2conn{t: t, c: c, w: bufio.NewWriterSize(c, 64<<10), streams: map[uint32]*h2stream{}}
	h.Framer = http2.NewFramer(h.w, c)
	h.AllowIllegalWrites = true
	h.AllowIllegalReads = true
	h.SetMaxReadFrameSize(1<<24 - 1)
	h.enc = hpack.NewEncoder(&h.block)
	h.dec = hpack.NewDecoder(4096, nil)
	return h
}

// encode makes a field block of names and values.
func (h *h2conn) encode(fields ...string) []byte {
	h.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return h.block.Bytes()
}

// head opens a stream, or sends trailers.
func (h *h2conn) head(id uint32, end bool, fields ...string) {
	b := h.encode(fields...)
	first := b[:min(len(b), 16384)]
	b = b[len(first):]
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(b) == 0})
	for len(b) > 0 {
		n := min(len(b), 16384)
		h.WriteContinuation(id, n == len(b), b[:n])
		b = b[n:]
	}
	h.expect(id)
}

func (h *h2conn) expect(id uint32) {
	if !slices.Contains(h.opened, id) {
		h.opened = append(h.opened, id)
	}
}

// usual are the pseudo-fields that a request has.
func usual(method, path string, fields ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "a"}, fields...)
}

func (h *h2conn) get(id uint32, path string, fields ...string) {
	h.head(id, true, usual("GET", path, fields...)...)
}

// stream gives what has come on a stream.
func (h *h2conn) stream(id uint32) *h2stream {
	s := h.streams[id]
	if s == nil {
		s = new(h2stream)
		h.streams[id] = s
	}
	return s
}

// next takes down the next frame. It tells whether there was one.
func (h *h2conn) next() bool {
	if h.closed != "" {
		return false
	}
	h.w.Flush() // an error shows when it is read
	f, err := h.ReadFrame()
	if err != nil {
		h.closed = "CLOSED"
		var e net.Error
		if errors.As(err, &e) && e.Timeout() {
			h.closed = "HANGS"
		}
		return false
	}
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.HeadersFrame:
		h.part = append(h.part[:0], f.HeaderBlockFragment()...)
		h.taken(id, f.HeadersEnded())
		if f.StreamEnded() {
			h.stream(id).end = "END"
		}
	case *http2.ContinuationFrame:
		h.part = append(h.part, f.HeaderBlockFragment()...)
		h.taken(id, f.HeadersEnded())
	case *http2.DataFrame:
		s := h.stream(id)
		s.body = append(s.body, f.Data()...)
		if f.StreamEnded() {
			s.end = "END"
		}
	case *http2.RSTStreamFrame:
		switch s := h.stream(id); s.end {
		case "":
			s.end = f.ErrCode.String()
		case "END":
			s.end += " " + f.ErrCode.String()
		}
	case *http2.GoAwayFrame:
		h.leaving = true
		h.goaway = f.ErrCode.String()
	case *http2.PingFrame:
		if f.IsAck() {
			h.pongs++
		} else {
			h.WritePing(true, f.Data)
		}
	case *http2.SettingsFrame:
		if !f.IsAck() {
			h.WriteSettingsAck()
		}
	}
	return true
}

// taken is a part of a head.
func (h *h2conn) taken(id uint32, end bool) {
	if !end {
		return
	}
	fields, err := h.dec.DecodeFull(h.part)
	if err != nil {
		h.t.Errorf("stream %d: %v", id, err)
	}
	var l []string
	for _, f := range fields {
		l = append(l, f.Name+": "+f.Value)
	}
	s := h.stream(id)
	s.heads = append(s.heads, strings.Join(l, "; "))
}

// awaitAnswers reads until every request has its answer, or the connection has ended.
func (h *h2conn) awaitAnswers() {
	for _, id := range h.opened {
		for h.stream(id).end == "" && !(h.leaving && h.goaway != "NO_ERROR") {
			if !h.next() {
				return
			}
		}
	}
	h.opened = nil
}

// sync reads until everything that was said has been taken note of. It tells
// whether the connection lives.
func (h *h2conn) sync() bool {
	n := h.pongs
	h.WritePing(false, [8]byte{1})
	for h.pongs == n {
		if !h.next() {
			return false
		}
	}
	return true
}

// drain reads until the connection is closed.
func (h *h2conn) drain() {
	for h.next() {
	}
}

// String is all that has come.
func (h *h2conn) String() string {
	var ids []uint32
	for id := range h.streams {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%d: %s\n", id, h.streams[id])
	}
	if h.leaving {
		fmt.Fprintf(&b, "GOAWAY %s\n", h.goaway)
	}
	return b.String() + h.closed
}
