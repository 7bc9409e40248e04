package stream

import (
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
)

// sentence is what the standard error pages say, and whether the connection ends
// after them.
type sentence struct {
	reason, text string
	close        bool
}

// The texts are HAProxy's: scripts and checks match on them.
var sentences = map[int]sentence{
	200: {"OK", "Service ready.", false},
	400: {"Bad request", "Your browser sent an invalid request.", true},
	401: {"Unauthorized", "You need a valid user and password to access this content.", false},
	403: {"Forbidden", "Request forbidden by administrative rules.", false},
	404: {"Not Found", "The resource could not be found.", false},
	405: {"Method Not Allowed", "A request was made of a resource using a request method not supported by that resource", false},
	407: {"Unauthorized", "You need a valid user and password to access this content.", false},
	408: {"Request Time-out", "Your browser didn't send a complete request in time.", true},
	410: {"Gone", "The resource is no longer available and will not be available again.", false},
	413: {"Payload Too Large", "The request entity exceeds the maximum allowed.", false},
	414: {"URI Too Long", "The URI is too long.", false},
	421: {"Misdirected Request", "Request sent to a non-authoritative server.", false},
	422: {"Unprocessable Content", "The server cannot process the contained instructions.", false},
	425: {"Too Early", "Your browser sent early data.", false},
	429: {"Too Many Requests", "You have sent too many requests in a given amount of time.", false},
	431: {"Request Header Fields Too Large", "The request's header fields are too large.", false},
	500: {"Internal Server Error", "An internal server error occurred.", false},
	501: {"Not Implemented", ".The server does not support the functionality required to fulfill the request.", false},
	502: {"Bad Gateway", "The server returned an invalid or incomplete response.", false},
	503: {"Service Unavailable", "No server is available to handle this request.", false},
	504: {"Gateway Time-out", "The server didn't respond in time.", false},
}

var defaultReplies = func() map[int]*Reply {
	m := make(map[int]*Reply)
	for status, s := range sentences {
		body := "<html><body><h1>" + strconv.Itoa(status) + " " + s.reason + "</h1>\n" + s.text + "\n</body></html>\n"
		m[status] = &Reply{
			Status: status, Reason: s.reason, Body: []byte(body), Close: s.close,
			Fields: []message.Field{
				{Name: []byte("content-length"), Value: []byte(strconv.Itoa(len(body)))},
				{Name: []byte("cache-control"), Value: []byte("no-cache")},
				{Name: []byte("content-type"), Value: []byte("text/html")},
			},
		}
	}
	return m
}()

// DefaultReply is the standard error page of a status; that of 500 when the
// status has none.
func DefaultReply(status int) *Reply {
	if r := defaultReplies[status]; r != nil {
		return r
	}
	return defaultReplies[500]
}

// HasDefaultReply tells whether there is a standard page for the status: those
// that "errorfile" may replace.
func HasDefaultReply(status int) bool { return defaultReplies[status] != nil }

// ErrorReply is the answer of a status at this point of the exchange: an error
// file of the backend or the frontend, or the standard page.
func (st *Stream) ErrorReply(status int) *Reply {
	for _, p := range [2]*Proxy{st.BE, st.FE} {
		if p != nil && p.ErrorFiles != nil {
			if r := p.ErrorFiles[status]; r != nil {
				return r
			}
		}
	}
	return DefaultReply(status)
}
