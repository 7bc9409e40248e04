// Package oracle is for tests: it runs one configuration in two programs at
// once, in this one (a worker inside the test) and in HAProxy as the
// distribution packages it, so that a test can do the same to both and compare.
//
// The package finds HAProxy in $HAPROXY or where packages install it. It owns
// the temporary files, sockets and processes of a test, and no part of the
// program imports it.
package oracle
