// Package promex is the service "prometheus-exporter": it answers requests with
// what is counted, in the text format of Prometheus, under HAProxy's names.
//
// The metrics show fields of "show info" and columns of "show stat", wherever
// these are registered (package column); this package owns the metrics' names,
// types and labels and their order. It keeps nothing between two requests, and of
// an answer one piece.
package promex
