package snapshot

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// wish is an address that a configuration wants to listen on.
type wish struct {
	bind  *stream.Bind
	proxy *stream.Proxy
}

// wanted lists the addresses of a configuration: those of frontends that are
// neither disabled nor were shut down, and the Runtime sockets.
func wanted(w *stream.Worker, s *stream.Snapshot) []wish {
	var out []wish
	for _, p := range s.Proxies {
		if p.Disabled || p.FE != nil && p.FE.Stopped.Load() {
			continue
		}
		for _, b := range p.Binds {
			out = append(out, wish{b, p})
		}
	}
	if rt := conf.Runtime.Of(s.Global); rt != nil && len(rt.Binds) > 0 {
		p := runtimeProxy(w)
		for _, b := range rt.Binds {
			out = append(out, wish{b, p})
		}
	}
	return out
}

func (x wish) isRuntime() bool { return x.proxy.Name == runtimeFront && x.proxy.Kind == "" }

func (x wish) owner() string {
	if x.isRuntime() {
		return "the stats socket"
	}
	return x.proxy.Kind + " " + x.proxy.Name
}

func (x wish) title() string {
	if x.isRuntime() {
		return "stats socket " + x.bind.Addr.String()
	}
	return "bind " + x.proxy.Name + "/" + x.bind.Addr.String()
}

// reborn tells that a live listener cannot be given another frontend, because
// its connections speak another protocol: they keep the old one, and the same
// socket gets a new listener.
func (x wish) reborn(l *stream.Listener) bool {
	p := l.Front.Load()
	return p.Mode != x.proxy.Mode || (l.Bind.Load().Handler == nil) != (x.bind.Handler == nil)
}

// obstacle says why an address cannot be had in the running process, "" if it
// can, as far as that is known without trying.
func (x wish) obstacle(w *stream.Worker) string {
	b := x.bind
	live := w.Listeners[b.Key()]
	if live == nil {
		if b.FD < 0 && b.Addr.IsUnix() && b.Addr.Path[0] != 0 && w.Confined.Load() {
			return "is a new UNIX socket, which the process cannot make any more"
		}
		return ""
	}
	old := live.Bind.Load()
	switch {
	case b.V4V6 != old.V4V6 || b.V6Only != old.V6Only:
		return "changes the protocol of the socket"
	case b.Addr.IsUnix() && (b.Mode != old.Mode || b.UID != old.UID || b.GID != old.GID):
		return "changes the rights of the socket"
	case !slices.Equal(b.Threads, old.Threads):
		return "changes the threads of the socket"
	case b.Shards != old.Shards:
		return "changes the shards of the socket"
	case b.MSS == 0 && old.MSS != 0:
		return "takes the 'mss' back"
	case b.Transparent != old.Transparent:
		return "changes 'transparent'"
	}
	return ""
}

// missing gives those wishes that need a new listener. Sockets that live on
// under a new listener are duplicated into inherited.
func missing(w *stream.Worker, want []wish) []wish {
	var out []wish
	for _, x := range want {
		if l := w.Listeners[x.bind.Key()]; l == nil || x.reborn(l) {
			out = append(out, x)
		}
	}
	return out
}

// duplicates gives copies of the sockets of listeners that are reborn.
func duplicates(w *stream.Worker, want []wish) (stream.Inherited, error) {
	in := make(stream.Inherited)
	for _, x := range want {
		l := w.Listeners[x.bind.Key()]
		if l == nil {
			continue
		}
		for _, fd := range l.Descriptors() {
			n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				closeAll(in)
				return nil, fmt.Errorf("cannot duplicate the socket of %s: %w", x.title(), err)
			}
			in[x.bind.Key()] = append(in[x.bind.Key()], n)
		}
	}
	return in, nil
}

func closeAll(in stream.Inherited) {
	for _, fds := range in {
		for _, n := range fds {
			unix.Close(n)
		}
	}
}
