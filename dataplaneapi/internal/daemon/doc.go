// Package daemon puts the parts of dataplaneapi together and runs them until it is told to stop.
package daemon
