// Package tlserr says why a TLS handshake failed in the terms that users know:
// the connection errors of the manual (fc_err_str in chapter 7.3.3), and the
// numbers and texts of OpenSSL's libssl that log lines and "openssl errstr"
// have, for the errors of crypto/tls.
//
// It is a table and does no I/O.
package tlserr
