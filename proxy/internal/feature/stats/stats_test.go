package stats

import (
	"encoding/csv"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/counter"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

func newWorker(t *testing.T) *stream.Worker {
	t.Helper()
	w := workertest.New(t, 2)
	fe := &stream.Proxy{Name: "f,e", Frontend: true, Mode: stream.HTTP, ID: 2, FE: stream.NewFrontState("f,e", 2)}
	be := &stream.Proxy{Name: "be", Backend: true, Mode: stream.HTTP, ID: 3, BE: stream.NewBackState("be", 2, w.Started)}
	fe.DefaultName = "be"
	set := &server.Settings{Addr: reactor.Addr{IP: netip.MustParseAddr("::1"), Port: 80}, Weight: 3, PoolMaxConn: 4}
	set.Check = server.Check{Enabled: true, Rise: 2, Fall: 3}
	be.BE.Add(server.New("be", "s", 1, 2, set, w.Started))
	w.SetSnapshot(&stream.Snapshot{
		Global: &stream.Global{MaxConn: 50}, Proxies: []*stream.Proxy{fe, be},
		Frontends: map[string]*stream.Proxy{"f,e": fe}, Backends: map[string]*stream.Proxy{"be": be},
	})
	workertest.Run(t, w)
	return w
}

func ask(t *testing.T, w *stream.Worker, l runtimeapi.Level, line string) string {
	t.Helper()
	return strings.TrimSuffix(bed.AskAs(t, w, l, line), "\n")
}

// cell gives a value of the CSV table by object and column.
func cell(t *testing.T, table, object, column string) string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSuffix(table, "\n"), "# ")))
	r.LazyQuotes = true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if strings.ReplaceAll(row[0], ",", "")+","+row[1] == object {
			return row[slices.Index(rows[0], column)]
		}
	}
	t.Fatalf("no %s of %s in\n%s", column, object, table)
	return ""
}

func TestCSV(t *testing.T) {
	w := newWorker(t)
	snap := w.Snapshot()
	fe, be := snap.Frontends["f,e"].FE, snap.Backends["be"].BE
	s := be.Server("s")
	fe.Counters[0].Requests.Add(3)
	fe.Counters[1].Requests.Add(4)
	fe.Counters[1].Status[2].Add(5)
	s.Counters[1].ConnErrors.Add(2)
	s.Counters[0].MaxConnect.Raise(8)
	s.Counters[1].MaxConnect.Raise(9)
	s.Update(time.Now(), "", func(st *server.State) {
		st.CheckStatus, st.CheckCode, st.CheckDesc, st.CheckTook, st.Health = "L7OK", 200, `said "a,b"`, 7*time.Millisecond, 3
	})
	got := ask(t, w, runtimeapi.Operator, "show stat")
	for _, tc := range [][3]string{
		{"fe,FRONTEND", "req_tot", "7"}, {"fe,FRONTEND", "hrsp_2xx", "5"}, {"fe,FRONTEND", "status", "OPEN"}, {"fe,FRONTEND", "h1req", "7"},
		{"be,s", "econ", "2"}, {"be,s", "ctime_max", "9"}, {"be,s", "status", "UP 2/3"}, {"be,s", "addr", "[::1]:80"}, {"be,s", "src_ilim", "4"}, {"be,s", "check_status", "L7OK"},
		{"be,s", "check_code", "200"}, {"be,s", "check_duration", "7"}, {"be,s", "lastsess", "-1"}, {"be,s", "weight", "3"},
		{"be,BACKEND", "status", "UP"}, {"be,BACKEND", "act", "1"}, {"be,BACKEND", "algo", "roundrobin"},
	} {
		if v := cell(t, got, tc[0], tc[1]); v != tc[2] {
			t.Errorf("%s %s: %q, want %q", tc[0], tc[1], v, tc[2])
		}
	}
	if !strings.Contains(got, `,"said ""a,b""",`) || !strings.HasPrefix(strings.Split(got, "\n")[1], `"f,e",FRONTEND,,`) {
		t.Errorf("quoting:\n%s", got)
	}
	if v := cell(t, ask(t, w, runtimeapi.User, "show stat"), "be,s", "addr"); v != "" {
		t.Errorf("a user sees the address %q", v)
	}
}

func TestFilters(t *testing.T) {
	w := newWorker(t)
	be := w.Snapshot().Backends["be"].BE
	lines := func(cmd string) int {
		return strings.Count(strings.TrimSuffix(ask(t, w, runtimeapi.User, cmd), "\n"), "\n")
	}
	for cmd, want := range map[string]int{
		"show stat": 3, "show stat -1 1 -1": 1, "show stat -1 2 -1": 1, "show stat -1 4 -1": 1, "show stat be 7 -1": 2, "show stat 3 4 1": 1,
		"show stat 3 4 2": 0, "show stat domain proxy be 2 -1": 1, "show stat up": 3, "show stat no-maint": 3,
	} {
		if n := lines(cmd); n != want {
			t.Errorf("%s: %d lines, want %d", cmd, n, want)
		}
	}
	be.Server("s").SetAdmin(time.Now(), server.ForcedMaint, 0, "")
	if a, b := lines("show stat up"), lines("show stat no-maint"); a != 2 || b != 2 {
		t.Errorf("in maintenance: %d and %d lines", a, b)
	}
	if v := cell(t, ask(t, w, runtimeapi.User, "show stat"), "be,BACKEND", "status"); v != "DOWN" {
		t.Errorf("backend is %s", v)
	}
	if v := cell(t, ask(t, w, runtimeapi.User, "show stat"), "be,BACKEND", "chkdown"); v != "1" {
		t.Errorf("%s transitions", v)
	}
}

func TestTypedAndJSON(t *testing.T) {
	w := newWorker(t)
	got := ask(t, w, runtimeapi.User, "show stat typed")
	for _, l := range []string{"F.2.0.0.pxname.1:KNSV:str:f,e\n", "F.2.0.7.stot.1:MCPP:u64:0\n", "S.3.1.17.status.1:SGPV:str:UP 1/3\n", "B.3.0.32.type.1:CGSV:u32:1\n"} {
		if !strings.Contains(got, l) {
			t.Errorf("no %q in typed output", l)
		}
	}
	if got := ask(t, w, runtimeapi.User, "show stat typed desc"); !strings.Contains(got, "F.2.0.1.svname.1:KNSV:str:FRONTEND:\"") {
		t.Error("no description")
	}
	var objects [][]struct {
		ObjType string
		Field   struct{ Name string }
		Value   struct{ Value any }
	}
	if err := json.Unmarshal([]byte(ask(t, w, runtimeapi.User, "show stat json")), &objects); err != nil {
		t.Fatal(err)
	}
	if len(objects) != 3 || objects[1][0].ObjType != "Server" || objects[1][0].Field.Name != "pxname" || objects[1][0].Value.Value != "be" {
		t.Errorf("%+v", objects)
	}
	var info []struct {
		Field struct {
			Pos  int
			Name string
		}
	}
	if err := json.Unmarshal([]byte(ask(t, w, runtimeapi.User, "show info json")), &info); err != nil {
		t.Fatal(err)
	}
	for _, f := range info {
		if infoFields[f.Field.Pos].Name != f.Field.Name {
			t.Errorf("%+v", f)
		}
	}
	text := ask(t, w, runtimeapi.User, "show info")
	if !strings.Contains(text, "\nHard_maxconn: 50\n") || !strings.Contains(text, "\nUptime: 0d 0h00m0") || strings.Contains(text, "\n\n") {
		t.Errorf("show info:\n%s", text)
	}
	if got := ask(t, w, runtimeapi.User, "show info typed float"); !strings.Contains(got, "8.Uptime_sec.1:MDPV:flt:0") {
		t.Errorf("float:\n%s", got)
	}
}

func TestClear(t *testing.T) {
	w := newWorker(t)
	fe, be := w.Snapshot().Frontends["f,e"].FE, w.Snapshot().Backends["be"].BE
	fe.Max.Store(9)
	fe.Counters[1].Requests.Add(4)
	be.Counters[0].Status[5].Add(4)
	be.Server("s").Counters[0].ReqIn.Add(4)
	fe.Counters[1].TLS.Count(false, true, counter.Stapled)
	fe.Counters[1].TLS.Count(true, false, counter.Unstapled)
	if got := ask(t, w, runtimeapi.User, "clear counters"); got != "Permission denied\n" {
		t.Errorf("a user: %q", got)
	}
	if got := ask(t, w, runtimeapi.Operator, "clear counters all"); got != "Permission denied\n" {
		t.Errorf("an operator: %q", got)
	}
	ask(t, w, runtimeapi.Operator, "clear counters")
	if fe.Max.Load() != 0 || fe.Counters[1].Requests.Load() != 4 {
		t.Error("clear counters")
	}
	ask(t, w, runtimeapi.Admin, "clear counters all")
	if fe.Counters[1].Requests.Load()+be.Counters[0].Status[5].Load()+be.Server("s").Counters[0].ReqIn.Load() != 0 {
		t.Error("clear counters all")
	}
	if tls := &fe.Counters[1].TLS; tls.Done.Load()+tls.Reused.Load()+tls.Failed.Load()+tls.Stapled.Load()+tls.Unstapled.Load() != 0 {
		t.Error("clear counters all: handshakes")
	}
}

// Handshakes show per object and per process, HTTP/2 apart from HTTP/1.
func TestSecure(t *testing.T) {
	w := newWorker(t)
	fe := w.Snapshot().Frontends["f,e"].FE
	stream.TLSSettings.Set(w.Snapshot().Global, stream.TLSLimits{MaxConn: 7, MaxRate: 8})
	c := &fe.Counters[0]
	c.Sessions.Add(5)
	c.H2Sess.Add(2)
	c.Requests.Add(9)
	c.H2Req.Add(6)
	for i := range 4 {
		c.TLS.Count(i == 0, i == 1, counter.NoStaple)
	}
	n := &w.Counters[1]
	n.TLSFront.Add(3)
	n.TLSFrontReused.Add(1)
	n.TLSFrontFailed.Add(1)
	n.TLSBack.Add(2)
	w.CurrTLS.Store(6)
	s := samplers.In(w) // it has no timer: nothing samples again meanwhile
	s.w, s.r = w, w.Reactors[0]
	sampleAll(s, second)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(ask(t, w, runtimeapi.User, "show stat"), "# "))).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatal(err, rows)
	}
	for name, want := range map[string]string{"ssl_sess": "3", "ssl_reused_sess": "1", "ssl_failed_handshake": "1", "h1sess": "3", "h2sess": "2", "h1req": "3", "h2req": "6"} {
		if i := slices.Index(rows[0], name); i < 0 || rows[1][i] != want {
			t.Errorf("%s: %v", name, rows[1])
		}
	}
	info := ask(t, w, runtimeapi.User, "show info")
	for _, want := range []string{
		"MaxSslConns: 7", "CurrSslConns: 6", "CumSslConns: 6", "SslRate: 4", "SslRateLimit: 8", "MaxSslRate: 4", "SslFrontendKeyRate: 2", "SslFrontendMaxKeyRate: 2",
		"SslFrontendSessionReuse_pct: 50", "SslBackendKeyRate: 2", "SslBackendMaxKeyRate: 2",
	} {
		if !strings.Contains(info, want+"\n") {
			t.Errorf("%s is not in\n%s", want, info)
		}
	}
}

// sampleAll takes all samples of one second at once.
func sampleAll(s *sampler, now int64) {
	s.sample(now)
	for _, p := range s.w.Snapshot().Proxies {
		look(p)
		if p.BE != nil {
			for _, srv := range p.BE.Servers() {
				lookAt(srv)
			}
		}
	}
}

// The sampler derives rates of the last second and averages over the last 1024
// requests.
func TestSampler(t *testing.T) {
	w := newWorker(t)
	fe := w.Snapshot().Frontends["f,e"].FE
	s := &sampler{w: w, r: w.Reactors[0]}
	srv := w.Snapshot().Backends["be"].BE.Server("s")
	fe.Counters[0].Requests.Add(10)
	w.Counters[1].BytesOut.Add(77)
	sampleAll(s, 1*second)
	fe.Counters[1].Requests.Add(4)
	sampleAll(s, 2*second)
	if cur, peak := fe.ReqRate.Cur.Load(), fe.ReqRate.Peak.Load(); cur != 4 || peak != 10 {
		t.Errorf("rate %d, highest %d", cur, peak)
	}
	c := &srv.Counters[0]
	c.SumResp.Add(100)
	c.Timed.Add(10)
	if got := serverTimes(srv).avg[2]; got != 10 {
		t.Errorf("average %v", got)
	}
	sampleAll(s, 3*second)
	c.SumResp.Add(30 * 1024)
	c.Timed.Add(1024)
	if got := serverTimes(srv).avg[2]; got != 30 {
		t.Errorf("average of the last 1024: %v", got)
	}
	c.SumResp.Store(0)
	c.Timed.Store(0)
	if got := serverTimes(srv).avg[2]; got != 0 {
		t.Errorf("average of nothing: %v", got)
	}
}

func TestServerStatus(t *testing.T) {
	set := &server.Settings{Check: server.Check{Enabled: true, Rise: 2, Fall: 3}}
	for want, st := range map[string]server.State{
		"UP":                 {Op: server.Running, Health: 4},
		"UP 1/3":             {Op: server.Running, Health: 2},
		"DOWN":               {Op: server.Stopped},
		"DOWN 1/2":           {Op: server.Stopped, Health: 1},
		"NOLB":               {Op: server.Stopping, Health: 4},
		"DRAIN":              {Op: server.Running, Health: 4, Admin: server.ForcedDrain},
		"DRAIN 2/3":          {Op: server.Running, Health: 3, Admin: server.ForcedDrain},
		"MAINT":              {Op: server.Stopped, Admin: server.ForcedMaint},
		"MAINT (resolution)": {Op: server.Stopped, Admin: server.ResolveMaint},
		"no check":           {Op: server.Running, Health: 2, CheckPaused: true},
	} {
		if got := set.Status(st); got != want {
			t.Errorf("%+v: %q, want %q", st, got, want)
		}
	}
}

func TestUptime(t *testing.T) {
	if s := uptime(49*time.Hour + 2*time.Minute + 3*time.Second + time.Millisecond); s != "2d 1h02m03s" {
		t.Error(s)
	}
}
