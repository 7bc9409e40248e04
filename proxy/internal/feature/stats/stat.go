package stats

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Row is one object of "show stat".
type Row struct {
	Object    byte // 'F', 'B', 'S', 'L'
	Proxy, ID int
	v         [columnCount]Value
}

var objectNames = map[byte]string{'F': "Frontend", 'B': "Backend", 'S': "Server", 'L': "Listener"}

// Filter selects objects.
type Filter struct {
	Proxy  *stream.Proxy // nil: all
	Kinds  int           // 1 frontends, 2 backends, 4 servers, 8 listeners, or -1
	Server int           // or listener; -1: all
	NoMaint,
	Up bool // only servers that are up
	// Details also shows what only operators may see: addresses, algorithms and
	// cookies.
	Details bool
}

// Rows gives the objects of a proxy, in the order of "show stat".
func Rows(w *stream.Worker, snap *stream.Snapshot, p *stream.Proxy, f Filter) []Row {
	if p.Disabled || p.ID <= 0 || p.Frontend && p.FE.Stopped.Load() || f.Proxy != nil && f.Proxy != p {
		return nil
	}
	b := builder{w: w, snap: snap, s: samplerOf(w), f: f, now: w.Reactors[0].Sys.Wall()}
	var rows []Row
	if p.Frontend && f.Kinds&1 != 0 {
		rows = append(rows, b.front(p))
	}
	if p.Frontend && f.Kinds&8 != 0 && p.Has(stream.SocketStats) {
		for _, l := range w.ListenersOf(p) {
			bind, k := l.Bind.Load(), l.Stats.Load()
			if k == nil || f.Server > 0 && bind.ID != f.Server {
				continue
			}
			rows = append(rows, b.listener(p, l, bind, k))
		}
	}
	if p.Backend && f.Kinds&4 != 0 {
		for _, s := range p.BE.Servers() {
			st := s.State()
			if f.Server > 0 && s.ID != f.Server || f.NoMaint && st.Admin&server.Maint != 0 ||
				f.Up && (!st.Up() || st.Admin&server.Maint != 0) {
				continue
			}
			rows = append(rows, b.server(p, s, st))
		}
	}
	if p.Backend && f.Kinds&2 != 0 {
		rows = append(rows, b.back(p))
	}
	return rows
}

type builder struct {
	w    *stream.Worker
	snap *stream.Snapshot
	s    *sampler
	f    Filter
	now  time.Time
}

func (b *builder) row(object byte, p *stream.Proxy, name string, id, typ int) Row {
	r := Row{Object: object, Proxy: p.ID, ID: id}
	r.v[fPxname] = str("KNSV", p.Name)
	r.v[fSvname] = str("KNSV", name)
	r.v[fPid] = u32("KGPV", 1)
	r.v[fIid] = u32("KGSV", int64(p.ID))
	r.v[fSid] = u32("KGSV", int64(id))
	r.v[fType] = setting(int64(typ))
	r.v[fMode] = str("CGSV", p.Mode.String())
	return r
}

func (b *builder) front(p *stream.Proxy) Row {
	r := b.row('F', p, "FRONTEND", 0, 0)
	v, fe := &r.v, p.FE
	sum := func(f func(*stream.FrontCounters) *counter.Int) Value { return total(fe.Counters.Sum(f)) }
	type c = stream.FrontCounters
	v[fScur] = gauge(fe.Cur.Load())
	v[fSmax] = peak(fe.Max.Load())
	v[fSlim] = limit(fe.Limit.Load())
	if fe.Limit.Load() == 0 {
		v[fSlim] = limit(b.w.MaxConn.Load())
	}
	v[fStot] = sum(func(c *c) *counter.Int { return &c.Sessions })
	traffic(v, sumTraffic(fe.Counters, func(c *c) *counter.Traffic { return &c.Traffic }))
	v[fDreq] = sum(func(c *c) *counter.Int { return &c.DeniedReq })
	v[fDresp] = sum(func(c *c) *counter.Int { return &c.DeniedResp })
	v[fEreq] = sum(func(c *c) *counter.Int { return &c.ReqErrors })
	v[fStatus] = str("SGPV", "OPEN")
	if fe.Paused.Load() {
		v[fStatus] = str("SGPV", "PAUSED")
	}
	v[fRate] = rate(fe.SessRate.Cur.Load())
	v[fRateLim] = limit(int64(p.RateLimit))
	v[fRateMax] = peak(fe.SessRate.Peak.Load())
	if p.Mode == stream.HTTP {
		for i := range 5 {
			v[fHrsp1xx+i] = sum(func(c *c) *counter.Int { return &c.Status[i+1] })
		}
		v[fHrspOther] = sum(func(c *c) *counter.Int { return &c.Status[0] })
		v[fIntercepted] = sum(func(c *c) *counter.Int { return &c.Intercepted })
		v[fCacheLookups], v[fCacheHits] = total(0), total(0)
	}
	v[fReqRate] = rate(fe.ReqRate.Cur.Load())
	v[fReqRateMax] = peak(fe.ReqRate.Peak.Load())
	v[fReqTot] = sum(func(c *c) *counter.Int { return &c.Requests })
	for i := fCompIn; i <= fCompRsp; i++ {
		v[i] = total(0)
	}
	v[fConnRate] = rate(fe.ConnRate.Cur.Load())
	v[fConnRateMax] = peak(fe.ConnRate.Peak.Load())
	v[fConnTot] = sum(func(c *c) *counter.Int { return &c.Conns })
	v[fDcon] = sum(func(c *c) *counter.Int { return &c.DeniedConn })
	v[fDses] = sum(func(c *c) *counter.Int { return &c.DeniedSess })
	v[fWrew] = sum(func(c *c) *counter.Int { return &c.FailedRewrites })
	v[fEint] = sum(func(c *c) *counter.Int { return &c.Internal })
	for i := fSessOther; i <= fH3Req; i++ {
		v[i] = total(0)
	}
	if p.Mode == stream.HTTP {
		h2Sess, h2Req := fe.Counters.Sum(func(c *c) *counter.Int { return &c.H2Sess }), fe.Counters.Sum(func(c *c) *counter.Int { return &c.H2Req })
		v[fH2Sess], v[fH2Req] = total(h2Sess), total(h2Req)
		v[fH1Sess] = total(max(fe.Counters.Sum(func(c *c) *counter.Int { return &c.Sessions })-h2Sess, 0))
		v[fH1Req] = total(max(fe.Counters.Sum(func(c *c) *counter.Int { return &c.Requests })-h2Req, 0))
	} else {
		v[fSessOther], v[fReqOther] = v[fStot], v[fStot]
	}
	v[fSSLSess], v[fSSLReused] = sum(func(c *c) *counter.Int { return &c.TLS.Done }), sum(func(c *c) *counter.Int { return &c.TLS.Reused })
	v[fSSLFailed] = sum(func(c *c) *counter.Int { return &c.TLS.Failed })
	return r
}

func (b *builder) listener(p *stream.Proxy, l *stream.Listener, bind *stream.Bind, k *stream.ListenStats) Row {
	name := bind.Name
	if name == "" {
		name = fmt.Sprintf("sock-%d", bind.ID)
	}
	r := b.row('L', p, name, bind.ID, 3)
	v := &r.v
	type c = stream.ListenCounters
	sum := func(f func(*c) *counter.Int) Value { return total(k.Counters.Sum(f)) }
	v[fScur], v[fSmax], v[fSlim] = gauge(l.Cur.Load()), peak(k.Max.Load()), limit(int64(bind.MaxConn))
	v[fStot] = sum(func(c *c) *counter.Int { return &c.Conns })
	traffic(v, sumTraffic(k.Counters, func(c *c) *counter.Traffic { return &c.Traffic }))
	v[fDreq] = sum(func(c *c) *counter.Int { return &c.DeniedReq })
	v[fDresp] = sum(func(c *c) *counter.Int { return &c.DeniedResp })
	v[fEreq] = sum(func(c *c) *counter.Int { return &c.ReqErrors })
	v[fStatus] = str("SGPV", l.Status())
	if b.f.Details {
		v[fAddr] = str("CGSV", addrText(bind.Addr))
	}
	v[fProto] = str("SGPV", protocol(bind.Addr))
	v[fDcon], v[fDses] = sum(func(c *c) *counter.Int { return &c.DeniedConn }), total(0)
	v[fWrew] = sum(func(c *c) *counter.Int { return &c.FailedRewrites })
	v[fEint] = sum(func(c *c) *counter.Int { return &c.Internal })
	v[fSSLSess], v[fSSLReused] = sum(func(c *c) *counter.Int { return &c.TLS.Done }), sum(func(c *c) *counter.Int { return &c.TLS.Reused })
	v[fSSLFailed] = sum(func(c *c) *counter.Int { return &c.TLS.Failed })
	return r
}

// sumTraffic adds up the bytes that all reactors counted.
func sumTraffic[C any](all counter.Shards[C], of func(*C) *counter.Traffic) (t [4]Value) {
	for i, f := range [4]func(*counter.Traffic) *counter.Int{
		func(t *counter.Traffic) *counter.Int { return &t.ReqIn },
		func(t *counter.Traffic) *counter.Int { return &t.ReqOut },
		func(t *counter.Traffic) *counter.Int { return &t.ResIn },
		func(t *counter.Traffic) *counter.Int { return &t.ResOut },
	} {
		t[i] = total(all.Sum(func(c *C) *counter.Int { return f(of(c)) }))
	}
	return t
}

// traffic fills the columns of bytes. As in HAProxy 3.4 bin and bout are what was
// received, on either side.
func traffic(v *[columnCount]Value, t [4]Value) {
	v[fReqBin], v[fReqBout], v[fResBin], v[fResBout] = t[0], t[1], t[2], t[3]
	v[fBin], v[fBout] = v[fReqBin], v[fResBin]
}

func protocol(a reactor.Addr) string {
	switch {
	case a.IsUnix():
		return "unix_stream"
	case a.IP.Is4():
		return "tcpv4"
	}
	return "tcpv6"
}

// checkStatus tells of each status its number in "show servers state", its
// words, and whether a check that ended so has a code.
var checkStatus = map[string]struct {
	number int
	words  string
	code   bool
}{
	"": {0, "Unknown", false}, "UNK": {0, "Unknown", false}, "INI": {1, "Initializing", false}, "HANA": {4, "Health analyze", false},
	"SOCKERR": {5, "Socket error", false}, "L4OK": {6, "Layer4 check passed", false}, "L4TOUT": {7, "Layer4 timeout", false},
	"L4CON": {8, "Layer4 connection problem", false}, "L6OK": {9, "Layer6 check passed", false}, "L6TOUT": {10, "Layer6 timeout", false},
	"L6RSP": {11, "Layer6 invalid response", false}, "L7TOUT": {12, "Layer7 timeout", false}, "L7RSP": {13, "Layer7 invalid response", false},
	"L7OK": {15, "Layer7 check passed", true}, "L7OKC": {16, "Layer7 check conditionally passed", true}, "L7STS": {17, "Layer7 wrong status", true},
	"PROCERR": {18, "External check error", true}, "PROCTOUT": {19, "External check timeout", true}, "PROCOK": {20, "External check passed", true},
}

// CheckStatusNumber gives the number that "show servers state" has for a status.
// A server that is to be checked begins at 1.
func CheckStatusNumber(status string) int {
	if status == "" {
		return 1
	}
	return checkStatus[status].number
}

func (b *builder) server(p *stream.Proxy, s *server.Server, st server.State) Row {
	r := b.row('S', p, s.Name, s.ID, 2)
	v, set := &r.v, s.Settings()
	type c = server.Counters
	get := func(f func(*c) *counter.Int) int64 { return s.Counters.Sum(f) }
	sum := func(f func(*c) *counter.Int) Value { return total(get(f)) }
	v[fQcur], v[fQmax] = gauge(s.Queued.Load()), peak(s.MaxQueued.Load())
	v[fScur], v[fSmax] = gauge(s.Cur.Load()), peak(s.MaxCur.Load())
	if st.MaxConn > 0 {
		v[fSlim] = limit(int64(st.MaxConn))
	}
	v[fStot] = sum(func(c *c) *counter.Int { return &c.Sessions })
	traffic(v, sumTraffic(s.Counters, func(c *c) *counter.Traffic { return &c.Traffic }))
	v[fDresp] = sum(func(c *c) *counter.Int { return &c.DeniedResp })
	v[fEcon] = sum(func(c *c) *counter.Int { return &c.ConnErrors })
	v[fEresp] = sum(func(c *c) *counter.Int { return &c.RespErrors })
	v[fWretr] = sum(func(c *c) *counter.Int { return &c.Retries })
	v[fWredis] = sum(func(c *c) *counter.Int { return &c.Redisp })
	v[fStatus] = str("SGPV", ServerStatus(set, st))
	v[fWeight] = u32("MaPV", int64(st.UserWeight))
	v[fUweight] = v[fWeight]
	v[fAct], v[fBck] = u32("SGPV", btoi(!set.Backup)), u32("SGPV", btoi(set.Backup))
	v[fLastchg] = u32("MAPV", seconds(b.now.Sub(st.LastChange)))
	if set.Check.Enabled && !st.CheckPaused {
		v[fChkfail] = total(st.CheckFails)
		v[fChkdown] = total(st.Downs)
		down := st.DownTotal
		if !st.DownSince.IsZero() {
			down += b.now.Sub(st.DownSince)
		}
		v[fDowntime] = u32("MCPV", seconds(down))
	}
	if set.MaxQueue > 0 {
		v[fQlimit] = u32("CLSV", int64(set.MaxQueue))
	}
	v[fLbtot] = sum(func(c *c) *counter.Int { return &c.Chosen })
	v[fRate], v[fRateMax] = rate(s.SessRate.Cur.Load()), peak(s.SessRate.Peak.Load())
	if set.Check.Enabled && !st.CheckPaused && st.Admin&server.Maint == 0 {
		status := st.CheckStatus
		if status == "" {
			status = "INI"
		}
		info := checkStatus[status]
		v[fCheckStatus] = str("MOPV", status)
		if info.code && st.CheckCode != 0 {
			v[fCheckCode] = u32("MOPV", int64(st.CheckCode))
		}
		if info.number >= 4 {
			v[fCheckDuration] = u64("MDPV", int64(st.CheckTook/time.Millisecond))
		}
		v[fCheckDesc] = str("MOPV", info.words)
		v[fLastChk] = str("MOPV", st.CheckDesc)
		v[fCheckRise], v[fCheckFall] = setting(int64(set.Check.Rise)), setting(int64(set.Check.Fall))
		v[fCheckHealth] = setting(int64(st.Health))
	}
	if p.Mode == stream.HTTP {
		for i := range 5 {
			v[fHrsp1xx+i] = sum(func(c *c) *counter.Int { return &c.Status[i+1] })
		}
		v[fHrspOther] = sum(func(c *c) *counter.Int { return &c.Status[0] })
		v[fReqTot] = sum(func(c *c) *counter.Int { return &c.Requests })
	}
	v[fCliAbrt] = sum(func(c *c) *counter.Int { return &c.ClientAborts })
	v[fSrvAbrt] = sum(func(c *c) *counter.Int { return &c.ServerAborts })
	v[fLastsess] = s32("MAPV", sinceLast(b.w, s.LastUsed.Load()))
	b.times(v, s, serverSums(s))
	if b.f.Details {
		v[fAddr] = str("CGSV", addrText(st.Addr))
	}
	v[fWrew] = total(0)
	v[fConnect] = sum(func(c *c) *counter.Int { return &c.Connects })
	v[fReuse] = sum(func(c *c) *counter.Int { return &c.Reuses })
	v[fEint] = sum(func(c *c) *counter.Int { return &c.Internal })
	private := s.Private.Load()
	idle := max(s.Idle.Load()-private, 0)
	v[fSrvIcur] = gauge(idle)
	if set.PoolMaxConn != -1 {
		v[fSrcIlim] = limit(int64(set.PoolMaxConn))
	}
	v[fIdleConnCur], v[fSafeConnCur] = gauge(0), gauge(idle)
	v[fUsedConnCur], v[fNeedConnEst] = gauge(s.Used.Load()), gauge(s.Needed())
	v[fSrid] = u32("KGSV", 0)
	v[fPrivIdleCur] = gauge(private)
	v[fSSLSess], v[fSSLReused] = sum(func(c *c) *counter.Int { return &c.TLS.Done }), sum(func(c *c) *counter.Int { return &c.TLS.Reused })
	v[fSSLFailed] = sum(func(c *c) *counter.Int { return &c.TLS.Failed })
	return r
}

func (b *builder) back(p *stream.Proxy) Row {
	r := b.row('B', p, "BACKEND", 0, 1)
	v, be := &r.v, p.BE
	type c = stream.BackCounters
	sum := func(f func(*c) *counter.Int) Value { return total(be.Counters.Sum(f)) }
	v[fQcur], v[fQmax] = gauge(be.Queue.Len.Load()), peak(be.Queue.Max.Load())
	v[fScur], v[fSmax] = gauge(be.Cur.Load()), peak(be.Max.Load())
	v[fSlim] = limit(int64(FullConn(b.w, b.snap, p)))
	v[fStot] = sum(func(c *c) *counter.Int { return &c.Sessions })
	traffic(v, sumTraffic(be.Counters, func(c *c) *counter.Traffic { return &c.Traffic }))
	v[fDreq] = sum(func(c *c) *counter.Int { return &c.DeniedReq })
	v[fDresp] = sum(func(c *c) *counter.Int { return &c.DeniedResp })
	v[fEcon] = sum(func(c *c) *counter.Int { return &c.ConnErrors })
	v[fEresp] = sum(func(c *c) *counter.Int { return &c.RespErrors })
	v[fWretr] = sum(func(c *c) *counter.Int { return &c.Retries })
	v[fWredis] = sum(func(c *c) *counter.Int { return &c.Redisp })
	act, bck, weight := be.Usable()
	servers := be.Servers()
	status := "UP"
	if weight == 0 && len(servers) > 0 {
		status = "DOWN"
	}
	if b.f.Up || b.f.NoMaint {
		up := 0
		for _, s := range servers {
			if s.State().Up() {
				up++
			}
		}
		status = fmt.Sprintf("%s (%d/%d)", status, up, len(servers))
	}
	v[fStatus] = str("SGPV", status)
	user := 0
	for _, s := range servers {
		if s.Weight() > 0 && !s.Settings().Backup {
			user += s.State().UserWeight
		}
	}
	v[fWeight], v[fUweight] = u32("MaPV", int64(weight)), u32("MaPV", int64(user))
	v[fAct], v[fBck] = gauge(int64(act)), gauge(int64(bck))
	v[fChkdown] = total(be.Downs.Load())
	changed := be.LastChange.Load()
	if changed == 0 {
		changed = b.w.Started.Unix()
	}
	age := max(b.now.Unix()-changed, 0)
	v[fLastchg] = u32("MAPV", age)
	down := be.DownTime.Load()
	if status[0] == 'D' {
		down += age
	}
	v[fDowntime] = u32("MCPV", down)
	v[fLbtot] = sum(func(c *c) *counter.Int { return &c.Chosen })
	v[fRate], v[fRateMax] = gauge(be.SessRate.Cur.Load()), gauge(be.SessRate.Peak.Load())
	if p.Mode == stream.HTTP {
		for i := range 5 {
			v[fHrsp1xx+i] = sum(func(c *c) *counter.Int { return &c.Status[i+1] })
		}
		v[fHrspOther] = sum(func(c *c) *counter.Int { return &c.Status[0] })
		v[fReqTot] = sum(func(c *c) *counter.Int { return &c.Requests })
		v[fCacheLookups], v[fCacheHits] = total(0), total(0)
	}
	v[fCliAbrt] = sum(func(c *c) *counter.Int { return &c.ClientAborts })
	v[fSrvAbrt] = sum(func(c *c) *counter.Int { return &c.ServerAborts })
	for i := fCompIn; i <= fCompRsp; i++ {
		v[i] = total(0)
	}
	v[fLastsess] = s32("MAPV", sinceLast(b.w, be.LastUsed.Load()))
	b.times(v, be, backSums(be))
	if b.f.Details {
		v[fAlgo] = str("CGSV", algorithm(p))
	}
	v[fWrew] = sum(func(c *c) *counter.Int { return &c.FailedRewrites })
	v[fConnect] = sum(func(c *c) *counter.Int { return &c.Connects })
	v[fReuse] = sum(func(c *c) *counter.Int { return &c.Reuses })
	v[fEint] = sum(func(c *c) *counter.Int { return &c.Internal })
	for i := fAggServerStatus; i <= fAggCheckStatus; i++ {
		v[i] = gauge(0)
	}
	v[fSSLSess], v[fSSLReused] = sum(func(c *c) *counter.Int { return &c.TLS.Done }), sum(func(c *c) *counter.Int { return &c.TLS.Reused })
	v[fSSLFailed] = sum(func(c *c) *counter.Int { return &c.TLS.Failed })
	return r
}

func algorithm(p *stream.Proxy) string {
	if p.Balance.Algorithm == "" {
		return "roundrobin"
	}
	return p.Balance.Algorithm
}

// times fills in the averages and highest values.
func (b *builder) times(v *[columnCount]Value, key any, now sums) {
	t := b.s.averages(key, now)
	for i, avg := range []float64{t.Queue, t.Connect, t.Resp, t.Total} {
		v[fQtime+i] = u32("MaPV", int64(avg+0.5))
		v[fQtimeMax+i] = peak(now.max[i])
	}
}

func seconds(d time.Duration) int64 { return max(int64(d/time.Second), 0) }

// sinceLast gives the seconds since a moment of the reactors' clock, -1 if it
// never came.
func sinceLast(w *stream.Worker, at int64) int64 {
	if at == 0 {
		return -1
	}
	return max((w.Reactors[0].Sys.Now()-at)/second, 0)
}

func addrText(a reactor.Addr) string {
	if a.IsUnix() {
		return "unix"
	}
	if !a.IsValid() {
		return ""
	}
	return net.JoinHostPort(a.IP.Unmap().String(), strconv.Itoa(int(a.Port)))
}

// FullConn is the number of sessions at which a backend is full: as configured,
// or a tenth of what all the frontends that may use it accept.
func FullConn(w *stream.Worker, snap *stream.Snapshot, p *stream.Proxy) int {
	if p.FullConn > 0 {
		return p.FullConn
	}
	sum := 0
	for _, fe := range snap.Proxies {
		uses := fe == p && fe.Frontend || fe.Frontend && fe.DefaultBackend == p
		for i := range fe.Switching {
			uses = uses || fe.Frontend && (fe.Switching[i].Backend == p || fe.Switching[i].Find != nil)
		}
		if uses {
			n := int(fe.FE.Limit.Load())
			if n == 0 {
				n = int(w.MaxConn.Load())
			}
			sum += n
		}
	}
	return max((sum+9)/10, 1)
}

// ServerStatus is a server's status in words: "UP", "UP 1/3", "DOWN", "DRAIN",
// "no check" …
func ServerStatus(set *server.Settings, st server.State) string {
	switch {
	case st.Admin&server.ResolveMaint != 0:
		return "MAINT (resolution)"
	case st.Admin&server.Maint != 0:
		return "MAINT"
	}
	checked := set.Check.Enabled && !st.CheckPaused
	rise, fall := set.Check.Rise, set.Check.Fall
	full := !checked || st.Health >= rise+fall-1
	going := func(word string) string {
		if full {
			return word
		}
		return fmt.Sprintf("%s %d/%d", word, st.Health-rise+1, fall)
	}
	switch st.Op {
	case server.Running, server.Starting:
		switch {
		case st.Admin&server.Drain != 0:
			return going("DRAIN")
		case !checked:
			return "no check"
		}
		return going("UP")
	case server.Stopping:
		return going("NOLB")
	}
	if checked && st.Health > 0 {
		return fmt.Sprintf("DOWN %d/%d", st.Health, rise)
	}
	return "DOWN"
}
