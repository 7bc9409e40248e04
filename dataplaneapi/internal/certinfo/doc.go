// Package certinfo says what is in a file of certificates, in the words of the API. It judges only whether the file can be what
// it should be: a chain of certificates, with a key that belongs to it, revocation lists, or what stands beside a certificate.
// Whether anybody should trust it is the proxy's business.
package certinfo
