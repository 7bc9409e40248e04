// Package daemon puts the parts of dataplaneapi together and runs them until it is told to stop.
//
// It owns the listeners, and who has to make room on them, and where the log goes.
package daemon
