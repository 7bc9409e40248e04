package stats

// Columns of "show stat" (management.txt 9.1), by number.
const (
	fPxname = iota
	fSvname
	fQcur
	fQmax
	fScur
	fSmax
	fSlim
	fStot
	fBin
	fBout
	fDreq
	fDresp
	fEreq
	fEcon
	fEresp
	fWretr
	fWredis
	fStatus
	fWeight
	fAct
	fBck
	fChkfail
	fChkdown
	fLastchg
	fDowntime
	fQlimit
	fPid
	fIid
	fSid
	fThrottle
	fLbtot
	fTracked
	fType
	fRate
	fRateLim
	fRateMax
	fCheckStatus
	fCheckCode
	fCheckDuration
	fHrsp1xx
	fHrsp2xx
	fHrsp3xx
	fHrsp4xx
	fHrsp5xx
	fHrspOther
	fHanafail
	fReqRate
	fReqRateMax
	fReqTot
	fCliAbrt
	fSrvAbrt
	fCompIn
	fCompOut
	fCompByp
	fCompRsp
	fLastsess
	fLastChk
	fLastAgt
	fQtime
	fCtime
	fRtime
	fTtime
	fAgentStatus
	fAgentCode
	fAgentDuration
	fCheckDesc
	fAgentDesc
	fCheckRise
	fCheckFall
	fCheckHealth
	fAgentRise
	fAgentFall
	fAgentHealth
	fAddr
	fCookie
	fMode
	fAlgo
	fConnRate
	fConnRateMax
	fConnTot
	fIntercepted
	fDcon
	fDses
	fWrew
	fConnect
	fReuse
	fCacheLookups
	fCacheHits
	fSrvIcur
	fSrcIlim
	fQtimeMax
	fCtimeMax
	fRtimeMax
	fTtimeMax
	fEint
	fIdleConnCur
	fSafeConnCur
	fUsedConnCur
	fNeedConnEst
	fUweight
	fAggServerStatus
	fAggServerCheckStatus
	fAggCheckStatus
	fSrid
	fSessOther
	fH1Sess
	fH2Sess
	fH3Sess
	fReqOther
	fH1Req
	fH2Req
	fH3Req
	fProto
	fPrivIdleCur
	fReqBin
	fReqBout
	fResBin
	fResBout
	fModules
	fSSLSess
	fSSLReused
	fSSLFailed
	columnCount
)

// columns are the names of the columns, which scripts know by place and name.
var columns = [columnCount]Field{
	{"pxname", "Name of the proxy"},
	{"svname", "Name of the server, FRONTEND or BACKEND"},
	{"qcur", "Requests waiting in the queue"},
	{"qmax", "Highest number of requests in the queue"},
	{"scur", "Sessions open now"},
	{"smax", "Highest number of sessions open at once"},
	{"slim", "Limit of sessions"},
	{"stot", "Sessions since the start"},
	{"bin", "Bytes of requests received from clients"},
	{"bout", "Bytes of responses received from servers"},
	{"dreq", "Requests denied by rules"},
	{"dresp", "Responses denied by rules"},
	{"ereq", "Requests that were invalid or incomplete"},
	{"econ", "Connections to servers that failed"},
	{"eresp", "Responses that were invalid or incomplete"},
	{"wretr", "Connections to servers that were tried again"},
	{"wredis", "Requests sent to another server after a failure"},
	{"status", "Status (UP, DOWN, NOLB, MAINT, no check, OPEN …)"},
	{"weight", "Effective weight of the server, or of all active servers"},
	{"act", "Active servers that are up, or 1 for a server that is active"},
	{"bck", "Backup servers that are up, or 1 for a server that is a backup"},
	{"chkfail", "Health checks that failed while the server was up"},
	{"chkdown", "Transitions from up to down"},
	{"lastchg", "Seconds since the last change of the status"},
	{"downtime", "Seconds spent down"},
	{"qlimit", "Limit of the server's queue"},
	{"pid", "Number of the process"},
	{"iid", "Number of the proxy"},
	{"sid", "Number of the server in its proxy"},
	{"throttle", "Percentage of the weight during a slow start"},
	{"lbtot", "How often the server was chosen"},
	{"tracked", "Proxy and server whose state is followed"},
	{"type", "Kind of object (0 frontend, 1 backend, 2 server, 3 listener)"},
	{"rate", "Sessions begun in the last second"},
	{"rate_lim", "Limit of sessions a second"},
	{"rate_max", "Highest number of sessions begun in a second"},
	{"check_status", "Result of the last health check"},
	{"check_code", "Code of the last health check's answer"},
	{"check_duration", "Milliseconds that the last health check took"},
	{"hrsp_1xx", "Responses with status 100 to 199"},
	{"hrsp_2xx", "Responses with status 200 to 299"},
	{"hrsp_3xx", "Responses with status 300 to 399"},
	{"hrsp_4xx", "Responses with status 400 to 499"},
	{"hrsp_5xx", "Responses with status 500 to 599"},
	{"hrsp_other", "Responses with another status"},
	{"hanafail", "Failures seen in live traffic"},
	{"req_rate", "Requests in the last second"},
	{"req_rate_max", "Highest number of requests in a second"},
	{"req_tot", "Requests since the start"},
	{"cli_abrt", "Transfers that the client aborted"},
	{"srv_abrt", "Transfers that the server aborted"},
	{"comp_in", "Bytes given to the compressor"},
	{"comp_out", "Bytes made by the compressor"},
	{"comp_byp", "Bytes that went past the compressor"},
	{"comp_rsp", "Responses compressed"},
	{"lastsess", "Seconds since the last session, -1 for none"},
	{"last_chk", "What the last health check said"},
	{"last_agt", "What the last agent check said"},
	{"qtime", "Average milliseconds in the queue over the last 1024 requests"},
	{"ctime", "Average milliseconds to connect over the last 1024 requests"},
	{"rtime", "Average milliseconds to answer over the last 1024 requests"},
	{"ttime", "Average milliseconds in all over the last 1024 requests"},
	{"agent_status", "Result of the last agent check"},
	{"agent_code", "Code of the last agent check's answer"},
	{"agent_duration", "Milliseconds that the last agent check took"},
	{"check_desc", "check_status in words"},
	{"agent_desc", "agent_status in words"},
	{"check_rise", "Checks that must pass until the server is up"},
	{"check_fall", "Checks that must fail until the server is down"},
	{"check_health", "Health counter, 0 to rise+fall-1"},
	{"agent_rise", "Agent checks that must pass until the server is up"},
	{"agent_fall", "Agent checks that must fail until the server is down"},
	{"agent_health", "Agent's health counter, 0 to rise+fall-1"},
	{"addr", "Address and port of the server"},
	{"cookie", "Cookie of the server or the backend"},
	{"mode", "Mode of the proxy"},
	{"algo", "Load balancing algorithm"},
	{"conn_rate", "Connections accepted in the last second"},
	{"conn_rate_max", "Highest number of connections accepted in a second"},
	{"conn_tot", "Connections since the start"},
	{"intercepted", "Requests that the proxy itself answered"},
	{"dcon", "Connections denied by rules"},
	{"dses", "Sessions denied by rules"},
	{"wrew", "Header changes that did not fit"},
	{"connect", "Connections to servers tried"},
	{"reuse", "Server connections used again"},
	{"cache_lookups", "Look-ups in the cache"},
	{"cache_hits", "Look-ups in the cache that found something"},
	{"srv_icur", "Idle connections to the server"},
	{"src_ilim", "Limit of idle connections to the server"},
	{"qtime_max", "Longest time in the queue, in milliseconds"},
	{"ctime_max", "Longest time to connect, in milliseconds"},
	{"rtime_max", "Longest time to answer, in milliseconds"},
	{"ttime_max", "Longest time in all, in milliseconds"},
	{"eint", "Internal errors"},
	{"idle_conn_cur", "Idle connections that are not known to be safe to reuse"},
	{"safe_conn_cur", "Idle connections that are safe to reuse"},
	{"used_conn_cur", "Connections in use"},
	{"need_conn_est", "Estimate of the connections needed"},
	{"uweight", "Weight as set by the user"},
	{"agg_server_status", "Servers by status, for aggregation"},
	{"agg_server_check_status", "Servers by check status (deprecated)"},
	{"agg_check_status", "Checks by status, for aggregation"},
	{"srid", "Revision of the server's number"},
	{"sess_other", "Sessions that are not HTTP"},
	{"h1sess", "HTTP/1 sessions"},
	{"h2sess", "HTTP/2 sessions"},
	{"h3sess", "HTTP/3 sessions"},
	{"req_other", "Requests that are not HTTP"},
	{"h1req", "HTTP/1 requests"},
	{"h2req", "HTTP/2 requests"},
	{"h3req", "HTTP/3 requests"},
	{"proto", "Protocol of the listener"},
	{"priv_idle_cur", "Idle connections that belong to a client"},
	{"reqbin", "Bytes of requests received from clients"},
	{"reqbout", "Bytes of requests sent to servers"},
	{"resbin", "Bytes of responses received from servers"},
	{"resbout", "Bytes of responses sent to clients"},
	{"-", "What follows is of single features"},
	{"ssl_sess", "TLS handshakes"},
	{"ssl_reused_sess", "TLS handshakes that resumed a session"},
	{"ssl_failed_handshake", "TLS handshakes that failed"},
}
