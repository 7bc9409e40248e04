package http1_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

func TestChunks(t *testing.T) {
	for _, c := range []struct{ text, body, trailers, rest string }{
		{"5\r\nhello\r\n0\r\n\r\nGET", "hello", http1.ChunkEnd, "GET"},
		{"1\r\na\r\n01 ; x=\"y\"\r\nb\r\n0;z\r\n\r\n", "ab", http1.ChunkEnd, ""},
		{"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n", "ab", "0\r\nx-sum: 1\r\n\r\n", ""},
		{"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\nA: b\r\n\r\n", "", "0\r\na: b\r\n\r\n", ""},
	} {
		for step := 1; step <= len(c.text); step++ {
			body, rest, trailers, done, err := dechunk(t, []byte(c.text), step)
			if string(body) != c.body || string(rest) != c.rest || trailers != c.trailers || !done || err != nil {
				t.Fatalf("%q by %d: %q %q %q %v %v", c.text, step, body, trailers, rest, done, err)
			}
		}
	}
	for _, text := range []string{
		"\r\n", "g", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 1\r\n", "1\ra", "1\r\nab", "1\r\na\rb", "10000000000000\r\n", "ffffffffffffffff1\r\n", "1;a\nb", "1;a\rb",
		"1\nab", "1\t\n", "1\r\na\n", "0\n", "0\r\n\n", "0\r\nA: b\n", "0\r\nA: b\r\n\n", "1;\x00", "1;a=\x1f", "1;\x7f",
		"1;" + strings.Repeat("x", 4096), strings.Repeat("0", 5000), "0\r\nA : b\r\n\r\n", "0\r\n: b\r\n\r\n", "0\r\nA: \x00\r\n\r\n", "0\r\n\ra",
		"0\r\n" + strings.Repeat("a: b\r\n", 102), "0\r\nA: " + strings.Repeat("x", 9000), "0\r\nA: " + strings.Repeat("x", 9000) + "\r\n\r\n",
	} {
		for _, step := range []int{1, len(text)} {
			if _, _, _, done, err := dechunk(t, []byte(text), step); done || statusOf(err) != 400 {
				t.Errorf("%.40q by %d: %v, %v", text, step, done, err)
			}
		}
	}
}

// The data of a chunk may be moved by other means.
func TestChunksSkip(t *testing.T) {
	var c http1.Chunks
	if c.Remaining() != 0 {
		t.Fatal(c.Remaining())
	}
	d, n, done, err := c.Next([]byte("ffffff\r\nab"), nil)
	if string(d) != "ab" || n != 10 || done || err != nil || c.Remaining() != 0xffffff-2 {
		t.Fatal(d, n, done, err, c.Remaining())
	}
	c.Skip(c.Remaining() - 1)
	if d, n, done, err = c.Next([]byte("c\r\n0\r\n\r\n"), nil); string(d) != "c" || n != 8 || !done || err != nil {
		t.Fatal(d, n, done, err)
	}
}

func TestAppendChunks(t *testing.T) {
	b := http1.AppendChunkHeader(nil, 0xabcdef)
	b = http1.AppendTrailers(b, []message.Field{{Name: []byte("a"), Value: []byte("b")}, {}})
	if string(b) != "abcdef\r\n0\r\na: b\r\n\r\n" {
		t.Fatalf("%q", b)
	}
}

// What is bounded is bounded for each chunk, not for the body: a body of any
// number of chunks goes through, however long their size lines are, whatever the
// pieces that it comes in.
func TestManyChunks(t *testing.T) {
	long := strings.Repeat("0", 10) + "1;" + strings.Repeat("x", 4076)
	for _, c := range []struct {
		line string
		n    int
	}{{"1", 50_000}, {"0000000000000001 ; a=\"b\"", 10_000}, {long, 500}} {
		chunk := c.line + "\r\ny\r\n"
		for _, step := range []int{1000, 4096, len(chunk), len(chunk) - 1} {
			var chunks http1.Chunks
			var buf []byte
			got, fed, done := 0, 0, false
			next := 0
			for !done {
				for len(buf) < step && fed < c.n {
					buf = append(buf, chunk...)
					fed++
				}
				if fed == c.n && next == 0 {
					buf = append(buf, http1.ChunkEnd...)
					next = 1
				}
				data, n, end, err := chunks.Next(buf[:min(step, len(buf))], nil)
				if err != nil {
					t.Fatalf("chunk %d of %.30q: %v", got, c.line, err)
				}
				if n == 0 && !end {
					if step >= len(buf) {
						t.Fatalf("no way on at chunk %d of %.30q", got, c.line)
					}
					step = len(buf)
				}
				got += len(data)
				buf = buf[n:]
				done = end
			}
			if got != c.n {
				t.Errorf("%d of %d bytes in chunks of %.30q", got, c.n, c.line)
			}
		}
	}
}
