// Package conf turns the evaluated configuration language (package config) into
// the typed graph of package stream.
//
// Features register what they understand, each from its own folder: keywords of
// sections ([Register]), options of "bind" and "server" lines ([RegisterBind],
// [RegisterServer]), whole sections with their keywords
// ([RegisterSection]), filters and services ([RegisterFilter],
// [RegisterService]) and checks of the finished configuration ([RegisterFinish]). [Load] runs them over the text,
// collects every error and warning with its file and line, and returns a
// [stream.Snapshot] that has no state yet.
//
// One reader of arguments ([Words]) serves keywords, options, rules and checks.
// Parsers return the bare cause of what is wrong; who has read the name makes the
// sentence ([About]), and the engine adds the line.
//
// A keyword that HAProxy 3.4 has and nobody registered is refused with words
// that say so; one that is unknown altogether gets a suggestion. The package
// opens no file: it reads through the fs.FS of [Input].
package conf
