package http2

import "github.com/forebay-lb/forebay/proxy/internal/engine/counter"

// Counters are what is counted of connections, by one reactor.
type Counters struct {
	// Frames of the peers, faulty ones included.
	Headers, Data, Settings, Rst, GoAway counter.Int
	// Lost are bytes of connections' windows that were never given back: a fault of ours,
	// that the simulation looks for.
	Lost counter.Int
	// ConnErrors and StreamErrors are violations of the protocol by the peers,
	// RstSent and GoAwaySent the frames that told them of one.
	ConnErrors, StreamErrors, RstSent, GoAwaySent counter.Int
	// Streams counts those that were opened, OpenStreams those that are open.
	Streams, OpenStreams counter.Int
	// Conns and OpenConns are for the owner to count.
	Conns, OpenConns counter.Int
}

// came counts a frame of the peer.
func (n *Counters) came(kind uint8) {
	switch kind {
	case frameHeaders:
		n.Headers.Add(1)
	case frameData:
		n.Data.Add(1)
	case frameSettings:
		n.Settings.Add(1)
	case frameRst:
		n.Rst.Add(1)
	case frameGoAway:
		n.GoAway.Add(1)
	}
}

// failed counts the end of a connection by the peer's fault. As in HAProxy, what
// exceeds a window or cannot be decompressed is told, but no violation.
func (n *Counters) failed(code ErrCode) {
	switch code {
	case ProtocolError, FrameSize:
		n.ConnErrors.Add(1)
		n.GoAwaySent.Add(1)
	case NoError, EnhanceYourCalm, RefusedStream, Cancel:
	default:
		n.GoAwaySent.Add(1)
	}
}

// Clear lets what counts begin anew; what is open stays counted. Only the owner
// may call it.
func (n *Counters) Clear() {
	for _, i := range []*counter.Int{
		&n.Headers, &n.Data, &n.Settings, &n.Rst, &n.GoAway, &n.ConnErrors, &n.StreamErrors, &n.RstSent, &n.GoAwaySent, &n.Streams, &n.Conns,
	} {
		i.Store(0)
	}
}
