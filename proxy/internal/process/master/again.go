package master

import (
	"maps"
	"os"
	"slices"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
)

// inception is what [Run] was told, for the same program with signals held.
type inception struct {
	Options     bequest
	Program     string
	Old         []int
	OldSignal   int
	First       *bundle.Bundle
	Descriptors []int
	Quiet       bool
	Preamble    []string
}

// again executes this program once more in this process, for [Run] with the same
// options. It returns if that cannot be. Until it has, signals do what they do to
// any program that has not begun: a master has told nobody yet that it is there.
// o.Ready is not handed over: it is a daemon's.
func again(o Options) error {
	f, err := memory(inception{
		Options: bequestOf(o), Program: o.Program, Old: o.Old, OldSignal: int(o.OldSignal), First: o.First, Descriptors: o.Descriptors,
		Quiet: o.Console.Quiet, Preamble: o.Console.Preamble,
	})
	if err != nil {
		return err
	}
	defer f.Close()
	return becomeProgram("/proc/self/exe", begin, f, slices.Collect(maps.Values(o.Settings.Descriptors)))
}

// resumeStart is the other side of [again].
func resumeStart(f *os.File, con *console.Console) int {
	var i inception
	err := bundle.Decode(f, &i)
	f.Close()
	if err != nil {
		con.Alert("cannot read what the master was started with: %v", err)
		return 1
	}
	con.Quiet, con.Preamble = i.Quiet, i.Preamble
	o := i.Options.options(con)
	o.Program, o.Old, o.OldSignal, o.First, o.Descriptors = i.Program, i.Old, syscall.Signal(i.OldSignal), i.First, i.Descriptors
	o.Ready = func() {}
	return Run(o)
}

// Start calls f, which starts a process that is to be a master, with signals held,
// so that it need not execute itself once more.
func Start(f func() error) error { return masked(f) }
