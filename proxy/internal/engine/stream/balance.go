package stream

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/balance"
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
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

// awaitsBody tells whether the server is chosen, or the request answered, by what is
// in the body.
func (p *Proxy) awaitsBody(st *Stream) bool {
	return p.Has(HTTPBufferRequest) || p.NeedsBody != nil && p.NeedsBody(st) || p.Backend && p.Balance.Body && st.Req.Method == message.Post
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

func init() {
	RegisterColumn(
		newColumn("algo", "Load balancing algorithm", of(nil, detail(func(o *Object) column.Value { return column.Str("CGSV", algorithm(o.Proxy)) }), nil, nil)),
		newColumn("weight", "Effective weight of the server, or of all active servers", of(nil,
			func(o *Object) column.Value { _, _, n := o.Proxy.BE.Usable(); return column.U32("MaPV", int64(n)) },
			func(o *Object) column.Value {
				w := int64(o.State.UserWeight)
				if o.State.Op == server.Starting {
					w = int64(o.Server.Effective()+server.Scale-1) / server.Scale
				}
				return column.U32("MaPV", w)
			}, nil)),
		newColumn("uweight", "Weight as set by the user", of(nil,
			func(o *Object) column.Value { return column.U32("MaPV", userWeight(o.Proxy.BE)) },
			func(o *Object) column.Value { return column.U32("MaPV", int64(o.State.UserWeight)) }, nil)),
		newColumn("act", "Active servers that are up, or 1 for a server that is active", of(nil,
			func(o *Object) column.Value { n, _, _ := o.Proxy.BE.Usable(); return column.Gauge(int64(n)) },
			func(o *Object) column.Value { return column.U32("SGPV", btoi(!o.Settings.Backup)) }, nil)),
		newColumn("bck", "Backup servers that are up, or 1 for a server that is a backup", of(nil,
			func(o *Object) column.Value { _, n, _ := o.Proxy.BE.Usable(); return column.Gauge(int64(n)) },
			func(o *Object) column.Value { return column.U32("SGPV", btoi(o.Settings.Backup)) }, nil)),
		newColumn("throttle", "Percentage of the weight during a slow start", of(nil, nil, func(o *Object) column.Value {
			if o.State.Op != server.Starting || o.State.Admin&server.Drain != 0 {
				return column.Value{}
			}
			return column.U32("MaPV", int64(o.Server.Throttle()))
		}, nil)),

		newColumn("lbtot", "How often the server was chosen", of(nil,
			inBack(func(c *BackCounters) *counter.Int { return &c.Chosen }), inServer(func(c *server.Counters) *counter.Int { return &c.Chosen }), nil)),
	)
}

func userWeight(be *BackState) (sum int64) {
	for _, s := range be.Servers() {
		if s.Weight() > 0 && !s.Settings().Backup {
			sum += int64(s.State().UserWeight)
		}
	}
	return sum
}

func algorithm(p *Proxy) string {
	if p.Balance.Algorithm == "" {
		return "roundrobin"
	}
	return p.Balance.Algorithm
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
