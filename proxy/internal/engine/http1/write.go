package http1

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// WriteOptions is what a head says about the connection that it is written to.
type WriteOptions struct {
	// Close says that the connection ends after this exchange.
	Close bool
	// Peer10 says that the receiver of a response speaks HTTP/1.0, and has to be
	// told that the connection stays.
	Peer10 bool
	// Head says that a response answers a HEAD request: it has no body whatever
	// its fields say.
	Head bool
}

// AppendRequest appends the head of req as HTTP/1 text.
//
// The fields are written in order. The words close and keep-alive of connection
// fields are left out, and what opt says is put at the end where the version
// needs it said; content-length and transfer-encoding are written as
// req.Framing has it, whatever the fields say.
func AppendRequest(dst []byte, req *message.Request, opt WriteOptions) []byte {
	dst = append(dst, req.MethodName...)
	dst = append(dst, ' ')
	if req.Normalized {
		dst = append(dst, req.PathQuery()...)
	} else {
		dst = append(dst, req.Target...)
	}
	if req.Version == message.HTTP10 && req.Framing != message.Chunked {
		dst = append(dst, " HTTP/1.0\r\n"...)
		opt.Peer10 = true
	} else {
		dst = append(dst, " HTTP/1.1\r\n"...)
		opt.Peer10 = false
	}
	w := framingOf(&req.Header)
	if req.Framing == message.NoBody && req.ContentLength != 0 {
		w.length = -1
	}
	return appendFields(dst, &req.Header, w, opt, opt.Peer10)
}

// AppendResponse appends the head of res as HTTP/1 text, as [AppendRequest] does
// for requests. A nil reason is replaced by the usual one of the status.
func AppendResponse(dst []byte, res *message.Response, opt WriteOptions) []byte {
	v10 := res.Version == message.HTTP10 && res.Framing != message.Chunked
	if v10 {
		dst = append(dst, "HTTP/1.0 "...)
	} else {
		dst = append(dst, "HTTP/1.1 "...)
	}
	dst = strconv.AppendInt(dst, int64(res.Status), 10)
	dst = append(dst, ' ')
	if res.Reason != nil {
		dst = append(dst, res.Reason...)
	} else {
		dst = append(dst, message.Reason(res.Status)...)
	}
	dst = append(dst, "\r\n"...)
	w := framingOf(&res.Header)
	interim := res.Status < 200
	switch {
	case interim || res.Status == 204:
		w = written{length: -1}
		if res.Framing == message.Close {
			opt.Close = true
		}
	case res.Framing == message.Close:
		opt.Close = true
	case res.Framing == message.NoBody && (opt.Head || res.Status == 304):
		// The fields tell of the body that a GET would get; keep what there is.
		w.asFields = true
	case res.Framing == message.NoBody:
		w.length, w.mustLength = 0, true
	}
	if interim {
		// It says nothing of the connection, and closes nothing.
		opt = WriteOptions{}
		v10 = false
	}
	return appendFields(dst, &res.Header, w, opt, v10)
}

// written is what of the framing is to be written.
type written struct {
	length     int64 // content-length, -1: none
	mustLength bool  // even when no field has it
	chunked    bool
	asFields   bool // as the fields say
}

func framingOf(h *message.Header) written {
	switch h.Framing {
	case message.NoBody:
		return written{length: h.ContentLength}
	case message.Length:
		return written{length: h.ContentLength, mustLength: true}
	case message.Chunked:
		return written{length: -1, chunked: true}
	}
	return written{length: -1}
}

// appendFields appends the fields, the framing, the connection field and the
// empty line. v10 says that the head was written as HTTP/1.0.
func appendFields(dst []byte, h *message.Header, w written, opt WriteOptions, v10 bool) []byte {
	upgrade := false
	for i := range h.Fields {
		f := &h.Fields[i]
		switch len(f.Name) {
		case 0:
			continue
		case 7:
			upgrade = upgrade || string(f.Name) == "upgrade"
		case 10:
			if string(f.Name) == "connection" {
				dst = appendConnection(dst, f.Value)
				continue
			}
		case 14:
			if string(f.Name) == "content-length" && !w.asFields {
				if w.length >= 0 {
					if n, ok := number(f.Value); ok && n == w.length {
						break
					}
					dst = appendLength(dst, w.length)
				}
				w.length = -1
				continue
			}
		case 17:
			if string(f.Name) == "transfer-encoding" && !w.asFields {
				if w.chunked {
					dst = append(dst, "transfer-encoding: chunked\r\n"...)
					w.chunked = false
				}
				continue
			}
		}
		dst = append(dst, f.Name...)
		dst = append(dst, ':', ' ')
		dst = append(dst, f.Value...)
		dst = append(dst, '\r', '\n')
		if len(f.Name) == 14 && string(f.Name) == "content-length" {
			w.length = -1
		}
	}
	if w.mustLength && w.length >= 0 {
		dst = appendLength(dst, w.length)
	}
	if w.chunked {
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	switch upg := upgrading(h); {
	case h.Upgrade != nil:
		if !upg {
			dst = append(dst, "connection: upgrade\r\n"...)
		}
		if !upgrade {
			dst = append(dst, "upgrade: "...)
			dst = append(dst, h.Upgrade...)
			dst = append(dst, '\r', '\n')
		}
	case upg:
		// It speaks for itself: HTTP/1.0 has no keep-alive then.
	case opt.Close && !v10:
		dst = append(dst, "connection: close\r\n"...)
	case !opt.Close && (v10 || opt.Peer10):
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, '\r', '\n')
}

func upgrading(h *message.Header) bool {
	for i := h.Next("connection", 0); i >= 0; i = h.Next("connection", i+1) {
		if hasElement(h.Fields[i].Value, "upgrade") {
			return true
		}
	}
	return false
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

// appendConnection appends a connection field without close and keep-alive, and
// nothing when nothing is left.
func appendConnection(dst, v []byte) []byte {
	n := len(dst)
	dst = append(dst, "connection: "...)
	m := len(dst)
	dst = appendOthers(dst, v, false)
	if len(dst) == m {
		return dst[:n]
	}
	return append(dst, '\r', '\n')
}
