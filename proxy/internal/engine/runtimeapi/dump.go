package runtimeapi

import (
	"fmt"
	"io"
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// masterNames are the commands of the master's socket.
var masterNames []string

// ListMaster names commands of the master's socket for "-dKcli": its set is made
// when a master starts.
func ListMaster(names ...string) { masterNames = append(masterNames, names...) }

func init() {
	both := &Set{}
	both.Basics()
	for _, c := range both.list {
		ListMaster(c.Words)
	}
	conf.RegisterDump("cli", dumpCommands)
}

// dumpCommands prints the commands of both processes.
func dumpCommands(w io.Writer) {
	marks := map[string]string{}
	for _, n := range masterNames {
		marks[n] = "[MASTER] "
	}
	for _, c := range Worker.list {
		marks[c.Words] += "[WORKER] "
	}
	var names []string
	for n := range marks {
		names = append(names, n)
	}
	slices.Sort(names)
	fmt.Fprintln(w, "# List of registered CLI keywords:")
	for _, n := range names {
		fmt.Fprintf(w, "%s %s\n", n, marks[n])
	}
}
