package runtimeapi

import (
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Target finds what the first argument names: "backend/server".
func (c *Conn) Target(args []string) (*stream.Proxy, *server.Server, error) {
	p, name, err := c.targetBackend(args)
	if err != nil {
		return nil, nil, err
	}
	if s := p.BE.Server(name); s != nil {
		return p, s, nil
	}
	if id, ok := number(name); ok {
		for _, s := range p.BE.Servers() {
			if s.ID == id {
				return p, s, nil
			}
		}
	}
	return nil, nil, Errorf("No such server.\n")
}

// targetBackend finds the backend of "backend/server".
func (c *Conn) targetBackend(args []string) (*stream.Proxy, string, error) {
	if len(args) == 0 {
		return nil, "", Errorf("Require 'backend/server'.\n")
	}
	be, name, _ := strings.Cut(args[0], "/")
	if be == "" || name == "" {
		return nil, "", Errorf("Require 'backend/server'.\n")
	}
	p := c.Backend(be)
	if p == nil {
		return nil, "", Errorf("No such backend.\n")
	}
	return p, name, nil
}

// number reads "#12".
func number(s string) (int, bool) {
	rest, ok := strings.CutPrefix(s, "#")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil
}

// Backend finds a backend by its name, or by its number after a sharp; nil if
// there is none.
func (c *Conn) Backend(name string) *stream.Proxy {
	snap := c.Worker.Snapshot()
	if p := snap.Backends[name]; p != nil {
		return p
	}
	if id, ok := number(name); ok {
		for _, p := range snap.Proxies {
			if p.Backend && p.ID == id {
				return p
			}
		}
	}
	return nil
}

// Frontend finds the frontend that the first argument names.
func (c *Conn) Frontend(args []string) (*stream.Proxy, error) {
	if len(args) == 0 {
		return nil, Errorf("A frontend name is expected.\n")
	}
	p := c.Worker.Snapshot().Frontends[args[0]]
	if p == nil {
		if id, ok := number(args[0]); ok {
			for _, q := range c.Worker.Snapshot().Proxies {
				if q.Frontend && q.ID == id {
					p = q
				}
			}
		}
	}
	if p == nil {
		return nil, Errorf("No such frontend.\n")
	}
	return p, nil
}

// dropIdle closes the idle connections to s.
func (c *Conn) dropIdle(s *server.Server) {
	c.Worker.Each(c.R, func(r *reactor.Reactor) { s.Pools[r.Index].Purge(true) })
}
