package worker

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/life"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
)

// Variable is what tells the program that it is a worker of a master. Its
// descriptors are [ControlFD], [OrderFD], the listening sockets after these, and
// last what the master itself was started with ([Settings.Descriptors]).
const Variable = "FOREBAY_WORKER"

// Descriptors of a worker.
const (
	ControlFD = 3 + iota
	OrderFD
	SocketsFD
)

// Order is what a master tells its new worker.
type Order struct {
	Settings  Settings
	Bundle    bundle.Bundle
	Sockets   []string // keys of the inherited sockets, from SocketsFD on
	Quiet     bool
	Daemon    bool // let go of the terminal once ready
	NoSandbox bool
	Old       []int
	OldSignal int
	// Secret is the same for all workers of a master ([life.OnSecret]).
	Secret []byte
	// Legacies are what the worker before has left ([life.Take]).
	Legacies map[string][]byte
}

// Child is the worker as a child of the master: it takes everything that it
// needs from its descriptors.
func Child() int {
	os.Unsetenv(Variable)
	NameProcess()
	con := console.New()
	for fd := ControlFD; fd <= OrderFD; fd++ {
		syscall.CloseOnExec(fd)
	}
	control, err := OpenControl(ControlFD)
	if err != nil {
		con.Alert("cannot speak with the master: %v", err)
		return 1
	}
	con.Tap(func(line string) { control.Line(line) })
	var o Order
	f := os.NewFile(OrderFD, "order")
	if err := bundle.Decode(f, &o); err != nil {
		con.Alert("cannot read the master's order: %v", err)
		return 1
	}
	f.Close()
	con.Quiet = o.Quiet
	if len(o.Secret) > 0 {
		life.SetSecret(o.Secret)
		o.Secret = nil
	}
	life.Take(o.Legacies)
	o.Legacies = nil
	var list []Socket
	for i, key := range o.Sockets {
		syscall.CloseOnExec(SocketsFD + i)
		list = append(list, Socket{key, SocketsFD + i})
	}
	for _, fd := range o.Settings.Descriptors {
		syscall.CloseOnExec(fd)
	}
	in := o.Settings.Input()
	in.Sources, in.Files = o.Bundle.Parse(), &o.Bundle
	// The master has shown the warnings.
	snap, d := snapshot.Load(in)
	if snap == nil {
		con.Diagnostics(d, false)
		return 1
	}
	o.Bundle = bundle.Bundle{}
	var null *os.File
	if o.Daemon {
		null, _ = os.OpenFile("/dev/null", os.O_RDWR, 0)
	}
	return Run(Options{
		Snapshot: snap, Inherited: Inherit(list), Console: con, Control: control, NoSandbox: o.NoSandbox, Debug: o.Settings.Debug, Strict: o.Settings.Strict, Memory: o.Settings.Memory, Descriptors: o.Settings.Descriptors,
		Old: o.Old, OldSignal: syscall.Signal(o.OldSignal),
		Ready: func() {
			con.Tap(nil)
			for fd := 0; null != nil && fd < 3; fd++ {
				syscall.Dup3(int(null.Fd()), fd, 0)
			}
		},
	})
}

// SourceNames joins names for HAPROXY_CFGFILES.
func SourceNames(names []string) string { return strings.Join(names, ";") }

// NameProcess gives the process, which was executed as /proc/self/exe, the name
// that the program was called by.
func NameProcess() {
	os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
}
