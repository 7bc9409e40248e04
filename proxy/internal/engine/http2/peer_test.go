package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer speaks to one of our connections frame by frame, with the framing of
// golang.org/x/net. It may say what it wants.
type peer struct {
	*xhttp2.Framer
	o   *side
	t   testing.TB
	out bytes.Buffer // what it says
	in  bytes.Buffer // what it hears
	dec *hpack.Decoder
	enc *hpack.Encoder
	blk bytes.Buffer
}

// newPeer is a peer of a new connection whose beginning is over.
func newPeer(t testing.TB, cfg Config) *peer {
	t.Helper()
	p := barePeer(t, cfg)
	if cfg.Server {
		p.out.WriteString(xhttp2.ClientPreface)
	}
	p.WriteSettings()
	p.WriteSettingsAck()
	p.must()
	if got := p.hear(); !strings.HasPrefix(got, "SETTINGS") || !strings.Contains(got, "SETTINGS ack") {
		t.Fatal(got)
	}
	return p
}

func barePeer(t testing.TB, cfg Config) *peer {
	p := &peer{t: t, o: newSide(t, &cfg), dec: hpack.NewDecoder(4096, nil)}
	p.Framer = xhttp2.NewFramer(&p.out, &p.in)
	p.AllowIllegalWrites = true
	p.AllowIllegalReads = true
	p.enc = hpack.NewEncoder(&p.blk)
	return p
}

// say hands over what was written.
func (p *peer) say() error {
	err := p.o.c.Feed(p.out.Bytes())
	p.out.Reset()
	return err
}

func (p *peer) must() {
	p.t.Helper()
	if err := p.say(); err != nil {
		p.t.Fatal(err)
	}
}

// fails says what was written and expects the connection to end with a code.
func (p *peer) fails(code ErrCode) {
	p.t.Helper()
	err, ok := p.say().(*Error)
	if !ok || err.Code != code || err.Reason == "" {
		p.t.Errorf("%v, want %v", err, code)
		return
	}
	heard := p.hear()
	if want := fmt.Sprintf("GOAWAY %v\n", code); !strings.HasSuffix(heard, want) {
		p.t.Errorf("%q, want %q", heard, want)
	}
	if p.say() != error(err) {
		p.t.Error("it goes on")
	}
}

// hear tells what the connection has said since.
func (p *peer) hear() string {
	p.t.Helper()
	for b := p.o.c.Out(); len(b) > 0; b = p.o.c.Out() {
		p.in.Write(b)
		p.o.c.Sent(len(b))
	}
	if s := p.in.String(); strings.HasPrefix(s, preface) {
		p.in.Next(len(preface))
	}
	var text strings.Builder
	for p.in.Len() > 0 {
		f, err := p.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		end := ""
		if h := f.Header(); (h.Type == xhttp2.FrameData || h.Type == xhttp2.FrameHeaders) && h.Flags.Has(xhttp2.FlagDataEndStream) {
			end = " end"
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *xhttp2.SettingsFrame:
			if f.IsAck() {
				text.WriteString("SETTINGS ack\n")
				break
			}
			text.WriteString("SETTINGS")
			f.ForeachSetting(func(s xhttp2.Setting) error { fmt.Fprintf(&text, " %d=%d", s.ID, s.Val); return nil })
			text.WriteString("\n")
		case *xhttp2.HeadersFrame:
			fmt.Fprintf(&text, "HEADERS %d%s", id, end)
			block := bytes.Clone(f.HeaderBlockFragment())
			for done := f.HeadersEnded(); !done; {
				c, err := p.ReadFrame()
				if err != nil {
					p.t.Fatal(err)
				}
				cont := c.(*xhttp2.ContinuationFrame)
				block = append(block, cont.HeaderBlockFragment()...)
				done = cont.HeadersEnded()
				text.WriteString("+")
			}
			fields, err := p.dec.DecodeFull(block)
			if err != nil {
				p.t.Fatal(err)
			}
			for _, f := range fields {
				if len(f.Value) > 50 {
					f.Value = fmt.Sprint(len(f.Value), " bytes")
				}
				fmt.Fprintf(&text, " %s=%s", f.Name, f.Value)
			}
			text.WriteString("\n")
		case *xhttp2.DataFrame:
			fmt.Fprintf(&text, "DATA %d%s %d\n", id, end, len(f.Data()))
		case *xhttp2.RSTStreamFrame:
			fmt.Fprintf(&text, "RST_STREAM %d %v\n", id, f.ErrCode)
		case *xhttp2.GoAwayFrame:
			fmt.Fprintf(&text, "GOAWAY %v\n", f.ErrCode)
		case *xhttp2.PingFrame:
			fmt.Fprintf(&text, "PING %v\n", f.IsAck())
		case *xhttp2.WindowUpdateFrame:
			fmt.Fprintf(&text, "WINDOW_UPDATE %d %d\n", id, f.Increment)
		default:
			fmt.Fprintf(&text, "%v\n", f)
		}
	}
	return text.String()
}

// raw is a field block without compression or rules.
func raw(fields ...string) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		b = appendString(appendString(append(b, 0), []byte(fields[i])), []byte(fields[i+1]))
	}
	return b
}

var ask = []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"}

// head writes HEADERS with END_HEADERS.
func (p *peer) head(id uint32, end bool, fields ...string) {
	p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: raw(fields...), EndHeaders: true, EndStream: end})
}

// get writes a request without a body.
func (p *peer) get(id uint32, fields ...string) {
	p.head(id, true, append(ask[:len(ask):len(ask)], fields...)...)
}

// post writes a request whose body follows.
func (p *peer) post(id uint32, fields ...string) {
	p.head(id, false, append(ask[:len(ask):len(ask)], fields...)...)
}

var server = Config{Server: true}

// encode compresses fields with a dynamic table.
func (p *peer) encode(fields []string) []byte {
	p.blk.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.blk.Bytes())
}

// headers writes a field block in as many frames as it takes.
func (p *peer) headers(id uint32, end bool, block []byte) {
	n := min(len(block), 16384)
	p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block[:n], EndHeaders: n == len(block), EndStream: end})
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), 16384)
		p.WriteContinuation(id, n == len(block), block[:n])
	}
}
