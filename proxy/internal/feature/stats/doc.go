// Package stats shows what the process counts: "show info" and "show stat" of
// the Runtime socket, in the text, CSV, typed and JSON forms that exporters read
// (management.txt 9.1 and 9.2), and "clear counters".
//
// It owns the names, order, types and tags of the fields, and a timer that once a
// second derives rates and sliding averages from the counters ([Start]). It never
// counts anything itself: packages stream and server do, on their reactors.
package stats
