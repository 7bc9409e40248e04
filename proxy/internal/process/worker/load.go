package worker

import (
	"os"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

// Settings are what the command line says about loading.
type Settings struct {
	MaxConn      int    // -n
	ProxyMaxConn int    // -N
	LocalPeer    string // -L
	Files        string // HAPROXY_CFGFILES: names of the sources, separated by ';'
	Master       bool   // there is a master
	// Switches are the flags of [conf.Switch] that there were ("dV").
	Switches []string
	// Descriptors are those that the program was started with ([Descriptors]): the
	// number here by that in the configuration.
	Descriptors map[int]int
	Memory      int  // -m, MiB; 0: no limit
	Strict      bool // -dW
	Debug       bool // -d: exchanges are shown on standard output
}

// features are the names that "feature()" in conditions finds.
var features = []string{"ACCEPT4", "CRYPT_H", "EPOLL", "GETADDRINFO", "LINUX_SPLICE", "LINUX_TPROXY", "NETFILTER", "OPENSSL", "POLL", "PRCTL", "THREAD", "TFO", "TPROXY"}

// Options are the language's conditions and variables.
func (s Settings) Options() config.Options {
	env := config.NewEnvironment(os.Environ())
	if s.Files != "" {
		env.Set("HAPROXY_CFGFILES", s.Files)
	}
	if s.Master {
		env.Set("HAPROXY_MWORKER", "1")
	}
	peer := s.LocalPeer
	if peer == "" {
		peer, _ = os.Hostname()
	}
	return config.Options{Env: env, Version: version.Compatible, Features: features, Enabled: []string{"EPOLL", "SPLICE", "REUSEPORT"}, LocalPeer: peer, PeerNamed: s.LocalPeer != ""}
}

// Input is what [snapshot.Load] takes, but for the files.
func (s Settings) Input() snapshot.Input {
	return snapshot.Input{Options: s.Options(), MaxConn: s.MaxConn, ProxyMaxConn: s.ProxyMaxConn, Switches: s.Switches, Memory: s.Memory, Descriptors: s.Descriptors}
}
