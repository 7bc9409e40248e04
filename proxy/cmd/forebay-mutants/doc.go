// Command forebay-mutants asks whether the tests would notice: it makes one small
// change to the code at a time, at places where a mistake would matter, runs the
// tests that ought to fail, and says which changes survive.
//
// The changes stand in lists (scripts/mutants), a hunk each:
//
//	= proxy/internal/engine/queue/queue.go: the limit is one more than configured
//	  if q.n == q.max {       a line that stays, to say where
//	- return false            lines that go
//	+ return true             lines that come
//	! ./internal/engine/queue ./internal/testing/sim -run TestSeeds
//
// White space at the ends of lines does not count, and a hunk must fit at exactly
// one place of its file. The last line is what `go test` gets, in the module of the
// file; without it, and without one at the head of the list, the file's own package
// is tested. "! e2e -run TestX" builds both
// programs with the change and drives them.
//
// The compiler sees the change through its -overlay: no file of the tree is
// touched.
package main
