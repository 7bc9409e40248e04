// Package effects holds tests over all keywords that are registered: each changes
// something, what it sets is looked at, and defaults and negations hold. It has no
// code of its own.
package effects
