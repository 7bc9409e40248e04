// Package proxyproto is the PROXY protocol, versions 1 and 2, on both sides:
// "accept-proxy" of bind lines, "send-proxy…" of server lines, "tcp-request
// connection expect-proxy", and the sample fetches of what a header told. It also
// reads the NetScaler Client IP header.
//
// [Parse] and [ParseCIP] are pure functions of the bytes received so far, and
// tell how many more a header has at least: so a reader takes exactly the
// header's bytes off the connection. What comes in is hostile until the whole
// header was found valid. The format is that of the PROXY protocol's
// specification (revision of version 2.2).
//
// The package decides nothing about whom to trust: that is the configuration's.
package proxyproto
