package promex

// processMetric is a metric of the process.
type processMetric struct {
	name    string
	counter bool
	field   string
	label   string // the field is a text: it is the value of this label
}

// process are the metrics of the process, in their order: each shows a field of
// "show info".
var process = []processMetric{
	{"nbthread", false, "Nbthread", ""},
	{"nbproc", false, "Nbproc", ""},
	{"relative_process_id", false, "Process_num", ""},
	{"uptime_seconds", false, "Uptime_sec", ""},
	{"pool_failures_total", true, "PoolFailed", ""},
	{"max_fds", false, "Ulimit-n", ""},
	{"max_sockets", false, "Maxsock", ""},
	{"max_connections", false, "Maxconn", ""},
	{"hard_max_connections", false, "Hard_maxconn", ""},
	{"current_connections", false, "CurrConns", ""},
	{"connections_total", true, "CumConns", ""},
	{"requests_total", true, "CumReq", ""},
	{"max_ssl_connections", false, "MaxSslConns", ""},
	{"current_ssl_connections", false, "CurrSslConns", ""},
	{"ssl_connections_total", true, "CumSslConns", ""},
	{"max_pipes", false, "Maxpipes", ""},
	{"pipes_used_total", true, "PipesUsed", ""},
	{"pipes_free_total", true, "PipesFree", ""},
	{"current_connection_rate", false, "ConnRate", ""},
	{"limit_connection_rate", false, "ConnRateLimit", ""},
	{"max_connection_rate", false, "MaxConnRate", ""},
	{"current_session_rate", false, "SessRate", ""},
	{"limit_session_rate", false, "SessRateLimit", ""},
	{"max_session_rate", false, "MaxSessRate", ""},
	{"current_ssl_rate", false, "SslRate", ""},
	{"limit_ssl_rate", false, "SslRateLimit", ""},
	{"max_ssl_rate", false, "MaxSslRate", ""},
	{"current_frontend_ssl_key_rate", false, "SslFrontendKeyRate", ""},
	{"max_frontend_ssl_key_rate", false, "SslFrontendMaxKeyRate", ""},
	{"frontend_ssl_reuse", false, "SslFrontendSessionReuse_pct", ""},
	{"current_backend_ssl_key_rate", false, "SslBackendKeyRate", ""},
	{"max_backend_ssl_key_rate", false, "SslBackendMaxKeyRate", ""},
	{"ssl_cache_lookups_total", true, "SslCacheLookups", ""},
	{"ssl_cache_misses_total", true, "SslCacheMisses", ""},
	{"http_comp_bytes_in_total", true, "CompressBpsIn", ""},
	{"http_comp_bytes_out_total", true, "CompressBpsOut", ""},
	{"limit_http_comp", false, "CompressBpsRateLim", ""},
	{"current_zlib_memory", false, "ZlibMemUsage", ""},
	{"max_zlib_memory", false, "MaxZlibMemUsage", ""},
	{"current_tasks", false, "Tasks", ""},
	{"current_run_queue", false, "Run_queue", ""},
	{"idle_time_percent", false, "Idle_pct", ""},
	{"node", false, "node", "node"},
	{"description", false, "description", "desc"},
	{"stopping", false, "Stopping", ""},
	{"jobs", false, "Jobs", ""},
	{"unstoppable_jobs", false, "Unstoppable Jobs", ""},
	{"listeners", false, "Listeners", ""},
	{"active_peers", false, "ActivePeers", ""},
	{"connected_peers", false, "ConnectedPeers", ""},
	{"dropped_logs_total", true, "DroppedLogs", ""},
	{"busy_polling_enabled", false, "BusyPolling", ""},
	{"failed_resolutions", true, "FailedResolutions", ""},
	{"bytes_out_total", true, "TotalBytesOut", ""},
	{"spliced_bytes_out_total", true, "TotalSplicedBytesOut", ""},
	{"bytes_out_rate", false, "BytesOutRate", ""},
	{"recv_logs_total", true, "CumRecvLogs", ""},
	{"build_info", false, "Build info", "version"},
	{"max_memory_bytes", false, "Memmax_bytes", ""},
	{"pool_allocated_bytes", false, "PoolAlloc_bytes", ""},
	{"pool_used_bytes", false, "PoolUsed_bytes", ""},
	{"start_time_seconds", false, "Start_time_sec", ""},
	{"total_warnings", true, "TotalWarnings", ""},
	{"patterns_added_total", false, "PatternsAdded", ""},
	{"patterns_freed_total", false, "PatternsFreed", ""},
	{"nb_thread_groups", false, "NbThreadGroups", ""},
}

// how a metric is made of its column.
type how uint8

const (
	inHTTP  how = 1 << iota // only of proxies of mode http
	seconds                 // the column has milliseconds
	ifThere                 // no sample where the column is empty; otherwise it is NaN
	state                   // a sample for each state, of which one is 1
	servers                 // a sample for each state: how many servers are in it
)

// metric is a metric of objects. Metrics of the same name that follow each other
// are one, and differ in the label "code".
type metric struct {
	name    string
	counter bool
	column  string
	kinds   string // of objects that it is shown of: f, l, b, s
	how     how
	code    string
}

// objects are the metrics of frontends, listeners, backends and servers. For each
// of these they stand in this order.
var objects = []metric{
	{"current_queue", false, "qcur", "bs", 0, ""},
	{"max_queue", false, "qmax", "bs", 0, ""},
	{"current_sessions", false, "scur", "flbs", 0, ""},
	{"max_sessions", false, "smax", "flbs", 0, ""},
	{"limit_sessions", false, "slim", "flbs", 0, ""},
	{"sessions_total", true, "stot", "flbs", 0, ""},
	{"bytes_in_total", true, "bin", "flbs", 0, ""},
	{"bytes_out_total", true, "bout", "flbs", 0, ""},
	{"requests_denied_total", true, "dreq", "flb", 0, ""},
	{"responses_denied_total", true, "dresp", "flbs", 0, ""},
	{"request_errors_total", true, "ereq", "fl", 0, ""},
	{"connection_errors_total", true, "econ", "bs", 0, ""},
	{"response_errors_total", true, "eresp", "bs", 0, ""},
	{"retry_warnings_total", true, "wretr", "bs", 0, ""},
	{"redispatch_warnings_total", true, "wredis", "bs", 0, ""},
	{"status", false, "status", "flbs", state, ""},
	{"weight", false, "weight", "bs", 0, ""},
	{"active_servers", false, "act", "b", 0, ""},
	{"active", false, "act", "s", 0, ""},
	{"backup_servers", false, "bck", "b", 0, ""},
	{"backup", false, "bck", "s", 0, ""},
	{"check_failures_total", true, "chkfail", "s", 0, ""},
	{"check_up_down_total", true, "chkdown", "bs", 0, ""},
	{"check_last_change_seconds", false, "lastchg", "bs", 0, ""},
	{"downtime_seconds_total", true, "downtime", "bs", 0, ""},
	{"queue_limit", false, "qlimit", "s", 0, ""},
	{"current_throttle", false, "throttle", "s", 0, ""},
	{"loadbalanced_total", true, "lbtot", "bs", 0, ""},
	{"current_session_rate", false, "rate", "fbs", 0, ""},
	{"limit_session_rate", false, "rate_lim", "f", 0, ""},
	{"max_session_rate", false, "rate_max", "fbs", 0, ""},
	{"check_status", false, "check_status", "s", state | ifThere, ""},
	{"check_code", false, "check_code", "s", 0, ""},
	{"check_duration_seconds", false, "check_duration", "s", seconds | ifThere, ""},
	{"http_responses_total", true, "hrsp_1xx", "fbs", inHTTP, "1xx"},
	{"http_responses_total", true, "hrsp_2xx", "fbs", inHTTP, "2xx"},
	{"http_responses_total", true, "hrsp_3xx", "fbs", inHTTP, "3xx"},
	{"http_responses_total", true, "hrsp_4xx", "fbs", inHTTP, "4xx"},
	{"http_responses_total", true, "hrsp_5xx", "fbs", inHTTP, "5xx"},
	{"http_responses_total", true, "hrsp_other", "fbs", inHTTP, "other"},
	{"http_requests_rate_max", false, "req_rate_max", "f", inHTTP, ""},
	{"http_requests_total", true, "req_tot", "fbs", inHTTP, ""},
	{"client_aborts_total", true, "cli_abrt", "bs", 0, ""},
	{"server_aborts_total", true, "srv_abrt", "bs", 0, ""},
	{"http_comp_bytes_in_total", true, "comp_in", "fb", inHTTP, ""},
	{"http_comp_bytes_out_total", true, "comp_out", "fb", inHTTP, ""},
	{"http_comp_bytes_bypassed_total", true, "comp_byp", "fb", inHTTP, ""},
	{"http_comp_responses_total", true, "comp_rsp", "fb", inHTTP, ""},
	{"last_session_seconds", false, "lastsess", "bs", 0, ""},
	{"queue_time_average_seconds", false, "qtime", "bs", seconds, ""},
	{"connect_time_average_seconds", false, "ctime", "bs", seconds, ""},
	{"response_time_average_seconds", false, "rtime", "bs", seconds, ""},
	{"total_time_average_seconds", false, "ttime", "bs", seconds, ""},
	{"connections_rate_max", false, "conn_rate_max", "f", 0, ""},
	{"connections_total", true, "conn_tot", "fl", 0, ""},
	{"intercepted_requests_total", true, "intercepted", "f", inHTTP, ""},
	{"denied_connections_total", true, "dcon", "fl", 0, ""},
	{"denied_sessions_total", true, "dses", "fl", 0, ""},
	{"failed_header_rewriting_total", true, "wrew", "flbs", 0, ""},
	{"connection_attempts_total", true, "connect", "bs", 0, ""},
	{"connection_reuses_total", true, "reuse", "bs", 0, ""},
	{"http_cache_lookups_total", true, "cache_lookups", "fb", inHTTP, ""},
	{"http_cache_hits_total", true, "cache_hits", "fb", inHTTP, ""},
	{"idle_connections_current", false, "srv_icur", "s", 0, ""},
	{"idle_connections_limit", false, "src_ilim", "s", 0, ""},
	{"max_queue_time_seconds", false, "qtime_max", "bs", seconds, ""},
	{"max_connect_time_seconds", false, "ctime_max", "bs", seconds, ""},
	{"max_response_time_seconds", false, "rtime_max", "bs", seconds, ""},
	{"max_total_time_seconds", false, "ttime_max", "bs", seconds, ""},
	{"internal_errors_total", true, "eint", "flbs", 0, ""},
	{"unsafe_idle_connections_current", false, "idle_conn_cur", "s", 0, ""},
	{"safe_idle_connections_current", false, "safe_conn_cur", "s", 0, ""},
	{"used_connections_current", false, "used_conn_cur", "s", 0, ""},
	{"need_connections_current", false, "need_conn_est", "s", 0, ""},
	{"uweight", false, "uweight", "bs", 0, ""},
	{"agg_server_status", false, "agg_server_status", "b", servers, ""},
	{"agg_server_check_status", false, "agg_server_check_status", "b", servers, ""},
	{"agg_check_status", false, "agg_check_status", "b", servers, ""},
	{"private_idle_connections_current", false, "priv_idle_cur", "s", 0, ""},
	{"req_bytes_in_total", true, "reqbin", "flbs", 0, ""},
	{"req_bytes_out_total", true, "reqbout", "flbs", 0, ""},
	{"res_bytes_in_total", true, "resbin", "flbs", 0, ""},
	{"res_bytes_out_total", true, "resbout", "flbs", 0, ""},
}
