package config

import (
	"strconv"
	"strings"
)

// logFormats are the formats that a configuration can refer to by a variable (manual 2.3; the values stand in 8.2.2 to
// 8.2.4 and with tune.ssl.keylog in 3.2). They exist while the configuration is read only.
var logFormats = map[string]string{
	"HAPROXY_HTTP_LOG_FMT":      httpLog,
	"HAPROXY_HTTP_CLF_LOG_FMT":  `%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`,
	"HAPROXY_HTTPS_LOG_FMT":     httpLog + " %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc",
	"HAPROXY_TCP_LOG_FMT":       "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
	"HAPROXY_TCP_CLF_LOG_FMT":   `%{Q}o %{-Q}ci - - [%T] "TCP " 000 %B "" "" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq "" "" `,
	"HAPROXY_KEYLOG_FC_LOG_FMT": keylog("fc"),
	"HAPROXY_KEYLOG_BC_LOG_FMT": keylog("bc"),
}

const httpLog = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"

// keylog returns the lines of a TLS key log, as a log format, for one side of the proxy.
func keylog(side string) string {
	var lines []string
	for _, k := range []struct{ label, fetch string }{
		{"CLIENT_EARLY_TRAFFIC_SECRET", "client_early_traffic_secret"},
		{"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "client_handshake_traffic_secret"},
		{"SERVER_HANDSHAKE_TRAFFIC_SECRET", "server_handshake_traffic_secret"},
		{"CLIENT_TRAFFIC_SECRET_0", "client_traffic_secret_0"},
		{"SERVER_TRAFFIC_SECRET_0", "server_traffic_secret_0"},
		{"EXPORTER_SECRET", "exporter_secret"},
		{"EARLY_EXPORTER_SECRET", "early_exporter_secret"},
	} {
		prefix := "ssl_" + side + "_"
		lines = append(lines, k.label+" %["+prefix+"client_random,hex] %["+prefix+k.fetch+"]")
	}
	return strings.Join(lines, "\n")
}

// predefine sets the variables that exist before the first line (manual 2.3).
func (e *evaluator) predefine() {
	env := e.opt.Env
	if e.opt.Version != "" {
		env.Set("HAPROXY_STARTUP_VERSION", e.opt.Version)
		v := versionParts(e.opt.Version)
		env.Set("HAPROXY_BRANCH", strconv.Itoa(v[0])+"."+strconv.Itoa(v[1]))
	}
	if e.opt.LocalPeer != "" {
		env.Set("HAPROXY_LOCALPEER", e.opt.LocalPeer)
	}
	for name, value := range logFormats {
		env.Set(name, value)
	}
}
