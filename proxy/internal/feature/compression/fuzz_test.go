package compression

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"gzip", "gzip;q=0", "*;q=0.5, deflate", "gzip ;q=1.000;x", ",,;", "q=1", "gzip;q=1.0000"} {
		f.Add(s)
	}
	list := []*algorithm{find("gzip"), find("deflate")}
	f.Fuzz(func(t *testing.T, value string) {
		var h message.Header
		h.Add([]byte("accept-encoding"), []byte(value))
		a, asked := choose(&h, list)
		if asked != (a != nil) {
			t.Errorf("%q: %v, %v", value, a, asked)
		}
		if a != nil && !strings.Contains(value, "*") && !strings.Contains(strings.ToLower(value), a.token) {
			t.Errorf("%q: %s", value, a.name)
		}
	})
}

func FuzzContentType(f *testing.F) {
	f.Add("text/html;charset=utf-8", "text/html")
	f.Add("TEXT", "text/")
	f.Fuzz(func(t *testing.T, field, prefix string) {
		got := wanted([]byte(field), []string{prefix})
		// Of ASCII letters only: what else has cases is compared as it is.
		low := func(s string) string { return string(message.AppendLower(nil, []byte(s))) }
		if got != strings.HasPrefix(low(field), low(prefix)) {
			t.Errorf("%q, %q: %v", field, prefix, got)
		}
	})
}

// Whatever the slices and the gears, a body is what it was.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("hello hello hello"), uint16(5), byte(1))
	f.Add(bytes.Repeat([]byte("abc"), 30000), uint16(40000), byte(2))
	f.Fuzz(func(t *testing.T, body []byte, slice uint16, gears byte) {
		for _, form := range []form{asGzip, asZlib} {
			var e encoder
			e.begin(form, fast)
			var out []byte
			for rest := body; ; {
				n := min(len(rest), int(slice)+1)
				e.level = int(gears & 1)
				gears = gears>>1 | gears<<7
				out = e.add(out, rest[:n], n == len(rest))
				if rest = rest[n:]; len(rest) == 0 {
					break
				}
			}
			var r io.Reader
			var err error
			if form == asGzip {
				r, err = gzip.NewReader(bytes.NewReader(out))
			} else {
				r, err = zlib.NewReader(bytes.NewReader(out))
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
			}
		}
	})
}
