// Package logformat is log-format strings (chapter 8.2.6 of the manual): text
// with aliases such as %ci, sample expressions in %[…], and flags in %{…}.
// They make log lines, header values, redirect targets and more.
//
// A [Format] is compiled once; [Format.Append] allocates nothing.
package logformat
