package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// args is the command line (management.txt 3).
type args struct {
	files        []string // -f and --
	condition    *string  // -cc
	check        bool     // -c
	dir          string   // -C
	daemon       bool     // -D
	foreground   bool     // -db
	debug        bool     // -d
	dump         *string  // -dK
	diag         bool     // -dD
	strict       bool     // -dW
	switches     []string // of conf.Switch
	dumpConfig   bool     // -dC
	dumpObjects  bool     // -dL
	help         bool     // -h
	peer         string   // -L
	memory       int      // -m, MiB
	maxconn      int      // -n
	proxyMaxconn int      // -N
	pidfile      string   // -p
	quiet        bool     // -q
	verbose      bool     // -V
	old          []int    // -sf, -st
	oldSignal    syscall.Signal
	version      string // "v", "vv", "vq" …
	master       bool
	notify       bool     // -Ws
	masterCLI    []string // -S
	takeFrom     string   // -x
}

// errUsage makes the help be shown.
type errUsage string

func (e errUsage) Error() string { return string(e) }

// parseArgs reads the words after the program's name.
func parseArgs(words []string) (*args, error) {
	a := &args{}
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		if len(w) < 2 || w[0] != '-' {
			return nil, errUsage(fmt.Sprintf("unexpected argument '%s'", w))
		}
		flag := w[1:]
		// value takes the next word.
		value := func() (string, error) {
			if len(words) == 0 {
				return "", errUsage(fmt.Sprintf("'-%s' expects an argument", flag))
			}
			v := words[0]
			words = words[1:]
			return v, nil
		}
		number := func(into *int) error {
			v, err := value()
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return errUsage(fmt.Sprintf("'-%s' expects a number, not '%s'", flag, v))
			}
			*into = n
			return nil
		}
		text := func(into *string) error {
			v, err := value()
			*into = v
			return err
		}
		var err error
		switch {
		case flag == "v", flag == "vv", flag == "vq", flag == "vqs", flag == "vqb":
			a.version = flag
		case flag == "h":
			a.help = true
		case flag == "V":
			a.verbose, a.quiet = true, false
		case flag == "q":
			a.quiet = true
		case flag == "c":
			a.check = true
		case flag == "cc":
			a.condition = new(string)
			err = text(a.condition)
		case flag == "d":
			a.debug = true
		case flag == "db":
			a.foreground = true
		case flag == "dD":
			a.diag = true
		case flag == "dW":
			a.strict = true
		case flag == "dC":
			a.dumpConfig = true
		case flag == "dL":
			a.dumpObjects = true
		case flag == "dG", flag == "dT", flag == "dk", flag == "dp", flag == "dv":
			// What they switch off is not there: what they ask for is what is.
		case strings.HasPrefix(flag, "dK"):
			list := flag[2:]
			a.dump = &list
		case flag == "D":
			a.daemon = true
		case flag == "W":
			a.master = true
		case flag == "Ws":
			a.master, a.notify = true, true
		case flag == "f":
			var f string
			if err = text(&f); err == nil {
				a.files = append(a.files, f)
			}
		case flag == "-":
			a.files = append(a.files, words...)
			words = nil
		case flag == "C":
			err = text(&a.dir)
		case flag == "L":
			err = text(&a.peer)
		case flag == "p":
			err = text(&a.pidfile)
		case flag == "x":
			err = text(&a.takeFrom)
		case flag == "S":
			var s string
			if err = text(&s); err == nil {
				a.masterCLI = append(a.masterCLI, s)
			}
		case flag == "m":
			err = number(&a.memory)
		case flag == "n":
			err = number(&a.maxconn)
		case flag == "N":
			err = number(&a.proxyMaxconn)
		case flag == "sf", flag == "st":
			a.oldSignal = syscall.SIGUSR1
			if flag == "st" {
				a.oldSignal = syscall.SIGTERM
			}
			for len(words) > 0 && !strings.HasPrefix(words[0], "-") {
				// pidof and shells may put several into one word
				for _, p := range strings.Fields(words[0]) {
					pid, e := strconv.Atoi(p)
					if e != nil || pid <= 0 {
						err = errUsage(fmt.Sprintf("'-%s' expects process numbers, not '%s'", flag, p))
						break
					}
					a.old = append(a.old, pid)
				}
				words = words[1:]
			}
		case conf.FindSwitch(flag) != nil:
			a.switches = append(a.switches, flag)
		case refusal(flag) != "":
			err = fmt.Errorf("'-%s' : %s", flag, refusal(flag))
		default:
			err = errUsage(fmt.Sprintf("unknown option '-%s'", flag))
		}
		if err != nil {
			return nil, err
		}
	}
	if a.debug || a.foreground {
		a.daemon = false
	}
	return a, nil
}

// refused are options of HAProxy that this program cannot obey, by how they
// begin, and why.
var refused = []struct{ option, why string }{
	{"dA", "an archive of shared libraries makes no sense: this program has none."},
	{"dC", "a dump with hashed names is not supported by Forebay yet: '-dC' without a key is."},
	{"dI", "no process is ever started by a worker, so that nothing can be allowed to be insecure."},
	{"dM", "the memory is not managed by pools that could be poisoned or checked."},
	{"dR", "each thread has its own listening sockets, which SO_REUSEPORT makes possible."},
	{"dc", "the affinity of threads is left to the kernel, so that there is nothing to report."},
	{"de", "epoll is the only poller of this program."},
	{"dt", "traces are not supported by Forebay yet."},
	{"4", "section 'resolvers' is not supported by Forebay yet; addresses that are resolved at start can be given with 'init-addr'."},
}

func refusal(flag string) string {
	for _, o := range refused {
		if strings.HasPrefix(flag, o.option) && (len(o.option) > 1 || flag == o.option) {
			return o.why
		}
	}
	return ""
}

// usage is the program's help.
var usage = `Usage : forebay [-f <cfgfile|cfgdir>]* [ -vdVD ] [ -n <maxconn> ] [ -N <maxpconn> ]
        [ -p <pidfile> ] [ -m <max megs> ] [ -C <dir> ] [-- <cfgfile>*]
        -v displays version ; -vv shows known build options.
        -vq|-vqs|-vqb only displays version, short version, branch.
        -h displays this help.
        -d stays in foreground and shows all messages ; -db only disables background mode.
        -V enters verbose mode (disables quiet mode)
        -D goes daemon ; -C changes to <dir> before loading files.
        -W master-worker mode.
        -Ws master-worker mode with systemd notify support.
        -q quiet mode : don't display messages
        -c check mode : only check config files and exit
        -cc check condition : evaluate a condition and exit
        -n sets the maximum total # of connections
        -m limits the usable amount of memory (in MB)
        -N sets the default, per-proxy maximum # of connections
        -L set local peer name (default to hostname)
        -p writes pids of all children to this file
        -dC dumps the configuration files as words, and exits
        -dL dumps loaded object files after config checks
` + switchesHelp() + `        -dK{class[,...]} dump registered keywords (use 'help' for list)
        -dW fails if any warning is emitted
        -dD diagnostic mode : warn about suspicious configuration statements
        -sf/-st [pid ]* finishes/terminates old pids.
        -x <unix_socket> get listening sockets from a unix socket
        -S <bind>[,<bind options>...] new master CLI
`

// switchesHelp are the lines of what the engine and features have registered.
func switchesHelp() string {
	text := ""
	for _, line := range conf.SwitchesHelp() {
		text += "        " + line + "\n"
	}
	return text
}
