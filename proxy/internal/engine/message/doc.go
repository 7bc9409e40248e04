// Package message is the one form of a request or a response that all versions
// of HTTP share: a start line, an ordered list of header fields, and what is
// known of the body. Protocol packages (http1, http2) fill it from the wire and
// write it to the wire; rules, samples and logs read and edit it.
//
// Names and values are slices of the buffer that the message was read into, or
// of the message's own arena when they were edited; they live as long as the
// exchange. Field names are in lower case.
//
// The package owns no I/O and keeps no reference beyond [Request.Reset].
package message
