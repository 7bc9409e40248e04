// Package balance is the algorithms of "balance" that choose a server by a key of
// the request or of the connection: source, uri, url_param, hdr, rdp-cookie, and hash
// with any expression.
//
// It tells what the key is. How a key finds a server is the engine's business, see
// its package balance.
package balance
