// Package ocsp is what a server needs of the Online Certificate Status Protocol
// (RFC 6960): it names certificates as responders do, judges responses before
// they are stapled, prints them as OpenSSL does, and fetches them, as a
// [stream.Client].
//
// Signatures are golang.org/x/crypto/ocsp's. The package keeps nothing, decides
// nothing about when to fetch, and knows nothing of files or of the
// configuration: package ssl does.
package ocsp
