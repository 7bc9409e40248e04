// Package sample extracts values from an exchange: sample fetches ("path",
// "req.hdr(host)", "src") and the converters that follow them ("lower",
// "field(1,:)"), see chapter 7.3 of the manual.
//
// An [Expr] is compiled once and evaluated without allocation: values are slices
// of the message, or of its arena. Features register more of both with
// [RegisterFetch] and [RegisterConverter].
//
// The package decides nothing: matching is package pattern's, conditions are
// package acl's.
package sample
