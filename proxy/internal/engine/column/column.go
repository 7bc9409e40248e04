// Package column is the form of what is shown of frontends, backends, servers and
// listeners: in the columns of "show stat" and the metrics of an exporter. Package
// stream has the registry of the columns, since it has what they are of.
package column

// Kind is a kind of object.
type Kind uint8

// Kinds, in the order of their numbers in "show stat" (its column "type").
const (
	Frontend Kind = iota
	Backend
	Server
	Listener
	Kinds = iota
)
