package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"golang.org/x/net/http2/hpack"
)

// Every code decodes to its symbol, alone and among others, and every broken
// end is refused, as golang.org/x/net has it.
func TestHuffman(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	check := func(src []byte) {
		t.Helper()
		want, err := hpack.HuffmanDecodeToString(src)
		got, ok := appendHuffman([]byte("kept"), src)
		if ok != (err == nil) || ok && string(got) != "kept"+want {
			t.Fatalf("%x: %q %v, want %q %v", src, got, ok, want, err)
		}
	}
	for c := range 256 {
		check(hpack.AppendHuffmanString(nil, string([]byte{byte(c)})))
		check(hpack.AppendHuffmanString(nil, strings.Repeat(string([]byte{byte(c)}), 33)))
		check([]byte{byte(c)})
		for d := range 256 {
			check([]byte{byte(c), byte(d)})
		}
	}
	for range 20000 {
		b := make([]byte, rnd.IntN(40))
		for i := range b {
			b[i] = byte(rnd.Uint32())
			if rnd.IntN(3) == 0 {
				b[i] = 0xff
			}
		}
		check(b)
		check(hpack.AppendHuffmanString(nil, string(b)))
		check(append(hpack.AppendHuffmanString(nil, string(b)), 0xff))
	}
	check([]byte{0xff, 0xff, 0xff, 0xff})
	check([]byte{0xff, 0xff, 0xff, 0xfc}) // the end of string
}

func TestInt(t *testing.T) {
	for prefix := uint(4); prefix <= 7; prefix++ {
		for _, n := range []uint32{0, 1, 14, 15, 16, 30, 31, 32, 126, 127, 128, 1337, 65535, 65536, 1 << 20, 1<<28 - 1} {
			b := appendInt(nil, n, prefix, 0)
			got, rest, ok := readInt(append(b, 7), prefix)
			if got != n || !ok || len(rest) != 1 {
				t.Error(prefix, n, got, ok, rest)
			}
			if len(b) > 1 {
				if _, _, ok := readInt(b[:len(b)-1], prefix); ok {
					t.Error("cut off")
				}
			}
		}
		for _, b := range [][]byte{{0xff, 0x80, 0x80, 0x80, 0x80, 0x00}, {0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, {0xff}} {
			if n, _, ok := readInt(b, prefix); ok {
				t.Error(b, n)
			}
		}
	}
}

func TestStaticTable(t *testing.T) {
	for i := 1; i <= staticLen; i++ {
		f := &static[i]
		n := staticName(f.name)
		if n == 0 || string(static[n].name) != string(f.name) || int(n) > i || n > 1 && string(static[n-1].name) == string(f.name) {
			t.Errorf("%d %s: %d", i, f.name, n)
		}
	}
	for _, name := range []string{"", "x", "hos", "hostt", "x-forwarded-for", ":statut"} {
		if i := staticName([]byte(name)); i != 0 {
			t.Error(name, i)
		}
	}
	for i, name := range map[int]string{1: ":authority", 2: ":method", 4: ":path", 6: ":scheme", 8: ":status", 28: "content-length", 23: "authorization", 32: "cookie", 49: "proxy-authorization", 55: "set-cookie"} {
		if string(static[i].name) != name {
			t.Error(i, static[i].name)
		}
	}
}

// beside decodes blocks with our decoder and with golang.org/x/net's.
type beside struct {
	t    testing.TB
	ours decoder
	ref  *hpack.Decoder
	all  []hpack.HeaderField
}

func newBeside(t testing.TB, limit uint32) *beside {
	b := &beside{t: t}
	b.ours.init(limit)
	b.ref = hpack.NewDecoder(4096, func(f hpack.HeaderField) { b.all = append(b.all, f) })
	b.ref.SetAllowedMaxDynamicTableSize(limit)
	return b
}

// decode compares what becomes of a block, and of the dynamic tables. It tells
// whether the block was good.
func (b *beside) decode(block []byte) bool {
	b.t.Helper()
	var q message.Header
	h := head{}
	h.begin(trailers, &q, &Config{MaxHead: 1 << 30, MaxHeaders: 1 << 30})
	why := b.ours.decode(block, &h)
	h.end(&q)
	b.all = nil
	err := error(nil)
	for rest := block; err == nil; {
		// It does not take two changes of the size, unless they look like two blocks.
		n := len(rest)
		if n > 0 && rest[0]&0xe0 == 0x20 {
			if _, after, ok := readInt(rest, 5); ok {
				n -= len(after)
			}
		}
		if _, err = b.ref.Write(rest[:n]); err == nil {
			err = b.ref.Close()
		}
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	if why != "" {
		if err == nil && why != badInt && why != badSizeTime { // we are stricter there
			b.t.Fatalf("%x: refused for %s", block, why)
		}
		return false
	}
	if err != nil {
		b.t.Fatalf("%x: taken, but %v", block, err)
	}
	var want strings.Builder
	for _, f := range b.all {
		c := classify([]byte(f.Name)) | classifyValue([]byte(f.Value))
		switch {
		case c != plain && c != host && c != te && c != contentLength && c != cookie && c != expect:
			if h.why == "" {
				b.t.Fatalf("%x: %q: %q taken", block, f.Name, f.Value)
			}
			want.Reset()
			goto tables
		case c != host && c != te && c != contentLength && !http1.FramingField([]byte(f.Name)):
			fmt.Fprintf(&want, "%s: %s\n", f.Name, http1.Trim([]byte(f.Value)))
		}
	}
	if got := show(q.Fields); h.why != "" || got != want.String() {
		b.t.Fatalf("%x: %q %s, want %q", block, got, h.why, want.String())
	}
tables:
	size := uint32(0)
	for i := uint32(0); ; i++ {
		b.all = nil
		_, err := b.ref.Write(appendInt(nil, staticLen+1+i, 7, 0x80))
		b.ref.Close()
		if err != nil {
			if i != b.ours.count || size != b.ours.size {
				b.t.Fatalf("%x: %d entries of %d bytes, want %d of %d", block, b.ours.count, b.ours.size, i, size)
			}
			return true
		}
		if i >= b.ours.count {
			b.t.Fatalf("%x: %d entries, want more", block, i)
		}
		e, f := b.ours.at(i), b.all[0]
		got := b.ours.appendBytes(nil, uint32(e.off), uint32(e.name)+uint32(e.value))
		if string(got) != f.Name+f.Value || int(e.name) != len(f.Name) || e.class != classify([]byte(f.Name))|classifyValue([]byte(f.Value)) {
			b.t.Fatalf("%x: entry %d: %q %d", block, i, got, e.class)
		}
		size += f.Size()
	}
}

// Many heads of a client whose table changes its size and overflows.
func TestDecoder(t *testing.T) {
	for _, limit := range []uint32{4096, 65536} {
		rnd := rand.New(rand.NewPCG(3, uint64(limit)))
		b := newBeside(t, limit)
		var out bytes.Buffer
		enc := hpack.NewEncoder(&out)
		enc.SetMaxDynamicTableSizeLimit(limit)
		for range 3000 {
			if rnd.IntN(20) == 0 {
				enc.SetMaxDynamicTableSize(rnd.Uint32N(limit + 1))
			}
			for range rnd.IntN(10) {
				f := hpack.HeaderField{Name: fmt.Sprint("name", rnd.IntN(50)), Value: strings.Repeat("v", rnd.IntN(200)), Sensitive: rnd.IntN(10) == 0}
				switch rnd.IntN(20) {
				case 0:
					f.Value = strings.Repeat("long ", rnd.IntN(1000))
				case 1:
					f.Name = "accept"
				}
				enc.WriteField(f)
			}
			if !b.decode(out.Bytes()) {
				t.Fatalf("%x", out.Bytes())
			}
			out.Reset()
		}
		if len(b.ours.bytes) > int(limit) || len(b.ours.entries) > int(limit)/32 {
			t.Error(len(b.ours.bytes), len(b.ours.entries))
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff}, []byte{0xbe})
	f.Add(raw(browser...), raw("a", "b"))
	f.Add([]byte{0x3f, 0xe1, 0x1f, 0x20, 0x40, 1, 'a', 1, 'b'}, []byte{0xbe, 0x3e})
	f.Add([]byte{0x40, 0x81, 0xff, 0x00}, []byte{0x0f, 0x80, 0x80, 0x00, 0x7f, 0x00})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if len(one)+len(two) > 1<<16 {
			return
		}
		b := newBeside(t, 4096)
		if b.decode(one) {
			b.decode(two)
		}
	})
}
