// Package certs is the live store of certificates, authorities and revocation
// lists: it reads them from PEM files, knows who uses each, and changes them
// while connections come and go.
//
// A [Store] belongs to one loaded configuration. Loading fills it from files; when
// the configuration comes into force the store does with it, and what the
// Runtime commands had changed in the one before is gone, as it is after a reload.
// Values ([Pair], [CA], [CRL]) are immutable and replaced as a whole: who reads
// one never waits, and sees either the old one or the new one.
//
// The package serves no certificate and verifies no name of a host: package ssl
// does. It opens no path by itself, but for the system's authorities.
package certs
