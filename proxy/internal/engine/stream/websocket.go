package stream

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// An upgrade of HTTP/1 (RFC 9110 7.8) is an extended CONNECT in HTTP/2 (RFC
// 8441). The proxy handles it as the former. What only HTTP/1 has, the key of a
// WebSocket (RFC 6455) and its answer, is made up or dropped where the versions
// meet.

// webSocket tells whether the request asks for a WebSocket.
func (st *Stream) webSocket() bool {
	return st.Req.Upgrade != nil && http1.HasElement(st.Req.Upgrade, "websocket")
}

var webSocketName = []byte("websocket")

// upgradesTo is the protocol that an extended CONNECT asks for in place of the
// request's upgrade, nil if none can: a WebSocket if that is among those named,
// or the first of them.
func (st *Stream) upgradesTo() []byte {
	p := st.Req.Upgrade
	switch i := bytes.IndexByte(p, ','); {
	case st.Req.Method != message.Get:
		return nil // its method would be lost
	case st.webSocket():
		return webSocketName
	case i >= 0:
		p = http1.Trim(p[:i])
	}
	if !http1.ValidToken(p) || len(p) == 0 {
		return nil
	}
	return p
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

// upgradeAgreed tells whether a 101 is to the protocol that was asked for, and,
// since no client has seen the key and none will check the answer, to the key.
func (st *Stream) upgradeAgreed() bool {
	res := &st.Res
	return bytes.EqualFold(res.Upgrade, st.Req.Upgrade) &&
		(!st.webSocket() || string(res.Get("sec-websocket-accept")) == acceptOf(st.Req.Get("sec-websocket-key")))
}

// acceptOf is the answer to a key (RFC 6455 4.2.2).
func acceptOf(key []byte) string {
	sum := sha1.Sum(append(append([]byte(nil), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// upgradeAccepted makes the answer of a server of HTTP/2 that accepted an
// extended CONNECT one to an upgrade.
func (st *Stream) upgradeAccepted() {
	res := &st.Res
	res.Framing = message.Tunnel
	res.Del("content-length")
	res.Del("sec-websocket-accept") // a proxy's behind it, to a key of its own
	res.Status, res.Reason = 101, nil
	res.Upgrade = res.Copy(st.Req.Upgrade)
	res.Add(res.CopyString("upgrade"), res.Upgrade)
	res.AddString("connection", "upgrade")
	if key := st.Req.Get("sec-websocket-key"); key != nil && st.webSocket() {
		res.AddString("sec-websocket-accept", acceptOf(key))
	}
}
