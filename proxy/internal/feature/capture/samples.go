package capture

import (
	"bytes"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// fromRequest is where what the request has left is found.
const fromRequest = "..YYYYYYYYYYYYYYYYY..."

func init() {
	sample.RegisterFetch(
		sample.Fetch{Name: "capture.req.hdr", Args: "integer", Out: sample.Str, Where: fromRequest, Compile: captured(request)},
		sample.Fetch{Name: "capture.res.hdr", Args: "integer", Out: sample.Str, Where: sample.Response, Compile: captured(response)},
		sample.Fetch{Name: "capture.req.method", Out: sample.Str, Where: fromRequest, Compile: ofLine(method)},
		sample.Fetch{Name: "capture.req.uri", Out: sample.Str, Where: fromRequest, Compile: ofLine(uri)},
		sample.Fetch{Name: "capture.req.ver", Out: sample.Str, Where: fromRequest, Compile: version(func(st *stream.Stream) (message.Version, bool) {
			return st.Req.Version, st.HasRequest
		})},
		sample.Fetch{Name: "capture.res.ver", Out: sample.Str, Where: fromRequest, Compile: version(func(st *stream.Stream) (message.Version, bool) {
			return st.Res.Version, st.HasResponse
		})},
	)
	sample.RegisterConverter(
		sample.Converter{Name: "capture-req", Args: "integer", In: sample.Str, Out: sample.Str, Compile: keep(request)},
		sample.Converter{Name: "capture-res", Args: "integer", In: sample.Str, Out: sample.Str, Compile: keep(response)},
	)
	stream.RegisterAlias(
		stream.Alias{Name: "hr", Form: stream.Braces, Field: list(request)},
		stream.Alias{Name: "hs", Form: stream.Braces, Field: list(response)},
		stream.Alias{Name: "hrl", Form: stream.Spaced, Field: list(request)},
		stream.Alias{Name: "hsl", Form: stream.Spaced, Field: list(response)},
		stream.Alias{Name: "CC", Form: stream.Known, Append: cookieOf(request)},
		stream.Alias{Name: "CS", Form: stream.Known, Append: cookieOf(response)},
	)
}

// captured is "capture.req.hdr(n)".
func captured(s side) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(_ *conf.Ctx, args []string) (sample.Func, error) {
		id, err := strconv.Atoi(args[0])
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			if n > 0 || sc.Stream == nil {
				return false
			}
			b := value(sc.Stream, s, id)
			return b != nil && v.SetStr(b)
		}, err
	}
}

// keep is "capture-req(n)".
func keep(s side) func(*conf.Ctx, []string) (sample.Convert, error) {
	return func(_ *conf.Ctx, args []string) (sample.Convert, error) {
		id, err := strconv.Atoi(args[0])
		return func(sc *stream.Scope, v *sample.Value) bool {
			if sc.Stream == nil {
				return false
			}
			kept := of(sc.Stream)
			if kept == nil || id < 0 || id >= len(*kept.l.list(s)) {
				return false
			}
			kept.set(kept.l.index(s, id), v.Bytes)
			return true
		}, err
	}
}

// ofLine is a part of the request's first line.
func ofLine(part func(line []byte) []byte) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(c *conf.Ctx, _ []string) (sample.Func, error) {
		c.KeepLines()
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			if n > 0 || sc.Stream == nil || !sc.Stream.HasRequest {
				return false
			}
			b := part(sc.Stream.ReqLine)
			return b != nil && v.SetStr(b)
		}, nil
	}
}

// method is up to the first blank.
func method(line []byte) []byte {
	b, _, _ := bytes.Cut(line, blanks)
	return b
}

var blanks = []byte(" ")

// uri is the second word of the line, from its path on; nil if it has none.
func uri(line []byte) []byte {
	_, rest, _ := bytes.Cut(line, blanks)
	b, _, _ := bytes.Cut(rest, blanks)
	if i := bytes.Index(b, scheme); i >= 0 && b[0] != '/' {
		b = b[i+len(scheme):]
	}
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		return b[i:]
	}
	return nil
}

var scheme = []byte("://")

// version tells of HTTP/1.0 and what is newer.
func version(of func(*stream.Stream) (message.Version, bool)) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			if n > 0 || sc.Stream == nil {
				return false
			}
			is, there := of(sc.Stream)
			text := http11
			if is == message.HTTP10 {
				text = http10
			}
			return there && v.SetStr(text)
		}, nil
	}
}

var http10, http11 = []byte("HTTP/1.0"), []byte("HTTP/1.1")

// list gives what was captured of a side, for log lines. Of what became no request
// there is none.
func list(s side) func(*stream.Scope, int) ([]byte, bool) {
	return func(sc *stream.Scope, n int) ([]byte, bool) {
		st := sc.Stream
		if st == nil || st.FE == nil || !st.HasRequest && st.FE.Mode == stream.HTTP {
			return nil, false
		}
		v := of(st)
		if v == nil || n >= len(*v.l.list(s)) {
			return nil, false
		}
		return v.get(v.l.index(s, n)), true
	}
}

// cookieOf appends the captured cookie of a side.
func cookieOf(s side) func([]byte, *stream.Scope) []byte {
	return func(dst []byte, sc *stream.Scope) []byte {
		if sc.Stream == nil || sc.Stream.FE == nil {
			return dst
		}
		if v := of(sc.Stream); v != nil && v.l.cookie != "" {
			dst = append(dst, v.get(v.l.cookieIndex(s))...)
		}
		return dst
	}
}
