package stream

import (
	"net/netip"
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Mode of a proxy.
type Mode uint8

// Modes.
const (
	TCP Mode = iota
	HTTP
)

// String gives "tcp" or "http".
func (m Mode) String() string {
	if m == HTTP {
		return "http"
	}
	return "tcp"
}

// Option is a yes-or-no option of a proxy.
type Option uint64

// Options (configuration.txt 4.2, "option …").
const (
	AbortOnClose Option = 1 << iota
	HTTPKeepAlive
	HTTPServerClose
	HTTPClose
	DontLogNull
	DontLogNormal
	LogSeparateErrors
	LogHealthChecks
	AllBackups
	AcceptInvalidRequest
	AcceptInvalidResponse
	HTTPIgnoreProbes
	HTTPNoDelay
	HTTPPretendKeepalive
	NoLinger
	ClitcpKA
	SrvtcpKA
	SpliceAuto
	SpliceRequest
	SpliceResponse
	DisableH2Upgrade
	LogASAP
	SocketStats
	HTTPBufferRequest
	PersistDown
)

// Reuse is http-reuse.
type Reuse uint8

// Ways to share server connections.
const (
	ReuseSafe Reuse = iota
	ReuseNever
	ReuseAggressive
	ReuseAlways
)

// Timeouts of a proxy; 0 is none.
type Timeouts struct {
	Client, Connect, Server, Queue, Check  time.Duration
	HTTPRequest, HTTPKeepAlive, Tunnel     time.Duration
	ClientFin, ServerFin, Tarpit, ClientHS time.Duration
}

// ForwardFor is "option forwardfor".
type ForwardFor struct {
	Header string // lower case
	Except netip.Prefix
	IfNone bool
}

// Proxy is a frontend, a backend or both ("listen"), as configured. It is
// immutable once its snapshot is in force.
type Proxy struct {
	// Made numbers what the configuration says of the proxy: copies that have moved,
	// or have another number, keep it.
	Made     uint64
	Name     string
	Kind     string // "frontend", "backend", "listen", "defaults"
	Pos      config.Pos
	Frontend bool
	Backend  bool
	Disabled bool
	Mode     Mode
	ID       int // unique number in statistics
	ForcedID bool
	Descr    string
	From     string // the defaults section it was made from
	Timeouts Timeouts
	// InspectDelay is how long tcp-request content rules may wait for more data,
	// RespInspectDelay tcp-response content rules.
	InspectDelay, RespInspectDelay time.Duration
	MaxConn                        int // frontend; 0: the default
	FullConn                       int
	Backlog                        int
	RateLimit                      int // rate-limit sessions, per second
	// SessionConns is how many idle server connections a client keeps for itself
	// (max-session-srv-conns); 0: the default, -1: none.
	SessionConns int
	Options      Option
	NoOptions    Option // explicitly switched off
	Reuse        Reuse
	Retries      int
	// Redispatch is the interval of "option redispatch": 0 off, N on every Nth
	// retry, -N from the Nth before the last on.
	Redispatch int
	ForwardFor *ForwardFor
	Balance    Balance
	MonitorURI []byte
	// MonitorFail makes the monitor answer 503.
	MonitorFail []Cond
	ErrorFiles  map[int]*Reply

	Binds           []*Bind
	ConnRules       []Rule // tcp-request connection
	SessionRules    []Rule // tcp-request session
	ContentRules    []Rule // tcp-request content: before the http-request rules
	RequestRules    []Rule
	Pages           []Rule // what answers some requests by itself: after the http-request rules, whatever those allowed
	Redirects       []Rule // "redirect" lines: after the pages
	ResponseContent []Rule // tcp-response content: before the http-response rules
	ResponseRules   []Rule
	AfterRules      []Rule // http-after-response
	Switching       []SwitchRule
	Filters         []Filter
	FilterOrder     [2][]Filter // of requests and of responses ("filter-sequence"); nil: that of Filters, all of them
	DefaultName     string      // default_backend
	ServerLines     []*ServerLine

	// NeedsBody, if set, tells whether the Pages want the body of a request.
	NeedsBody func(*Stream) bool

	// What follows is called in the frontend: OnRequest when the head of a request is
	// there, behind the rules on contents and before the others; OnForward when it
	// goes on to a backend's servers, after the rules of both, or OnDenied when one of
	// these answers that it shall not; OnResponse when the head of a server's response
	// is there, be it interim, before the rules, and OnDeliver behind the
	// http-response rules of both, if they let it pass.
	OnRequest, OnForward, OnDenied, OnResponse, OnDeliver []func(*Stream)
	// What follows is called in the backend: OnEnter when it is chosen, before its rules;
	// OnChoose when one of its servers is about to be chosen, or a rule has denied the
	// request; OnServed for a server's final response, behind the http-response rules.
	OnEnter, OnChoose, OnServed []func(*Stream)
	// CookieState tells that there is a persistence cookie whose fate the log tells.
	CookieState bool

	// Log, if set, is called when a stream that began at this frontend ends.
	Log func(*Stream)
	// LogStep, if set, is called when a stream that began at this frontend reaches a
	// moment on its way, of which the end is Log's.
	LogStep func(*Stream, LogStep)
	// LogBegin, if set, is called when a request, or a connection of mode tcp,
	// begins to be served.
	LogBegin func(*Session)
	// LogFail, if set, is called for a connection that failed before its first
	// request: a TLS handshake, or what must come before it.
	LogFail func(*Session, error)

	FE *FrontState
	BE *BackState

	slots slot.Values
}

// Slots are what features know of the section.
func (p *Proxy) Slots() *slot.Values { return &p.slots }

// Has tells whether an option is on.
func (p *Proxy) Has(o Option) bool { return p.Options&o != 0 }

// Clone copies p's settings for a section that is made from it.
func (p *Proxy) Clone() *Proxy {
	q := *p
	q.ConnRules = append([]Rule(nil), p.ConnRules...)
	q.SessionRules = append([]Rule(nil), p.SessionRules...)
	q.ContentRules = append([]Rule(nil), p.ContentRules...)
	q.ResponseContent = append([]Rule(nil), p.ResponseContent...)
	q.RequestRules = append([]Rule(nil), p.RequestRules...)
	q.Pages = append([]Rule(nil), p.Pages...)
	q.Redirects = append([]Rule(nil), p.Redirects...)
	q.ResponseRules = append([]Rule(nil), p.ResponseRules...)
	q.AfterRules = append([]Rule(nil), p.AfterRules...)
	q.MonitorFail = append([]Cond(nil), p.MonitorFail...)
	if p.ErrorFiles != nil {
		q.ErrorFiles = make(map[int]*Reply, len(p.ErrorFiles))
		for k, v := range p.ErrorFiles {
			q.ErrorFiles[k] = v
		}
	}
	q.OnRequest, q.OnForward, q.OnDenied = slices.Clone(p.OnRequest), slices.Clone(p.OnForward), slices.Clone(p.OnDenied)
	q.OnResponse, q.OnDeliver = slices.Clone(p.OnResponse), slices.Clone(p.OnDeliver)
	q.OnEnter, q.OnChoose, q.OnServed = slices.Clone(p.OnEnter), slices.Clone(p.OnChoose), slices.Clone(p.OnServed)
	q.Filters = append([]Filter(nil), p.Filters...)
	q.slots = p.slots.Clone()
	return &q
}

// ServerLine is a "server" line (or one server of a template), resolved into
// settings; the live server is found or made from it when the snapshot is
// applied.
type ServerLine struct {
	Name     string
	ID       int // the number it gets when it is new
	Pos      config.Pos
	Settings *ServerSettings
}

// SwitchRule is a use_backend line. Target is the name of the backend, unless Find
// computes which one it is, nil for one that there is not. Proxies know each other
// by name only, so that each can be replaced without the others.
type SwitchRule struct {
	Cond   Cond // nil: always
	Target string
	Find   func(*Scope) *Proxy
}

// Cond is a condition ("if …", "unless …").
type Cond interface {
	// Match must not allocate nor keep references.
	Match(*Scope) bool
}

// Verdict is what becomes of an exchange after a rule.
type Verdict uint8

// Verdicts.
const (
	// Continue with the next rule.
	Continue Verdict = iota
	// Stop evaluating this set of rules, go on with the exchange ("allow").
	Stop
	// Answer: the rule has set [Stream.Reply]; it goes to the client instead.
	Answer
	// Drop: close without an answer.
	Drop
	// Wait: more of the data may decide it, see [Scope.Undecided]. The set will be
	// evaluated again.
	Wait
)

// Rule is one line of a rule set, with its condition.
type Rule interface {
	Exec(*Scope) Verdict
}

// Reply is a complete response made by the proxy itself. It is shared and never
// changed.
type Reply struct {
	Status int
	Reason string
	Fields []message.Field
	Body   []byte
	// For is the status that an error file stands for, whatever it says itself: what
	// is logged and counted; 0: it is no error file.
	For int
	// Close makes the connection end after it.
	Close bool
	// Silent sends nothing at all: the connection just ends.
	Silent bool
}
