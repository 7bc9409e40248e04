// Package layers holds the arrows between the folders of forebay: a test of it
// reads every import and compares it with the plan of ARCHITECTURE.md.
package layers
