// Package certinfo says what is in files of certificates, in the words of the API: read from PEM, or from what the proxy
// prints of them on its Runtime socket (management manual, 9.3). It judges only whether a file can be what it should be: a
// certificate chain, with a key that belongs to it. Whether anybody should trust it is the proxy's business.
package certinfo
