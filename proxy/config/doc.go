// Package config reads and edits the configuration language.
//
// It has two layers. The lexical layer (Parse, File, Section, Line) keeps every byte of a file, so that an editor can
// change one line and leave comments, blanks and order as they were. The evaluated layer (Evaluate, Block, Statement)
// is what a loader works on: environment variables are expanded, conditional blocks are decided, words are unquoted.
//
// The package owns the language of chapter 2 of the configuration manual: words, quotes, escapes, environment
// variables, directives that begin with a dot, sections and their headers, times, sizes, addresses, and the form of
// errors and warnings. It knows the sections by name, but never what a keyword inside a section means, never resolves
// a name (of a defaults section, a host, a server), and never opens a file by itself: ReadSources takes the file
// system to read from.
package config
