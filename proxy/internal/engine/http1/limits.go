package http1

import "strconv"

// Limits are the bounds and the leniency that a head is read with. The zero
// value is the manual's default.
type Limits struct {
	// MaxHeaders is the most lines that a head may have, the first included
	// (tune.http.maxhdr). 0 stands for 101.
	MaxHeaders int
	// AcceptInvalid relaxes the parser as the manual says for "option
	// accept-unsafe-violations-in-http-request" and "-response".
	AcceptInvalid bool
	// AcceptPayload lets HTTP/1.0 GET, HEAD and DELETE requests have a body
	// ("h1-accept-payload-with-any-method").
	AcceptPayload bool
	// KeepInsecure leaves the connection open after a message that has both
	// content-length and transfer-encoding
	// ("h1-do-not-close-on-insecure-transfer-encoding").
	KeepInsecure bool
}

var defaults Limits

const defaultMaxHeaders = 101

func (l *Limits) fields() int {
	if l.MaxHeaders > 0 {
		return l.MaxHeaders - 1
	}
	return defaultMaxHeaders - 1
}

// Error tells why a message was refused.
type Error struct {
	Status int    // what the client is answered: 400, 413 or 422; 502 when a server's message is at fault
	Pos    int    // offset in the buffer of the byte or the line at fault
	Reason string // what was wrong, a constant
}

func (e *Error) Error() string {
	return "http/1: " + e.Reason + " at byte " + strconv.Itoa(e.Pos)
}
