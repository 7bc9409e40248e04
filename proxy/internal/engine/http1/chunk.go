package http1

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// ChunkEnd ends a chunked body that has no trailers.
const ChunkEnd = "0\r\n\r\n"

// Bounds of a chunked body.
const (
	maxChunk     = 1<<52 - 1 // bytes of one chunk
	maxChunkLine = 4096      // bytes of the line before a chunk: digits and extensions
	maxTrailers  = 8192      // bytes of the trailer section
)

// Chunks decodes a chunked body (RFC 9112 7.1) bit by bit. The zero value is at
// the start of one. Extensions are dropped.
type Chunks struct {
	left  int64 // of the chunk's size while it is read, then of its data
	line  int   // bytes of the line so far
	state uint8
}

const (
	chunkStart    = iota // before the first digit
	chunkSize            // in the digits
	chunkBlank           // blanks after the digits
	chunkExt             // in an extension
	chunkLF              // CR seen at the end of the line
	chunkData            // in the data
	chunkDataCR          // after the data
	chunkDataLF          // after the CR behind the data
	chunkTrailers        // after the last chunk's line
	chunkDone
)

// Next takes the next piece off buf. data is a run of body bytes inside buf,
// maybe empty; n is how many bytes of buf it consumed, data included; done says
// that the body has ended. When it consumes nothing it needs more bytes.
//
// The trailer section has to be in buf as a whole: n is 0 until it is, and an
// error follows when it is longer than 8 KiB. Its fields are appended to tr
// when tr is not nil, pointing into buf, without those that concern framing or
// the connection. The error is an *[Error] of status 400; a caller that reads a
// response makes it a 502. Its Pos is relative to buf.
func (c *Chunks) Next(buf []byte, tr *[]message.Field) (data []byte, n int, done bool, err error) {
	n, err = c.control(buf, tr)
	if err != nil || c.state != chunkData {
		return nil, n, c.state == chunkDone, err
	}
	m := int64(len(buf) - n)
	if m == 0 {
		return nil, n, false, nil
	}
	data = buf[n : n+int(min(m, c.left))]
	n += len(data)
	c.Skip(int64(len(data)))
	// Take what follows as well, so that the end of the body comes with its last
	// bytes. An error in it can wait: it is found again by the next call.
	was := *c
	if k, err := c.control(buf[n:], tr); err == nil {
		n += k
	} else {
		*c = was
	}
	return data, n, c.state == chunkDone, nil
}

// Remaining is how many bytes of the current chunk's data are not yet consumed.
func (c *Chunks) Remaining() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.left
}

// Skip says that the caller moved n bytes of the current chunk's data itself,
// at most as many as [Chunks.Remaining] said.
func (c *Chunks) Skip(n int64) {
	if c.state != chunkData || n <= 0 {
		return
	}
	if c.left -= n; c.left <= 0 {
		c.left, c.state = 0, chunkDataCR
	}
}

// Done tells whether the body has ended.
func (c *Chunks) Done() bool { return c.state == chunkDone }

// control consumes what is not data, up to the next data. It is a state machine over
// single bytes, and one function: each state is a case, and most a line or two.
func (c *Chunks) control(buf []byte, tr *[]message.Field) (int, error) {
	for i := 0; i < len(buf); i++ {
		b := buf[i]
		switch c.state {
		case chunkData, chunkDone:
			return i, nil
		case chunkDataCR:
			if b != '\r' {
				return i, &Error{400, i, "no CRLF after a chunk"}
			}
			c.state = chunkDataLF
			continue
		case chunkDataLF:
			if b != '\n' {
				return i, &Error{400, i, "no CRLF after a chunk"}
			}
			c.state = chunkStart
			continue
		case chunkTrailers:
			n, err := c.trailers(buf[i:], tr)
			if e, ok := err.(*Error); ok {
				e.Pos += i
			}
			return i + n, err
		}
		if c.line++; c.line > maxChunkLine {
			return i, &Error{400, i, "too long a chunk size line"}
		}
		switch c.state {
		case chunkStart, chunkSize:
			if d := hexval[b]; d != 0xff {
				c.left = c.left<<4 | int64(d)
				if c.left > maxChunk {
					return i, &Error{400, i, "too large a chunk"}
				}
				c.state = chunkSize
				continue
			}
			if c.state == chunkStart {
				return i, &Error{400, i, "invalid chunk size"}
			}
			fallthrough
		case chunkBlank:
			switch {
			case isBlank(b):
				c.state = chunkBlank
			case b == ';':
				c.state = chunkExt
			case b == '\r':
				c.state = chunkLF
			case b == '\n':
				return i, &Error{400, i, "LF without CR after a chunk size"}
			default:
				return i, &Error{400, i, "invalid chunk size"}
			}
		case chunkExt:
			if b == '\r' {
				c.state = chunkLF
			} else if b < ' ' && b != '\t' || b == 0x7f {
				// Others may read on over a LF, or no further than a NUL.
				return i, &Error{400, i, "invalid character in a chunk extension"}
			}
		case chunkLF:
			if b != '\n' {
				return i, &Error{400, i, "CR without LF"}
			}
			c.endLine()
		}
	}
	return len(buf), nil
}

func (c *Chunks) endLine() {
	c.line = 0
	c.state = chunkData
	if c.left == 0 {
		c.state = chunkTrailers
	}
}

// trailers reads the trailer section when all of it is there.
func (c *Chunks) trailers(buf []byte, tr *[]message.Field) (int, error) {
	var fields []message.Field
	k := droppedTrailer
	if tr != nil {
		fields, k = *tr, trailer
	}
	if len(buf) > quickLook && !complete(buf[:min(len(buf), maxTrailers)]) {
		if len(buf) >= maxTrailers {
			return 0, &Error{400, 0, "too long a trailer section"}
		}
		return 0, nil
	}
	fields, n, f := parseFields(buf, 0, fields, nil, &defaults, k)
	if n < 0 {
		return 0, f.err(400)
	}
	if n == 0 {
		return 0, nil
	}
	if tr != nil {
		*tr = fields
	}
	c.state = chunkDone
	return n, nil
}

// AppendChunkHeader appends the line before a chunk of n bytes, n > 0.
func AppendChunkHeader(dst []byte, n int64) []byte {
	dst = strconv.AppendInt(dst, n, 16)
	return append(dst, '\r', '\n')
}

// AppendTrailers appends the end of a chunked body with trailers.
func AppendTrailers(dst []byte, fields []message.Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range fields {
		if f := &fields[i]; f.Name != nil {
			dst = append(dst, f.Name...)
			dst = append(dst, ':', ' ')
			dst = append(dst, f.Value...)
			dst = append(dst, '\r', '\n')
		}
	}
	return append(dst, '\r', '\n')
}
