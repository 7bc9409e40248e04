// Package ladder takes a new configuration to the proxy. A change is checked by the proxy's own program, written to the
// file, and climbs until one rung covers it: Runtime commands for the exact fields, the whole configuration applied in
// place, a reload. When the proxy refuses, the file goes back to what it was.
//
// It owns the order of those steps and what a crash between two of them leaves behind (see Reconcile), the reloads and
// their history. It knows no keyword: what Runtime commands can express comes from the descriptions.
package ladder
