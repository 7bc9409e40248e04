package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/process/master"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// noSandbox tells whether FOREBAY_SANDBOX=off asks to keep the filesystem and
// the capabilities, to find out what is wrong.
func noSandbox() bool { return os.Getenv("FOREBAY_SANDBOX") == "off" }

// start loads the configuration and becomes a worker, a master or a daemon.
func start(a *args, con *console.Console, daemon bool) int {
	set := worker.Settings{MaxConn: a.maxconn, ProxyMaxConn: a.proxyMaxconn, LocalPeer: a.peer, Switches: a.switches, Debug: a.debug, Strict: a.strict, Memory: a.memory, Master: a.master}
	if !a.check {
		set.Descriptors = descriptors
	}
	rec := &bundle.Recorder{From: bundle.Disk{}}
	var disk config.FS = config.OS{}
	if daemon {
		disk = bundle.Disk{} // a pipe was read by the process before
	}
	sources, err := config.ReadSources(disk, a.files)
	if err != nil {
		for _, text := range strings.Split(err.Error(), "\n") {
			con.Alert("config : %s", text)
		}
		return 1
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	set.Files = worker.SourceNames(names)
	if a.dumpConfig {
		return a.showConfig(con, sources, set)
	}
	in := set.Input()
	in.Sources, in.Files = sources, rec
	snap, code := a.load(in, con, daemon)
	if snap == nil || a.check {
		return code
	}
	said := master.Said.Value(snap.Global)
	if said.Daemon && !a.foreground && !a.debug {
		a.daemon = true
	}
	if said.MasterWorker {
		a.master, set.Master = true, true
	}
	a.pidfile = cmp.Or(a.pidfile, said.PidFile)
	if a.daemon && !daemon {
		return daemonize(con, a.master)
	}
	ready := func() { daemonReady(con) }
	if a.master {
		return master.Run(master.Options{
			Program: self, Files: a.files, Settings: set, Console: con, Binds: a.masterCLI, Notify: a.notify, Diag: a.diag, Strict: a.strict,
			PidFile: a.pidfile, Old: a.old, OldSignal: a.oldSignal, TakeFrom: a.takeFrom, NoSandbox: noSandbox(), Ready: ready, Daemon: daemon,
			First: rec.Bundle(sources), Descriptors: conf.Descriptors.Value(snap.Global), MaxReloads: master.MaxReloads(snap),
		})
	}
	o := worker.Options{
		Snapshot: snap, Console: con, Old: a.old, OldSignal: a.oldSignal, Ready: ready, NoSandbox: noSandbox(), Debug: a.debug, Strict: a.strict, Memory: a.memory, Descriptors: descriptors,
		BeforeSandbox: func() error { return master.WritePID(a.pidfile) },
	}
	if a.takeFrom != "" && a.takeFrom != "/dev/null" {
		list, err := worker.FetchFrom(a.takeFrom)
		if err != nil {
			con.Alert("Failed to get the sockets from the old process (%s): %v", a.takeFrom, err)
			return 1
		}
		o.Inherited = worker.Inherit(list)
	}
	return worker.Run(o)
}

// showConfig is -dC.
func (a *args) showConfig(con *console.Console, sources []*config.File, set worker.Settings) int {
	d := new(config.Diagnostics)
	dumpConfig(os.Stdout, config.Evaluate(sources, set.Options(), d))
	con.Diagnostics(d, a.diag)
	if d.HasErrors() {
		return 1
	}
	return 0
}

// load loads the configuration, and shows what there is to say of it. Without a
// snapshot the program ends with the code.
func (a *args) load(in snapshot.Input, con *console.Console, daemon bool) (*stream.Snapshot, int) {
	snap, d := snapshot.Load(in)
	if snap == nil || !daemon { // the process before the daemon has shown the warnings
		con.Diagnostics(d, a.diag)
	}
	if a.dump != nil {
		dump(a, con)
	}
	if snap == nil {
		return nil, 1
	}
	if a.strict && d.Count(config.Warning) > 0 {
		con.Alert("Some warnings were found and 'zero-warning' is set. Aborting.")
		return nil, 1
	}
	if err := snapshot.Listens(snap); err != nil {
		con.Alert("%v Exiting.", err)
		return nil, 2
	}
	if a.dumpObjects {
		dumpObjects(os.Stdout, a.verbose && !a.quiet)
	}
	if a.check && a.verbose {
		fmt.Println("Configuration file is valid")
	}
	return snap, 0
}
