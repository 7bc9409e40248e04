package stats

import (
	"fmt"
	"math"
	"os"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

// What "show info" says of the program.
var (
	Name        = "Forebay"
	Version     = version.Full()
	ReleaseDate = version.Date()
)

// Field names one value of "show info".
type Field struct{ Name, Desc string }

// infoFields are the fields of "show info" in their order, which is their
// number: it never changes. Those of what Forebay does not have are holes.
var infoFields = [...]Field{
	{"Name", "Product name"},
	{"Version", "Product version"},
	{"Release_date", "Date of the release"},
	{"Nbthread", "Threads that serve traffic (nbthread)"},
	{"Nbproc", "Worker processes (always 1)"},
	{"Process_num", "Number of the worker process (always 1)"},
	{"Pid", "Process identifier of the worker"},
	{"Uptime", "Time since the worker started (days, hours, minutes, seconds)"},
	{"Uptime_sec", "Time since the worker started, in seconds"},
	{"Memmax_MB", "Memory limit of the worker in MB (-m), 0 for none"},
	{"PoolAlloc_MB", "Memory that the worker holds, in MB"},
	{"PoolUsed_MB", "Memory in use by the worker, in MB"},
	{"PoolFailed", "Connections, requests and buffers that were refused for lack of memory (-m)"},
	{"Ulimit-n", "Limit of file descriptors of the process"},
	{"Maxsock", "Limit of sockets of the process"},
	{"Maxconn", "Limit of client connections in force"},
	{"Hard_maxconn", "Limit of client connections as configured at start"},
	{"CurrConns", "Client connections open now"},
	{"CumConns", "Client connections accepted since the start"},
	{"CumReq", "Requests received since the start"},
	{"MaxSslConns", "Limit of TLS connections, 0 for none"},
	{"CurrSslConns", "TLS connections open now"},
	{"CumSslConns", "TLS connections since the start"},
	{"Maxpipes", "Limit of pipes for splicing, 0 for none"},
	{"PipesUsed", "Pipes that carry data now"},
	{"PipesFree", "Pipes kept for later use"},
	{"ConnRate", "Client connections accepted in the last second"},
	{"ConnRateLimit", "Limit of ConnRate"},
	{"MaxConnRate", "Highest ConnRate since the start"},
	{"SessRate", "Sessions begun in the last second"},
	{"SessRateLimit", "Limit of SessRate"},
	{"MaxSessRate", "Highest SessRate since the start"},
	{"SslRate", "TLS connections in the last second"},
	{"SslRateLimit", "Limit of SslRate"},
	{"MaxSslRate", "Highest SslRate since the start"},
	{"SslFrontendKeyRate", "Full TLS handshakes with clients in the last second"},
	{"SslFrontendMaxKeyRate", "Highest SslFrontendKeyRate since the start"},
	{"SslFrontendSessionReuse_pct", "Percentage of client TLS connections that resumed a session"},
	{"SslBackendKeyRate", "Full TLS handshakes with servers in the last second"},
	{"SslBackendMaxKeyRate", "Highest SslBackendKeyRate since the start"},
	{"SslCacheLookups", "Look-ups in the TLS session cache"},
	{"SslCacheMisses", "Look-ups in the TLS session cache that found nothing"},
	{"CompressBpsIn", "Bytes given to the compressor in the last second"},
	{"CompressBpsOut", "Bytes made by the compressor in the last second"},
	{"CompressBpsRateLim", "Rate of CompressBpsIn above which nothing is compressed"},
	{"ZlibMemUsage", "Memory used by zlib"},
	{"MaxZlibMemUsage", "Limit of ZlibMemUsage"},
	{"Tasks", "Coroutines and timers that serve something"},
	{"Run_queue", "Tasks that are ready to run"},
	{"Idle_pct", "Percentage of the last second that the threads spent waiting"},
	{"node", "Name of the node"},
	{"description", "Description of the node"},
	{"Stopping", "1 while the worker only finishes what it has"},
	{"Jobs", "Client connections and listeners"},
	{"Unstoppable Jobs", "Jobs that do not keep the worker from stopping"},
	{"Listeners", "Listeners that are open"},
	{"ActivePeers", "Connections to peers that are established and verified"},
	{"ConnectedPeers", "Connections to peers that are established"},
	{"DroppedLogs", "Log lines that could not be sent"},
	{"BusyPolling", "1 when the threads poll without waiting"},
	{"FailedResolutions", "DNS resolutions that failed"},
	{"TotalBytesOut", "Bytes sent to clients since the start"},
	{"TotalSplicedBytesOut", "Bytes sent through kernel pipes since the start"},
	{"BytesOutRate", "Bytes sent in the last second"},
	{"DebugCommandsIssued", "Debugging commands given"},
	{"CumRecvLogs", "Log messages received"},
	{"Build info", "Version of the build"},
	{"Memmax_bytes", "Memory limit of the worker in bytes, 0 for none"},
	{"PoolAlloc_bytes", "Memory that the worker holds, in bytes"},
	{"PoolUsed_bytes", "Memory in use by the worker, in bytes"},
	{"Start_time_sec", "When the worker started, in seconds of the epoch"},
	{"Tainted", "Unusual features in use"},
	{"TotalWarnings", "Warnings given at start"},
	{"MaxconnReached", "How often the limit of connections was reached"},
	{"BootTime_ms", "How long the start took, in milliseconds"},
	{"Niced_tasks", "Tasks with a priority of their own"},
	{"CurrStreams", "Streams being served"},
	{"CumStreams", "Streams begun since the start"},
	{"BlockedTrafficWarnings", "Warnings about threads that were stuck"},
	{"PatternsAdded", "Patterns added since the start"},
	{"PatternsFreed", "Patterns removed since the start"},
	{"NbThreadGroups", "Groups of threads (always 1)"},
	{"Sandbox", "What keeps the worker from files and system calls"},
}

// infoValues gives the values by field number. asFloat asks for more than whole
// numbers where that makes sense.
func infoValues(w *stream.Worker, asFloat bool) []value {
	v := make([]value, len(infoFields))
	snap := w.Snapshot()
	g := snap.Global
	now := w.Reactors[0].Sys.Wall()
	up := now.Sub(w.Started)
	mem := memory()
	var nofile syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &nofile)
	fds := int64(min(nofile.Cur, math.MaxInt32))
	c := func(n int64) value { return column.U32("MCPV", n) }
	var conns, sessions, requests, streams, out, spliced, dropped, failed, secured int64
	for i := range w.Counters {
		k := &w.Counters[i]
		conns += k.Conns.Load()
		sessions += k.Sessions.Load()
		requests += k.Requests.Load()
		streams += k.Streams.Load()
		out += k.BytesOut.Load()
		spliced += k.SplicedBytes.Load()
		dropped += k.DroppedLogs.Load()
		failed += k.FailedConns.Load()
		secured += k.TLSFront.Load() + k.TLSFrontFailed.Load() + k.TLSBack.Load() + k.TLSBackFailed.Load()
	}
	var most, refused int64
	if m := w.Reactors[0].Memory; m != nil {
		most, refused = m.Limit, m.Refused.Load()
	}
	w.Mu.Lock()
	listeners := int64(len(w.Listeners))
	w.Mu.Unlock()
	s := samplers.In(w)
	idle, bytesRate := s.process()
	perSecond := func(r *counter.Rate) value {
		return column.U32("MRPV", r.Cur.Load()).Floated(float64(r.Cur.Load()), asFloat)
	}
	vals := []value{
		column.Str("POSV", Name), column.Str("POSV", Version), column.Str("POSV", ReleaseDate),
		column.Setting(int64(len(w.Reactors))), column.Setting(1), column.U32("KGPV", 1), column.U32("SGPV", int64(os.Getpid())),
		column.Str("MDPV", uptime(up)), column.U32("MDPV", int64(up/time.Second)).Floated(up.Seconds(), asFloat),
		column.Limit(most >> 20), column.Gauge(mem.total >> 20), column.Gauge(mem.used >> 20), c(refused),
		column.Limit(fds), column.Limit(fds), column.Limit(w.MaxConn.Load()), column.Limit(int64(g.MaxConn)),
		column.Gauge(w.Curr.Load()), c(conns), c(requests),
		column.U32("CLPV", int64(stream.TLSSettings.Value(g).MaxConn)), column.Gauge(w.CurrTLS.Load()), c(secured),
		column.Limit(0), column.Gauge(0), column.Gauge(0),
		column.U32("MRPV", w.ConnRate.Cur.Load()).Floated(float64(w.ConnRate.Cur.Load()), asFloat), column.Limit(0), column.Peak(w.ConnRate.Peak.Load()),
		column.U32("MRPV", w.SessRate.Cur.Load()).Floated(float64(w.SessRate.Cur.Load()), asFloat), column.Limit(0), column.Peak(w.SessRate.Peak.Load()),
		perSecond(&s.tls), column.Limit(int64(w.MaxTLSRate())), column.Peak(s.tls.Peak.Load()),
		column.Gauge(s.frontKeys.Cur.Load()), column.Peak(s.frontKeys.Peak.Load()), column.Gauge(s.resumed.Load()),
		column.U32("MRPV", s.backKeys.Cur.Load()), column.Peak(s.backKeys.Peak.Load()), c(stream.TLSCache.Lookups.Load()), c(stream.TLSCache.Misses.Load()),
		orZero(w, "CompressBpsIn", column.U32("MRPV", 0)), orZero(w, "CompressBpsOut", column.U32("MRPV", 0)), orZero(w, "CompressBpsRateLim", column.Limit(0)),
		stream.Info(w, "ZlibMemUsage"), stream.Info(w, "MaxZlibMemUsage"),
		column.Gauge(streams + w.Curr.Load()), column.Gauge(0), column.U32("MaPV", idle),
		column.Str("COSV", conf.Node(g)), {},
		column.Gauge(btoi(w.Stopping.Load())), column.Gauge(w.Curr.Load() + listeners), column.Gauge(0), column.Gauge(listeners),
		column.Gauge(0), column.Gauge(0), c(dropped), column.Gauge(0), column.Gauge(0),
		column.U64("MGPV", out), column.U64("MGPV", spliced), column.U64("MRPV", bytesRate),
		column.Gauge(0), c(0), column.Str("POSV", Version),
		column.U64("CLPV", most), column.U64("MGPV", mem.total), column.U64("MGPV", mem.used), column.U32("MDPV", w.Started.Unix()), column.Str("SGPV", "0"),
		c(0), c(failed), column.U32("MDPV", 0), column.Gauge(0), column.Gauge(streams), c(sessions), c(0), column.U64("MCPV", 0), column.U64("MCPV", 0), column.Setting(1),
	}
	copy(v, vals)
	if s := w.Sandbox.Load(); s != nil {
		v[len(v)-1] = column.Str("SOSV", *s)
	}
	if d := conf.Names.Value(g).Description; d != "" {
		v[51] = column.Str("COSV", d)
	}
	return v
}

// orZero is a field that is there whether or not somebody counts for it.
func orZero(w *stream.Worker, name string, zero value) value {
	if v := stream.Info(w, name); !v.IsNone() {
		return v
	}
	return zero
}

// InfoValue is a field of "show info" with its value.
type InfoValue struct {
	Field
	column.Value
}

// Info gives the fields of "show info" in their order.
func Info(w *stream.Worker) []InfoValue {
	var list []InfoValue
	for i, v := range infoValues(w, false) {
		list = append(list, InfoValue{infoFields[i], v})
	}
	return list
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func uptime(d time.Duration) string {
	s := int64(d / time.Second)
	return fmt.Sprintf("%dd %dh%02dm%02ds", s/86400, s/3600%24, s/60%60, s%60)
}

type memoryUse struct{ total, used int64 }

func memory() memoryUse {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return memoryUse{int64(s[0].Value.Uint64() - s[1].Value.Uint64()), int64(s[2].Value.Uint64())}
}
