// Package reactor is the I/O core: one epoll loop per worker thread that owns
// its connections, timers and buffers outright, and coroutines that let the
// code of a stream be written as if it blocked.
//
// A [Reactor] runs on one goroutine. Code runs on it in two ways: as a
// callback ([Handler], [Timer], posted functions), which must not wait, or in a
// coroutine ([Reactor.Go], [Reactor.Start]), which may wait on an [FD], a
// deadline or a [Waiter]. A coroutine never leaves its reactor, so what belongs
// to a reactor needs no lock. Other threads reach a reactor only through
// [Reactor.Post].
//
// The kernel, the clock and the source of random numbers are behind [Sys]; the
// simulation supplies its own, and everything above runs unchanged.
//
// The package owns file descriptors' readiness, deadlines, coroutine and buffer
// pools. It never parses a byte, knows no protocol, and never blocks outside of
// the poller.
package reactor
