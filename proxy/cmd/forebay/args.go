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

// flags are the options; each takes what follows its name.
var flags = map[string]func(a *args, r *reader) error{
	"v": aboutVersion, "vv": aboutVersion, "vq": aboutVersion, "vqs": aboutVersion, "vqb": aboutVersion,

	"h":  on(func(a *args) *bool { return &a.help }),
	"V":  func(a *args, _ *reader) error { a.verbose, a.quiet = true, false; return nil },
	"q":  on(func(a *args) *bool { return &a.quiet }),
	"c":  on(func(a *args) *bool { return &a.check }),
	"cc": func(a *args, r *reader) error { a.condition = new(string); return r.text(a.condition) },
	"d":  on(func(a *args) *bool { return &a.debug }),
	"db": on(func(a *args) *bool { return &a.foreground }),
	"dD": on(func(a *args) *bool { return &a.diag }),
	"dW": on(func(a *args) *bool { return &a.strict }),
	"dC": on(func(a *args) *bool { return &a.dumpConfig }),
	"dL": on(func(a *args) *bool { return &a.dumpObjects }),
	"D":  on(func(a *args) *bool { return &a.daemon }),
	"W":  on(func(a *args) *bool { return &a.master }),
	"Ws": func(a *args, _ *reader) error { a.master, a.notify = true, true; return nil },

	// What they switch off is not there: what they ask for is what is.
	"dG": nothing, "dT": nothing, "dk": nothing, "dp": nothing, "dv": nothing,

	"f": func(a *args, r *reader) error { return r.add(&a.files) },
	"S": func(a *args, r *reader) error { return r.add(&a.masterCLI) },
	"-": func(a *args, r *reader) error {
		a.files, r.words = append(a.files, r.words...), nil
		return nil
	},
	"C":  func(a *args, r *reader) error { return r.text(&a.dir) },
	"L":  func(a *args, r *reader) error { return r.text(&a.peer) },
	"p":  func(a *args, r *reader) error { return r.text(&a.pidfile) },
	"x":  func(a *args, r *reader) error { return r.text(&a.takeFrom) },
	"m":  func(a *args, r *reader) error { return r.number(&a.memory) },
	"n":  func(a *args, r *reader) error { return r.number(&a.maxconn) },
	"N":  func(a *args, r *reader) error { return r.number(&a.proxyMaxconn) },
	"sf": func(a *args, r *reader) error { a.oldSignal = syscall.SIGUSR1; return r.pids(&a.old) },
	"st": func(a *args, r *reader) error { a.oldSignal = syscall.SIGTERM; return r.pids(&a.old) },
}

func aboutVersion(a *args, r *reader) error { a.version = r.flag; return nil }

func nothing(*args, *reader) error { return nil }

func on(field func(*args) *bool) func(*args, *reader) error {
	return func(a *args, _ *reader) error { *field(a) = true; return nil }
}

// reader takes the words of the command line; flag is the option that is read.
type reader struct {
	flag  string
	words []string
}

func (r *reader) text(into *string) error {
	if len(r.words) == 0 {
		return errUsage(fmt.Sprintf("'-%s' expects an argument", r.flag))
	}
	*into, r.words = r.words[0], r.words[1:]
	return nil
}

func (r *reader) add(to *[]string) error {
	var v string
	err := r.text(&v)
	if err == nil {
		*to = append(*to, v)
	}
	return err
}

func (r *reader) number(into *int) error {
	var v string
	if err := r.text(&v); err != nil {
		return err
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return errUsage(fmt.Sprintf("'-%s' expects a number, not '%s'", r.flag, v))
	}
	*into = n
	return nil
}

// pids takes the numbers of processes up to the next option.
func (r *reader) pids(into *[]int) error {
	for len(r.words) > 0 && !strings.HasPrefix(r.words[0], "-") {
		// pidof and shells may put several into one word
		for _, p := range strings.Fields(r.words[0]) {
			pid, err := strconv.Atoi(p)
			if err != nil || pid <= 0 {
				return errUsage(fmt.Sprintf("'-%s' expects process numbers, not '%s'", r.flag, p))
			}
			*into = append(*into, pid)
		}
		r.words = r.words[1:]
	}
	return nil
}

// parseArgs reads the words after the program's name.
func parseArgs(words []string) (*args, error) {
	a, r := &args{}, &reader{words: words}
	for len(r.words) > 0 {
		var w string
		r.text(&w)
		if len(w) < 2 || w[0] != '-' {
			return nil, errUsage(fmt.Sprintf("unexpected argument '%s'", w))
		}
		r.flag = w[1:]
		if err := a.option(r); err != nil {
			return nil, err
		}
	}
	if a.debug || a.foreground {
		a.daemon = false
	}
	return a, nil
}

// option reads what follows the name of an option.
func (a *args) option(r *reader) error {
	if read := flags[r.flag]; read != nil {
		return read(a, r)
	}
	list, dump := strings.CutPrefix(r.flag, "dK")
	switch why := refusal(r.flag); {
	case dump:
		a.dump = &list
	case conf.FindSwitch(r.flag) != nil:
		a.switches = append(a.switches, r.flag)
	case why != "":
		return fmt.Errorf("'-%s' : %s", r.flag, why)
	default:
		return errUsage(fmt.Sprintf("unknown option '-%s'", r.flag))
	}
	return nil
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
