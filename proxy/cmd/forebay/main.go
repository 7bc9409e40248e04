// Command forebay is the data plane: a load balancer that speaks the
// configuration language, the command line and the Runtime API of HAProxy.
//
// Without "-W" it reads its files and serves. With it, it becomes a master that
// reads the files and starts this program again as its worker.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/console"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/process/master"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
	"github.com/forebay-lb/forebay/proxy/internal/version"
)

func main() { os.Exit(run()) }

// run is the program; it returns the exit code.
func run() int {
	if os.Getenv(worker.Variable) != "" {
		return worker.Child()
	}
	if v := os.Getenv(master.Variable); v != "" {
		return master.Resume(v)
	}
	daemon := isDaemon()
	descriptors = worker.Descriptors()
	con := console.New()
	a, err := parseArgs(os.Args[1:])
	var bad errUsage
	switch {
	case errors.As(err, &bad):
		fmt.Fprintf(os.Stderr, "%s\n%s\n%s", version.Line(), bad, usage)
		return 1
	case err != nil:
		con.Alert("%v", err)
		return 1
	}
	con.Quiet = a.quiet
	exe, _ := os.Executable()
	con.Preamble = []string{"forebay version is " + version.Full(), "path to executable is " + exe}
	switch {
	case a.help:
		fmt.Printf("%s\n%s", version.Line(), usage)
		return 0
	case a.version != "":
		printVersion(a.version)
		return 0
	case a.condition != nil:
		return condition(a, con)
	case a.dump != nil && *a.dump == "help", a.dump != nil && len(a.files) == 0:
		return dump(a, con)
	case len(a.files) == 0:
		fmt.Fprintf(os.Stderr, "%s\n%s", version.Line(), usage)
		return 1
	}
	if a.memory > 0 {
		debug.SetMemoryLimit(int64(a.memory) << 20)
	}
	startDir, _ = os.Getwd()
	self = master.Program()
	if a.dir != "" {
		if err := os.Chdir(a.dir); err != nil {
			con.Alert("Could not change to directory %s : %v", a.dir, cause(err))
			return 1
		}
	}
	return start(a, con, daemon)
}

// printVersion answers "-v", "-vv" and the short forms.
func printVersion(flag string) {
	switch flag {
	case "vq":
		fmt.Println(version.Full())
		return
	case "vqs":
		fmt.Println(version.Compatible)
		return
	case "vqb":
		fmt.Println(version.Branch())
		return
	}
	fmt.Println(version.Line())
	if flag == "v" {
		return
	}
	fmt.Printf("\nBuild options :\n  TARGET  = %s/%s\n  GO      = %s\n", runtime.GOOS, runtime.GOARCH, runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if strings.HasPrefix(s.Key, "CGO") || strings.HasPrefix(s.Key, "-") || strings.HasPrefix(s.Key, "vcs") {
				fmt.Printf("  %s = %s\n", s.Key, s.Value)
			}
		}
		fmt.Printf("\nLibraries :\n")
		for _, m := range info.Deps {
			fmt.Printf("  %s %s\n", m.Path, m.Version)
		}
	}
	fmt.Printf("\nDefault settings :\n  bufsize = 16384, maxrewrite = 1024, maxpollevents = 200\n")
	fmt.Printf("\nBuilt with multi-threading support (MAX_THREADS=64, default=%d).\n", runtime.NumCPU())
	fmt.Printf("\nAvailable polling systems :\n      epoll : pref=300,  test result OK\nTotal: 1 (1 usable), will use epoll.\n")
}

// dumpConfig is "-dC": the statements that are in force, as their words, without
// comments and with sections at the margin.
func dumpConfig(w io.Writer, blocks []*config.Block) {
	line := func(indent string, words []string) {
		fmt.Fprintf(w, "%s%s \n", indent, strings.Join(words, " "))
	}
	for _, b := range blocks {
		line("", b.Args)
		for _, s := range b.Statements {
			words := s.Args
			switch {
			case s.No:
				words = append([]string{"no"}, words...)
			case s.Default:
				words = append([]string{"default"}, words...)
			}
			line("\t", words)
		}
	}
}

// dumpObjects is "-dL": what is loaded, which is the program alone, and with
// verbose its places in memory.
func dumpObjects(w io.Writer, verbose bool) {
	exe, err := os.Executable()
	if err != nil {
		return
	}
	if !verbose {
		fmt.Fprintln(w, exe)
		return
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for l := range strings.Lines(string(maps)) {
		f := strings.Fields(l)
		if len(f) == 6 && f[5] == exe {
			from, to, _ := strings.Cut(f[0], "-")
			fmt.Fprintf(w, "0x%s-0x%s %s %s\n", from, to, f[2], exe)
		}
	}
}

// condition is "-cc": 0 if true, 1 if false, 2 if it makes no sense.
func condition(a *args, con *console.Console) int {
	ok, err := config.EvalArgument(*a.condition, worker.Settings{LocalPeer: a.peer}.Options())
	switch {
	case err != nil:
		con.Alert("config : Failed to evaluate condition: %v", err)
		return 2
	case ok:
		return 0
	}
	return 1
}

func dump(a *args, con *console.Console) int {
	if err := conf.DumpKeywords(os.Stdout, *a.dump); err != nil {
		con.Warn("%v", err)
	}
	return 0
}

// cause gives the last error of a chain: what the system said.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
