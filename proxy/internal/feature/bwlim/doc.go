// Package bwlim is the filters "bwlim-in" and "bwlim-out" and the action
// "set-bandwidth-limit": how many bytes of a stream may pass in a period.
//
// A filter stands between the source and the sink of one direction (package
// stream) and takes no more from the source than may pass: what waits stays with
// the peer.
package bwlim
