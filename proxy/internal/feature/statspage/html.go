package statspage

import (
	"crypto/sha256"
	_ "embed" // style and script
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/stats"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

//go:embed page.css
var style string

//go:embed page.js
var script string

// policy allows the page its own style and script, by what they are, and nothing of
// anybody else.
var policy = "default-src 'none'; script-src '" + sum(script) + "'; style-src '" + sum(style) + "'; img-src data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}

// every is how often the page asks anew when the configuration does not say, in
// seconds.
const every = 3

// cell is a column of the page: the sum of some of "show stat".
type cell struct {
	name, label, hint string
	form              byte // 'n' number, 'b' bytes, 'm' milliseconds, 's' seconds
	columns           []string
	of                []*stream.Column
}

var cells = []cell{
	{name: "weight", label: "Weight", hint: "Share of the traffic", form: 'n', columns: []string{"weight"}},
	{name: "queue", label: "Queue", hint: "Requests that wait now", form: 'n', columns: []string{"qcur"}},
	{name: "cur", label: "Active", hint: "Sessions or requests now", form: 'n', columns: []string{"scur"}},
	{name: "max", label: "Max", hint: "Most at once", form: 'n', columns: []string{"smax"}},
	{name: "limit", label: "Limit", hint: "Most allowed at once", form: 'n', columns: []string{"slim"}},
	{name: "rate", label: "Rate", hint: "Per second: sessions, of frontends and listeners; requests, of backends and servers", form: 'n', columns: []string{"rate"}},
	{name: "total", label: "Total", hint: "Sessions or requests in all", form: 'n', columns: []string{"stot"}},
	{name: "time", label: "Response", hint: "Average time to the response, of the last 1024 requests", form: 'm', columns: []string{"rtime"}},
	{name: "in", label: "In", hint: "Bytes from clients", form: 'b', columns: []string{"bin"}},
	{name: "out", label: "Out", hint: "Bytes to clients", form: 'b', columns: []string{"bout"}},
	{name: "err", label: "Errors", hint: "Bad requests, connections that failed, responses that failed", form: 'n', columns: []string{"ereq", "econ", "eresp"}},
	{name: "deny", label: "Denied", hint: "Requests and responses that rules refused", form: 'n', columns: []string{"dreq", "dresp"}},
	{name: "4xx", label: "4xx", hint: "Responses of status 400 to 499", form: 'n', columns: []string{"hrsp_4xx"}},
	{name: "5xx", label: "5xx", hint: "Responses of status 500 to 599", form: 'n', columns: []string{"hrsp_5xx"}},
	{name: "retry", label: "Retries", hint: "Attempts that were repeated, with the same server or another", form: 'n', columns: []string{"wretr", "wredis"}},
	{name: "since", label: "Since", hint: "Time since the state changed last", form: 's', columns: []string{"lastchg"}},
}

var status, checkStatus, checkCode, checkTime *stream.Column

// found looks the columns up, once all are registered.
var found = sync.OnceFunc(func() {
	for i := range cells {
		for _, name := range cells[i].columns {
			cells[i].of = append(cells[i].of, stream.FindColumn(name))
		}
	}
	status, checkStatus, checkCode, checkTime = stream.FindColumn("status"), stream.FindColumn("check_status"), stream.FindColumn("check_code"), stream.FindColumn("check_duration")
})

// value is the number in a cell, and whether there is one.
func (c *cell) value(o *stream.Object) (n int64, there bool) {
	for _, col := range c.of {
		if v := col.Value(o); !v.IsNone() {
			n, there = n+int64(v.Number()), true
		}
	}
	return n, there
}

// text is a number as people read it. The script has the same.
func (c *cell) text(b []byte, n int64) []byte {
	switch c.form {
	case 'b':
		return human(b, n)
	case 'm':
		return append(strconv.AppendInt(b, n, 10), " ms"...)
	case 's':
		return span(b, n)
	}
	return grouped(b, n)
}

// grouped is a number with its thousands apart.
func grouped(b []byte, n int64) []byte {
	if n < 0 {
		return strconv.AppendInt(b, n, 10)
	}
	if n < 10000 {
		return strconv.AppendInt(b, n, 10)
	}
	s := strconv.FormatInt(n, 10)
	for i := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b = append(b, "\u202f"...)
		}
		b = append(b, s[i])
	}
	return b
}

// human is a number of bytes.
func human(b []byte, n int64) []byte {
	units := [...]string{" B", " KiB", " MiB", " GiB", " TiB", " PiB"}
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	digits := 0
	if u > 0 && f < 10 {
		digits = 1
	}
	return append(strconv.AppendFloat(b, f, 'f', digits, 64), units[u]...)
}

// span is a number of seconds, to two units.
func span(b []byte, n int64) []byte {
	switch {
	case n < 60:
		return append(strconv.AppendInt(b, n, 10), " s"...)
	case n < 3600:
		return append(strconv.AppendInt(append(strconv.AppendInt(b, n/60, 10), " m "...), n%60, 10), " s"...)
	case n < 86400:
		return append(strconv.AppendInt(append(strconv.AppendInt(b, n/3600, 10), " h "...), n%3600/60, 10), " m"...)
	}
	return append(strconv.AppendInt(append(strconv.AppendInt(b, n/86400, 10), " d "...), n%86400/3600, 10), " h"...)
}

// class is how a state looks. The script has the same.
func class(status string) string {
	switch {
	case status == "UP" || status == "OPEN":
		return "up"
	case strings.HasPrefix(status, "UP "):
		return "warn"
	case strings.HasPrefix(status, "DOWN"), status == "STOP":
		return "down"
	case strings.HasPrefix(status, "MAINT"):
		return "maint"
	case strings.HasPrefix(status, "DRAIN"), strings.HasPrefix(status, "NOLB"):
		return "drain"
	case status == "FULL", status == "WAITING":
		return "warn"
	}
	return "none"
}

// check is what the last health check of a server came to.
func check(o *stream.Object) string {
	v := checkStatus.Value(o)
	if o.Kind != column.Server || v.IsNone() || v.Text() == "" {
		return ""
	}
	t := v.Text()
	if c := checkCode.Value(o); !c.IsNone() && c.Number() > 0 {
		t += "/" + strconv.Itoa(int(c.Number()))
	}
	if d := checkTime.Value(o); !d.IsNone() {
		t += " in " + strconv.Itoa(int(d.Number())) + "\u202fms"
	}
	return t
}

// key names a row for the script.
func key(b []byte, o *stream.Object) []byte {
	b = append(b, "fbsl"[slices.Index([]column.Kind{column.Frontend, column.Backend, column.Server, column.Listener}, o.Kind)])
	b = strconv.AppendInt(b, int64(o.Proxy.ID), 10)
	return strconv.AppendInt(append(b, '.'), int64(stream.ObjectID(o)), 10)
}

// tile is a figure of the process at the top of the page.
type tile struct {
	label, field, most string
	form               byte
}

var tiles = []tile{
	{"Uptime", "Uptime_sec", "", 's'},
	{"Connections", "CurrConns", "Maxconn", 'n'},
	{"Connections/s", "ConnRate", "", 'n'},
	{"Sessions/s", "SessRate", "", 'n'},
	{"Requests", "CumReq", "", 'n'},
	{"TLS now", "CurrSslConns", "", 'n'},
	{"Idle", "Idle_pct", "", '%'},
}

// fields are the figures of the tiles, -1 where there is none.
func fields(w *stream.Worker) []int64 {
	info := stats.Info(w)
	find := func(name string) int64 {
		for i := range info {
			if info[i].Name == name && !info[i].IsNone() && !info[i].IsText() {
				return int64(info[i].Number())
			}
		}
		return -1
	}
	var list []int64
	for _, t := range tiles {
		list = append(list, find(t.field), find(t.most))
	}
	return list
}

// live makes what the script asks for again and again: the numbers of the page, in
// its order.
type live struct {
	st    *stream.Stream
	rows  *stats.Cursor
	begun bool
	first bool
}

func (l *live) next(b []byte) ([]byte, bool) {
	if !l.begun {
		l.begun, l.first = true, true
		b = append(b, `{"tiles":`...)
		text, _ := json.Marshal(fields(l.st.W))
		return append(append(b, text...), `,"rows":[`...), false
	}
	if !l.rows.Next() {
		return append(b, "]}\n"...), true
	}
	if !l.first {
		b = append(b, ',')
	}
	l.first = false
	o := &l.rows.Object
	b = append(key(append(b, `["`...), o), '"', ',')
	for _, t := range []string{status.Value(o).Text(), check(o)} {
		text, _ := json.Marshal(t)
		b = append(append(b, text...), ',')
	}
	for i := range cells {
		if n, there := cells[i].value(o); there {
			b = strconv.AppendInt(b, n, 10)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, ',')
	}
	b[len(b)-1] = ']'
	return b, false
}

// html makes the page.
type html struct {
	s     *settings
	q     *request
	st    *stream.Stream
	rows  *stats.Cursor
	admin bool
	begun bool
	proxy *stream.Proxy // whose table is open
}

// escape adds text that is nobody's markup.
func escape(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&#34;"...)
		case '\'':
			b = append(b, "&#39;"...)
		case 0:
			b = append(b, "\uFFFD"...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// with adds a format, in which each "~" stands for one of the texts, escaped.
func with(b []byte, format string, texts ...string) []byte {
	for {
		before, after, more := strings.Cut(format, "~")
		b = append(b, before...)
		if !more {
			return b
		}
		b = escape(b, texts[0])
		format, texts = after, texts[1:]
	}
}

func (h *html) next(b []byte) ([]byte, bool) {
	if !h.begun {
		h.begun = true
		return h.head(b), false
	}
	if !h.rows.Next() {
		if h.proxy != nil {
			b = h.close(b)
		} else {
			b = append(b, `<p class="empty">There is nothing to show here.</p>`...)
		}
		return append(b, "</main>\n<script>"+script+"</script>\n</body>\n</html>\n"...), true
	}
	if o := &h.rows.Object; o.Proxy != h.proxy {
		if h.proxy != nil {
			b = h.close(b)
		}
		h.proxy = o.Proxy
		b = h.open(b)
	}
	return h.row(b), false
}

// link is a target of the page with some words changed.
func (h *html) link(words string, change func(*request)) string {
	q := *h.q
	change(&q)
	return h.s.uri + words + q.flags()
}

func (h *html) head(b []byte) []byte {
	s, q := h.s, h.q
	same := func(*request) {}
	seconds := every
	if s.refresh > 0 {
		seconds = int(s.refresh.Seconds())
	}
	title := "Statistics"
	g := h.st.Snap.Global
	if s.node != nil {
		node := *s.node
		if node == "" {
			node = conf.Node(g)
		}
		title += " on " + node
	}
	b = append(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"...)
	b = with(b, "<title>~</title>\n<link rel=\"icon\" href=\"data:,\">\n", title)
	if s.refresh > 0 && !q.norefresh {
		b = with(b, "<noscript><meta http-equiv=\"refresh\" content=\"~;url=~\"></noscript>\n", strconv.Itoa(seconds), h.link("", same))
	}
	b = append(b, "<style>"+style+"</style>\n</head>\n"...)
	b = with(b, "<body data-live=\"~\" data-every=\"~\" data-paused=\"~\">\n", h.link(";live", same), strconv.Itoa(seconds), strconv.FormatBool(q.norefresh))
	b = with(b, "<header><div class=\"bar\"><h1>~</h1>", title)
	desc := ""
	if s.desc != nil {
		if desc = *s.desc; desc == "" {
			desc = conf.Names.Value(g).Description
		}
	}
	b = with(b, "<p class=\"sub\">~", desc)
	if s.version {
		if desc != "" {
			b = append(b, " · "...)
		}
		b = with(b, "Forebay ~", version.Number())
	}
	b = append(b, "</p><nav aria-label=\"Views\">"...)
	b = with(b, "<a href=\"~\">CSV</a><a href=\"~\">JSON</a>", h.link(";csv", same), h.link(";json", same))
	if q.up {
		b = with(b, "<a href=\"~\" aria-current=\"true\">Show all servers</a>", h.link("", func(q *request) { q.up = false }))
	} else {
		b = with(b, "<a href=\"~\">Hide servers that are down</a>", h.link("", func(q *request) { q.up = true }))
	}
	if s.refresh > 0 {
		if q.norefresh {
			b = with(b, "<a class=\"nojs\" href=\"~\">Refresh</a>", h.link("", func(q *request) { q.norefresh = false }))
		} else {
			b = with(b, "<a class=\"nojs\" href=\"~\">Stop refresh</a>", h.link("", func(q *request) { q.norefresh = true }))
		}
	}
	b = append(b, "</nav></div>\n<dl class=\"tiles\">"...)
	values := fields(h.st.W)
	for i, t := range tiles {
		if values[2*i] < 0 {
			continue
		}
		b = with(b, "<div><dt>~</dt><dd data-tile=\"~\" data-form=\"~\">", t.label, strconv.Itoa(2*i), string(t.form))
		c := cell{form: t.form}
		b = c.text(b, values[2*i])
		if t.form == '%' {
			b = append(b, " %"...)
		}
		if values[2*i+1] >= 0 {
			b = append(grouped(append(b, "<small> / "...), values[2*i+1]), "</small>"...)
		}
		b = append(b, "</dd></div>"...)
	}
	b = append(b, "</dl>\n<div class=\"tools\" hidden><label><span>Filter</span><input type=\"search\" id=\"filter\" placeholder=\"Name, state or check\" autocomplete=\"off\" spellcheck=\"false\"></label>"+
		"<button type=\"button\" id=\"trouble\" aria-pressed=\"false\">Problems only</button><button type=\"button\" id=\"pause\" aria-pressed=\"false\">Pause</button>"+
		"<p id=\"count\" role=\"status\"></p></div></header>\n"...)
	if text := outcomes[q.status]; text != "" {
		kind := "bad"
		if q.status == "DONE" {
			kind = "good"
		}
		b = with(b, "<p class=\"outcome ~\" role=\"status\">~ <a href=\"~\">Dismiss</a></p>\n", kind, text, h.link("", same))
	}
	return append(b, "<p class=\"outcome bad\" id=\"stale\" role=\"status\" hidden></p>\n<main>\n"...)
}

var kinds = map[string]string{"frontend": "Frontend", "backend": "Backend", "listen": "Frontend and backend"}

// open begins the table of a proxy.
func (h *html) open(b []byte) []byte {
	p := h.proxy
	id := strconv.Itoa(p.ID)
	b = with(b, "<section aria-labelledby=\"p~\"><div class=\"title\"><h2 id=\"p~\">~</h2><span class=\"kind\">~, ~</span>", id, id, p.Name, kinds[p.Kind], p.Mode.String())
	if p.Descr != "" {
		b = with(b, "<span class=\"kind\">~</span>", p.Descr)
	}
	if h.s.legends {
		b = with(b, "<span class=\"kind\">id ~</span>", id)
	}
	b = append(b, "<div class=\"charts\" aria-hidden=\"true\"></div></div>\n"...)
	if h.form() {
		b = with(b, "<form method=\"post\" action=\"~\">", h.link("", func(*request) {}))
	}
	b = append(b, "<div class=\"wide\"><table><thead><tr>"...)
	if h.form() {
		b = append(b, "<th class=\"pick\"><span class=\"hide\">Choose</span></th>"...)
	}
	b = append(b, "<th scope=\"col\" data-sort=\"name\">Name</th><th scope=\"col\" data-sort=\"state\">State</th>"...)
	for i := range cells {
		b = with(b, "<th scope=\"col\" class=\"num\" data-sort=\"~\" title=\"~\">~</th>", cells[i].name, cells[i].hint, cells[i].label)
	}
	b = append(b, "<th scope=\"col\" data-sort=\"check\">Last check</th>"...)
	if h.s.modules {
		b = append(b, "<th scope=\"col\">Modules</th>"...)
	}
	return append(b, "<th scope=\"col\" class=\"trend\"><span class=\"rate\">Rate</span> <span class=\"time\">Time</span></th></tr></thead><tbody>\n"...)
}

// form tells whether the open table is that of a form.
func (h *html) form() bool { return h.admin && h.proxy.Backend }

func (h *html) close(b []byte) []byte {
	b = append(b, "</tbody></table></div>"...)
	if h.form() {
		id := strconv.Itoa(h.proxy.ID)
		b = with(b, "<div class=\"act\"><label for=\"a~\">With the chosen servers of ~:</label> <select id=\"a~\" name=\"action\" required><option value=\"\">Choose an action</option>", id, h.proxy.Name, id)
		for i := range actions {
			b = with(b, "<option value=\"~\">~</option>", actions[i].name, actions[i].title)
		}
		b = with(b, "</select> <button>Apply</button><input type=\"hidden\" name=\"b\" value=\"#~\"></div></form>", id)
	}
	return append(b, "</section>\n"...)
}

func (h *html) row(b []byte) []byte {
	o := &h.rows.Object
	state := status.Value(o).Text()
	b = append(key(append(b, "<tr data-k=\""...), o), '"')
	name, kind := "", ""
	switch o.Kind {
	case column.Frontend:
		name, kind = "Frontend", "sum"
	case column.Backend:
		name, kind = "Backend", "sum"
	case column.Server:
		name, kind = o.Server.Name, "server"
		if o.Settings.Backup {
			kind += " backup"
		}
	case column.Listener:
		name, kind = o.Bind.ListenerName(), "listener"
	}
	b = with(b, " class=\"~ ~\">", kind, class(state))
	if h.form() {
		b = append(b, "<td class=\"pick\">"...)
		if o.Kind == column.Server {
			b = with(b, "<input type=\"checkbox\" name=\"s\" value=\"~\" aria-label=\"Choose ~\">", name, name)
		}
		b = append(b, "</td>"...)
	}
	b = with(b, "<th scope=\"row\" class=\"name\">~", name)
	if h.s.legends {
		b = h.legend(b, o)
	}
	b = with(b, "</th><td class=\"state\"><span>~</span></td>", state)
	for i := range cells {
		c := &cells[i]
		n, there := c.value(o)
		if !there {
			b = append(b, "<td></td>"...)
			continue
		}
		b = append(append(append(b, "<td data-l=\""...), c.label...), "\" data-v=\""...)
		b = append(strconv.AppendInt(b, n, 10), '"')
		if n == 0 {
			b = append(b, " class=\"zero\""...)
		}
		b = append(c.text(append(b, '>'), n), "</td>"...)
	}
	b = with(b, "<td class=\"check\">~</td>", check(o))
	if h.s.modules {
		b = h.modules(b, o)
	}
	return append(b, "<td class=\"trend\"></td></tr>\n"...)
}

// legend is what "stats show-legends" shows beside a name.
func (h *html) legend(b []byte, o *stream.Object) []byte {
	b = append(b, "<small>"...)
	b = strconv.AppendInt(append(b, "id "...), int64(stream.ObjectID(o)), 10)
	for _, name := range []string{"mode", "algo", "addr", "cookie"} {
		if c := stream.FindColumn(name); c != nil {
			if v := c.Value(o); !v.IsNone() && v.Text() != "" {
				b = with(b, " · ~ ~", name, v.Text())
			}
		}
	}
	return append(b, "</small>"...)
}

// modules is what "stats show-modules" shows: what single features count.
func (h *html) modules(b []byte, o *stream.Object) []byte {
	b = append(b, "<td class=\"modules\"><details><summary>More</summary><dl>"...)
	for _, c := range stream.ModuleColumns() {
		if v := c.Value(o); !v.IsNone() {
			b = with(b, "<dt title=\"~\">~</dt><dd>~</dd>", c.Desc, c.Name, string(v.AppendText(nil)))
		}
	}
	return append(b, "</dl></details></td>"...)
}
