package master

import (
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// Reload takes the files over: in place if it can be, else in a new worker. With
// hard, always in a new worker, and the old one ends at once. It returns whether
// that succeeded, and the messages. If not, everything is as it was.
//
// If there is another program on the disk, that takes this master's place first,
// and Reload does not return: who called it asks the next master again if again
// is set, else that reloads by itself.
func (m *Master) Reload(hard, again bool) (bool, string) {
	m.reloading.Lock()
	defer m.reloading.Unlock()
	m.mu.Lock()
	if m.stopping {
		m.mu.Unlock()
		return false, "The master is stopping.\n"
	}
	m.log.Reset()
	m.mu.Unlock()
	m.asked.Store(false) // the files are read from here on
	con := m.o.Console
	con.Tap(m.keep)
	if !m.announced {
		m.notify.reloading()
		con.Notice("Reloading Forebay")
	}
	if m.news != "" {
		con.Notice("%s", m.news)
	}
	m.announced, m.news = false, ""
	err := m.handOver(hard, again)
	m.mu.Lock()
	m.reloads++
	for _, p := range m.workers {
		p.reloads++
	}
	m.mu.Unlock()
	if err == nil {
		err = m.reload(hard)
	}
	m.mu.Lock()
	if err != nil {
		m.failed++
	} else {
		m.failed = 0
	}
	m.mu.Unlock()
	if err != nil {
		if err != errShown {
			con.Alert("%v", err)
		}
		con.Warn("Loading failure!")
		m.notify.failed()
	} else {
		con.Notice("Loading success.")
		m.notify.ready()
	}
	con.Tap(nil)
	m.endOldest()
	go debug.FreeOSMemory() // reloads are rare, and the master small
	m.mu.Lock()
	defer m.mu.Unlock()
	return err == nil, m.log.String()
}

// errShown is a failure whose reasons were told already.
var errShown = errors.New("failed")

func (m *Master) reload(hard bool) error {
	cur := m.current()
	if !hard && cur != nil && cur.image == m.image && m.update(cur) {
		return nil
	}
	b, err := m.load()
	if err != nil {
		return err
	}
	if cur == nil {
		return errors.New("there is no worker")
	}
	switch {
	case hard:
	case cur.image != m.image:
		m.o.Console.Notice("worker (%d) runs another program (%s): starting a new one", cur.pid, cur.version)
	default:
		done, err := m.inPlace(cur, b)
		if err != nil {
			m.o.Console.Warn("worker (%d) did not take the configuration: %v; starting a new one", cur.pid, err)
		}
		if done {
			m.known = knownOf(b)
			return nil
		}
	}
	if err := m.replace(cur, b, hard); err != nil {
		return err
	}
	m.known = knownOf(b)
	return nil
}

// load reads and checks the files.
func (m *Master) load() (*bundle.Bundle, error) {
	con := m.o.Console
	rec := &bundle.Recorder{From: bundle.Disk{}}
	sources, err := config.ReadSources(bundle.Disk{}, m.o.Files)
	if err != nil {
		for _, text := range strings.Split(err.Error(), "\n") {
			con.Alert("config : %s", text)
		}
		return nil, errShown
	}
	m.o.Settings.Files = worker.SourceNames(sourceNames(sources))
	in := m.o.Settings.Input()
	in.Sources, in.Files = sources, rec
	snap, d := snapshot.Load(in)
	con.Diagnostics(d, m.o.Diag)
	if snap == nil {
		return nil, errShown
	}
	if err := snapshot.Listens(snap); err != nil {
		return nil, err
	}
	if m.o.Strict && d.Count(config.Warning) > 0 {
		return nil, errors.New("some warnings were found and 'zero-warning' is set. Aborting")
	}
	m.o.MaxReloads, m.o.Descriptors = MaxReloads(snap), conf.Descriptors.Value(snap.Global)
	return rec.Bundle(sources), nil
}

// replace starts a worker that takes over the sockets of cur.
func (m *Master) replace(cur *process, b *bundle.Bundle, hard bool) error {
	sockets, err := m.sockets(cur)
	if err != nil {
		return fmt.Errorf("failed to get the sockets from worker (%d): %w", cur.pid, err)
	}
	legacies := make(map[string][]byte)
	for _, l := range life.Legacies() {
		reply, err := cur.ask(l.Command, nil)
		if err != nil {
			m.o.Console.Warn("the %s of worker (%d) are lost: %v", l.What, cur.pid, err)
		}
		legacies[l.Command] = []byte(reply)
	}
	set, _ := cur.ask("show config runtime", nil) // an older program does not know it
	p, err := m.spawn(b, m.o.Descriptors, sockets, legacies, nil, 0)
	if err != nil {
		return err
	}
	if err := p.await("new worker"); err != nil {
		return err
	}
	for l := range strings.Lines(set) {
		if what, ok := strings.CutPrefix(strings.TrimSpace(l), "= "); ok {
			m.o.Console.Warn("not kept by the new worker: %s", what)
		}
	}
	m.mu.Lock()
	cur.leaving = true
	m.list(p) // at once: there is always one in charge
	stopping := m.stopping
	m.mu.Unlock()
	if hard || stopping {
		syscall.Kill(cur.pid, syscall.SIGTERM)
	} else {
		syscall.Kill(cur.pid, syscall.SIGUSR1)
	}
	if stopping {
		syscall.Kill(p.pid, syscall.SIGTERM)
	}
	return nil
}

// sockets gets the listening sockets of a worker.
func (m *Master) sockets(p *process) ([]worker.Socket, error) {
	c, err := p.control.Connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a UNIX socket")
	}
	return worker.FetchSockets(u)
}

// endOldest ends workers that have survived too many reloads.
func (m *Master) endOldest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.workers {
		if p.leaving && p.reloads > m.o.MaxReloads {
			syscall.Kill(p.pid, syscall.SIGTERM)
		}
	}
}
