// Package e2e holds the black-box tests: they start the built programs, drive
// them with real clients (curl, wrk, socat, raw sockets), and compare with the
// distribution's HAProxy. It has no code of its own, and knows the programs only
// by their command lines, files, sockets and logs.
//
// They run with FOREBAY_E2E=1 (`make e2e`) and take the programs from bin/ or
// from $FOREBAY_BIN and $DATAPLANEAPI_BIN.
package e2e
