package conf

import (
	"os"
	"regexp"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Naming is what the global section calls the process and its peers.
type Naming struct{ Node, Description, LocalPeer string }

// Names gives it; nil if it says nothing.
var Names = slot.New[*stream.Global, Naming]()

// hostname is read before the file system is out of reach.
var hostname, _ = os.Hostname()

// Node is the name of the process for others: "node", or the machine's.
func Node(g *stream.Global) string {
	if n := Names.Value(g).Node; n != "" {
		return n
	}
	return hostname
}

func init() {
	Register(
		Keyword{Name: "node", In: Global, InPlace: true, Max: 1, Parse: node},
		Keyword{Name: "description", In: Global, InPlace: true, Max: -1, Parse: globalDescription},
		Keyword{Name: "localpeer", In: Global, InPlace: true, Max: 1, Parse: localpeer},
	)
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func node(c *Ctx) error {
	if !nodeName.MatchString(c.Arg(0)) {
		return Predicatef("requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).")
	}
	Names.Make(c.Snap.Global).Node = c.Arg(0)
	return nil
}

func globalDescription(c *Ctx) error {
	if len(c.Args) == 0 {
		return Predicatef("expects a string argument.")
	}
	Names.Make(c.Snap.Global).Description = c.text()
	return nil
}

func localpeer(c *Ctx) error {
	if c.Arg(0) == "" {
		return Predicatef("expects a name as an argument.")
	}
	Names.Make(c.Snap.Global).LocalPeer = c.Arg(0)
	return nil
}
