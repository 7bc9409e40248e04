// Package payload is the samples of what is in a buffer (manual 7.3.5): the bytes
// that a client or a server of mode tcp has sent and that were not passed on, a
// ClientHello of TLS among them, an RDP cookie, or how many bytes there are. Rules
// of "tcp-request content" and "tcp-response content" wait by them.
//
// A fetch that may give something else when more has come says so
// (stream.Scope.MayChange). The package consumes nothing and parses nothing twice
// for others.
package payload
