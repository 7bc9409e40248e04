// Package pattern is lists of patterns, and how values are matched against them
// (manual 2.7 and 7.1).
//
// A [List] is what a configuration calls by the name of a file, or writes into
// the line of an "acl". Its entries have an identity, a key, a value (of maps) and
// the version that they belong to. A [Matcher] is one way to match a list: a
// method, whether it minds the case, and what becomes of the value. Conditions,
// "map" converters, rules and Runtime commands that name the same file share one
// list, and what one of them changes all of them see.
//
// Matching takes no lock, never waits and allocates nothing. Changes are made
// under the list's lock, each in a time that does not depend on how long the list
// is: an entry is linked into the indexes one by one, a version takes the place of
// another by one store.
//
// What lives of a list (its store) is carried from one configuration to the next
// one as long as the file is the same. The package never opens a file by itself.
package pattern
