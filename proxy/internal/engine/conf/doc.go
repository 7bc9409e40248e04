// Package conf turns the evaluated configuration language (package config) into
// the typed graph of package stream.
//
// Features register what they understand, each from its own folder: keywords of
// sections ([Register]), options of "bind" and "server" lines ([RegisterBind],
// [RegisterServer]), whole sections with their keywords
// ([RegisterSection]) and checks of the
// finished configuration ([RegisterFinish]). [Load] runs them over the text,
// collects every error and warning with its file and line, and returns a
// [stream.Snapshot] that has no state yet.
//
// A keyword that HAProxy 3.4 has and nobody registered is refused with words
// that say so; one that is unknown altogether gets a suggestion. The package
// opens no file: it reads through the fs.FS of [Input].
package conf
