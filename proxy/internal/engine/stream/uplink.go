package stream

import (
	"crypto/tls"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
)

// Security tells how connections to a server are secured. Any reactor may use it.
type Security interface {
	// Config gives the configuration of a connection that asks for a name ("": for
	// none).
	Config(name string) *tls.Config
	// Name is the name that a connection made in a scope asks for, that of a stream or
	// one without. For a check sc is nil.
	Name(sc *Scope) string
	// Adopt tells whether o says the same as it does, and takes over from o what may
	// differ: it lives on then, with what it remembers.
	Adopt(o Security) bool
}

// Carry gives what secures connections from now on: the old one if the new one
// says the same, so that connections and sessions made with it are of use still.
func Carry(old, new Security) Security {
	if old != nil && new != nil && old != new && old.Adopt(new) {
		return old
	}
	return new
}

// SameSecurity tells whether new settings secure connections as the old ones do,
// which take over what may differ.
func SameSecurity(old, new *server.Settings) bool {
	was := UplinkOf(old).TLS
	return Carry(was, UplinkOf(new).TLS) == was
}

// Preamble is what a connection to a server begins with, before TLS: a PROXY
// protocol header.
type Preamble interface {
	// Append appends the one of a connection that is made for st.
	Append(dst []byte, st *Stream) []byte
}

// Uplink is how connections to a server begin. It hangs on the server's settings,
// which others may share: see [slot.Slot.Edit].
type Uplink struct {
	TLS      Security // nil: in clear
	Clear    bool     // the line insists on that ("no-ssl")
	Preamble Preamble // nil: none
}

// Uplinks hang on the settings of servers that say something of it.
var Uplinks = slot.New[*server.Settings, Uplink]()

var plain Uplink

// UplinkOf gives the one of settings, an empty one if they say nothing. It is not
// to be changed.
func UplinkOf(set *server.Settings) *Uplink {
	if u := Uplinks.Of(set); u != nil {
		return u
	}
	return &plain
}
