//go:build !amd64

package sandbox

// own are the calls that only this architecture has.
var own []uintptr
