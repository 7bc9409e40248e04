// Package runtime talks to the Runtime socket of a proxy: one command, one reply (chapter 9.3 of the management manual).
//
// It owns how a socket is found and spoken to, with bounds on time and size. It knows the replies that are common to all
// commands, and never decides what to do about one.
package runtime
