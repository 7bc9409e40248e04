package runtimeapi

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// ServerFunc is told of a server of a backend.
type ServerFunc func(w *stream.Worker, p *stream.Proxy, s *server.Server)

var (
	added, removed, changed []ServerFunc
	refused                 []func(*server.Settings)
)

// OnServerAdded makes f be called when "add server" has added a server.
func OnServerAdded(f ServerFunc) { added = append(added, f) }

// OnServerRefused makes f be called when "add server" has read the settings of a
// server that it then could not add.
func OnServerRefused(f func(*server.Settings)) { refused = append(refused, f) }

// OnServerRemoved makes f be called when "del server" has removed a server.
func OnServerRemoved(f ServerFunc) { removed = append(removed, f) }

// OnServerChanged makes f be called when a command has changed what concerns the
// checks of a server: its address, its checks' address, whether they run.
func OnServerChanged(f ServerFunc) { changed = append(changed, f) }

// ServerChanged tells those who called [OnServerChanged].
func ServerChanged(w *stream.Worker, p *stream.Proxy, s *server.Server) { tell(changed, w, p, s) }

func tell(list []ServerFunc, w *stream.Worker, p *stream.Proxy, s *server.Server) {
	for _, f := range list {
		f(w, p, s)
	}
}
