// Package x509text says what stands in certificates in the words of OpenSSL, which
// is how HAProxy's sample fetches have them: distinguished names, alternative
// names, times, and names of algorithms.
//
// The functions work on DER, append to a buffer of the caller and allocate
// nothing, as they run for each request. They verify nothing: certificates come
// from crypto/x509, which did.
package x509text
