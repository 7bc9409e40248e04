package sim

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

type framing uint8

const (
	none framing = iota
	byLength
	byChunks
	byClose
	tunnelled
)

// head is the head of a message as the simulated peers see it. Their parser has
// nothing in common with the proxy's, so that they cannot agree on a mistake.
type head struct {
	words  []string // of the first line
	status int
	v10    bool
	fields map[string]string
}

func (h *head) num(name string) int {
	n, err := strconv.Atoi(h.fields[name])
	if err != nil {
		return -1
	}
	return n
}

// reader takes a stream of messages apart.
type reader struct {
	buf     []byte
	head    *head // nil: the next one is awaited
	framing framing
	left    int // of the length, or of the chunk
	chunk   int // 0 size line, 1 data, 2 its end, 3 trailers
	got     int // bytes of body
	done    bool
	trailer string
}

// next reads a head, if it is complete. method is that of the request when a
// response is read, else empty.
func (r *reader) next(response bool, method string) (bool, error) {
	end := bytes.Index(r.buf, []byte("\r\n\r\n"))
	if end < 0 {
		return false, nil
	}
	lines := strings.Split(string(r.buf[:end]), "\r\n")
	r.buf = r.buf[end+4:]
	h := &head{words: strings.SplitN(lines[0], " ", 3), fields: make(map[string]string)}
	if len(h.words) < 3 && !(response && len(h.words) == 2) {
		return false, fmt.Errorf("bad first line %q", lines[0])
	}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			return false, fmt.Errorf("bad field %q", l)
		}
		name = strings.ToLower(name)
		value = strings.TrimSpace(value)
		if old, ok := h.fields[name]; ok {
			if name == "content-length" || name == "transfer-encoding" || strings.HasPrefix(name, "x-") {
				return false, fmt.Errorf("field %s twice: %q and %q", name, old, value)
			}
			value = old + "," + value
		}
		h.fields[name] = value
	}
	version := h.words[len(h.words)-1]
	if response {
		version = h.words[0]
		h.status, _ = strconv.Atoi(h.words[1])
	}
	h.v10 = version == "HTTP/1.0"
	if !h.v10 && version != "HTTP/1.1" {
		return false, fmt.Errorf("version %q", version)
	}
	*r = reader{buf: r.buf, head: h}
	length, hasLength := h.fields["content-length"]
	te := strings.ToLower(h.fields["transfer-encoding"])
	if hasLength && te != "" {
		return false, fmt.Errorf("both lengths")
	}
	switch {
	case response && h.status == 101:
		r.framing = tunnelled
	case response && (method == "HEAD" || h.status < 200 || h.status == 204 || h.status == 304):
	case te == "chunked":
		if h.v10 {
			return false, fmt.Errorf("chunks in HTTP/1.0")
		}
		r.framing = byChunks
	case te != "":
		return false, fmt.Errorf("transfer-encoding %q", te)
	case hasLength:
		n, err := strconv.Atoi(length)
		if err != nil {
			return false, err
		}
		r.framing, r.left = byLength, n
	case response:
		r.framing = byClose
	}
	r.done = r.framing == none || r.framing == byLength && r.left == 0
	return true, nil
}

// body gives what there is of the body.
func (r *reader) body() (data []byte, err error) {
	for !r.done && len(r.buf) > 0 {
		switch r.framing {
		case byLength:
			n := min(r.left, len(r.buf))
			data = append(data, r.buf[:n]...)
			r.buf, r.left = r.buf[n:], r.left-n
			r.done = r.left == 0
		case byClose, tunnelled:
			data = append(data, r.buf...)
			r.buf = nil
		case byChunks:
			more, err := r.chunks(&data)
			if err != nil || !more {
				r.got += len(data)
				return data, err
			}
		}
	}
	r.got += len(data)
	return data, nil
}

func (r *reader) chunks(data *[]byte) (more bool, err error) {
	if r.chunk == 1 {
		n := min(r.left, len(r.buf))
		*data = append(*data, r.buf[:n]...)
		r.buf, r.left = r.buf[n:], r.left-n
		if r.left == 0 {
			r.chunk = 2
		}
		return true, nil
	}
	line, rest, ok := bytes.Cut(r.buf, []byte("\r\n"))
	if !ok {
		return false, nil
	}
	r.buf = rest
	switch r.chunk {
	case 0:
		size, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return false, fmt.Errorf("chunk size %q", line)
		}
		r.left, r.chunk = int(n), 1
		if n == 0 {
			r.chunk = 3
		}
	case 2:
		if len(line) > 0 {
			return false, fmt.Errorf("chunk ends with %q", line)
		}
		r.chunk = 0
	case 3:
		if len(line) == 0 {
			r.done = true
			return true, nil
		}
		r.trailer = string(line)
	}
	return true, nil
}

// at is the byte at an offset of the body that belongs to a number. Every byte
// tells whose it is and where it belongs.
func at(id, salt, off int) byte {
	x := uint32(id)*2654435761 + uint32(salt)*40503 + uint32(off)*2246822519
	x ^= x >> 15
	x *= 3266489917
	return 'a' + byte(x>>24)%26
}

func content(id, salt, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = at(id, salt, i)
	}
	return b
}

// verify compares a piece of a body with what it should be.
func verify(b []byte, id, salt, off int) error {
	for i, c := range b {
		if c != at(id, salt, off+i) {
			return fmt.Errorf("byte %d of a body is not its own", off+i)
		}
	}
	return nil
}

// chunked puts b into chunks of random sizes.
func chunked(b []byte, size func(n int) int, trailer string) []byte {
	var out []byte
	for len(b) > 0 {
		n := size(len(b))
		out = append(out, fmt.Sprintf("%x\r\n", n)...)
		out = append(out, b[:n]...)
		out = append(out, "\r\n"...)
		b = b[n:]
	}
	out = append(out, "0\r\n"...)
	if trailer != "" {
		out = append(out, trailer+"\r\n"...)
	}
	return append(out, "\r\n"...)
}
