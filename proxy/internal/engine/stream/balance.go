package stream

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// Balance is how a backend chooses among its servers.
type Balance struct {
	Algorithm string   // its name: "roundrobin", "leastconn", "uri" …
	Args      []string // as written
	Config    balance.Config
	// New makes what chooses; nil is round robin, or a choice by key if there is a Key.
	New balance.Builder
	// Static tells that the weights of servers, and which servers there are, do not
	// change at run time. With a key, the hash type decides.
	Static bool
	// Key, if set, gives the number of a stream's key, by which a server is chosen;
	// false: the stream has none, and the servers take turns.
	Key func(st *Stream, h *balance.HashType) (uint32, bool)
	// HTTP tells that Key needs a request, Body that one of method POST needs its body,
	// or what of it fits into the buffer.
	HTTP, Body bool
	// First, if set, tells whether the first bytes of a client in mode tcp, which Key
	// looks at, are still too few.
	First func(p []byte) bool
}

// Deterministic tells whether the same request would be given the same server
// again.
func (b *Balance) Deterministic() bool { return b.Key != nil }

// Dynamic tells whether servers may come, go and change their weight while the
// algorithm is in use (manual 4.2, "balance").
func (b *Balance) Dynamic() bool {
	if b.Key != nil {
		return b.Config.Hash.Consistent
	}
	return !b.Static
}

// Same tells whether o chooses as b does.
func (b *Balance) Same(o *Balance) bool {
	x, y := b.Config, o.Config
	return b.Algorithm == o.Algorithm && slices.Equal(b.Args, o.Args) && x.Draws == y.Draws && x.Factor == y.Factor && x.Affinity == y.Affinity &&
		x.Hash.Consistent == y.Hash.Consistent && x.Hash.Function == y.Hash.Function && x.Hash.Avalanche == y.Hash.Avalanche
}

func (b *Balance) build(set balance.Set, old balance.Picker) balance.Picker {
	build := b.New
	switch {
	case build != nil:
	case b.Key != nil:
		build = balance.ByKey
	default:
		build = balance.RoundRobin
	}
	c := b.Config // which the picker reads for as long as it lives
	return build(&c, set, old)
}

// query is what a server is chosen for.
func (st *Stream) query(avoid *server.Server) balance.Query {
	q := balance.Query{Avoid: avoid, Random: st.R.Rand.Uint64()}
	b := &st.BE.Balance
	if b.Key != nil {
		q.Hash, q.Keyed = b.Key(st, &b.Config.Hash)
	}
	return q
}

// awaitsBody tells whether the server is chosen by what is in the body.
func (p *Proxy) awaitsBody(st *Stream) bool {
	return p.Has(HTTPBufferRequest) || p.Backend && p.Balance.Body && st.Req.Method == message.Post
}

// FirstBytes are what the client of mode tcp has sent so far, and nobody has taken.
func (st *Stream) FirstBytes() []byte { return st.h1.in.bytes() }

// awaitFirst reads the first bytes of a client until there are enough to choose a
// server by, for as long as an attempt to connect may take. Without them the choice
// is as good as any.
func (st *Stream) awaitFirst() {
	first := st.BE.Balance.First
	if first == nil {
		return
	}
	for deadline := st.R.After(st.BE.Timeouts.Connect); first(st.h1.in.bytes()) && (st.h1.in.buf == nil || st.h1.in.w < len(st.h1.in.buf)); {
		if st.h1.more(deadline) != nil {
			return
		}
	}
}
