package stream

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/message"
	"github.com/forebay-lb/forebay/proxy/internal/server"
)

// A WebSocket is an upgrade in HTTP/1 (RFC 6455) and an extended CONNECT in
// HTTP/2 (RFC 8441). The proxy handles it as the former; what only HTTP/1 has,
// the key and its answer, is made up or dropped where the versions meet.

// webSocket tells whether the request asks for a WebSocket.
func (st *Stream) webSocket() bool {
	return st.Req.Upgrade != nil && message.EqualFold(st.Req.Upgrade, "websocket")
}

// webSocketH1 tells whether the exchange is a WebSocket that has to go over
// HTTP/1 ("ws"). alpn is what the server's connections offer.
func (st *Stream) webSocketH1(set *server.Settings, alpn []string) bool {
	if !st.webSocket() {
		return false
	}
	switch set.WS {
	case "h1":
		return true
	case "h2":
		return false
	}
	return slices.Contains(alpn, "http/1.1")
}

// webSocketKey gives a request from HTTP/2 the key that a server of HTTP/1
// expects.
func (st *Stream) webSocketKey() {
	q := &st.Req
	if !st.webSocket() || q.Has("sec-websocket-key") {
		return
	}
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], st.R.Rand.Uint64())
	binary.LittleEndian.PutUint64(key[8:], st.R.Rand.Uint64())
	q.AddString("sec-websocket-key", base64.StdEncoding.EncodeToString(key[:]))
	if !q.Has("sec-websocket-version") {
		q.AddString("sec-websocket-version", "13")
	}
}

// webSocketAgreed tells whether the 101 to a key that no client has seen, and
// none will check, was meant for it.
func (st *Stream) webSocketAgreed() bool {
	res := &st.Res
	return message.EqualFold(res.Upgrade, "websocket") &&
		string(res.Get("sec-websocket-accept")) == acceptOf(st.Req.Get("sec-websocket-key"))
}

// acceptOf is the answer to a key (RFC 6455 4.2.2).
func acceptOf(key []byte) string {
	sum := sha1.Sum(append(append([]byte(nil), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// webSocketAccepted makes the answer of a server of HTTP/2 that accepted an
// extended CONNECT one to an upgrade.
func (st *Stream) webSocketAccepted() {
	res := &st.Res
	res.Framing = message.Tunnel
	res.Del("content-length")
	res.Status, res.Reason = 101, nil
	res.Upgrade = res.CopyString("websocket")
	res.AddString("upgrade", "websocket")
	res.AddString("connection", "upgrade")
	if key := st.Req.Get("sec-websocket-key"); key != nil {
		res.AddString("sec-websocket-accept", acceptOf(key))
	}
}
