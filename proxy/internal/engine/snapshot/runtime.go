package snapshot

import (
	"errors"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	packed "github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// The commands follow the idiom of "prepare map" and "commit map"
// (management.txt 9.3): a version is opened, filled, and committed as a whole.
func init() {
	const admin = runtimeapi.Admin
	runtimeapi.Register(
		runtimeapi.Command{Words: "prepare config", Level: admin, Help: "open a new version of the configuration", Run: prepareConfig},
		runtimeapi.Command{
			Words: "add config", Level: admin, Usage: "@<ver> <path> <payload>", Help: "add a configuration file to a version",
			Payload: true, MaxPayload: runtimeapi.MaxBundle, Run: addFile(true),
		},
		runtimeapi.Command{
			Words: "add config-file", Level: admin, Usage: "@<ver> <path> <payload>", Help: "add a file that the configuration of a version names",
			Payload: true, MaxPayload: runtimeapi.MaxBundle, Run: addFile(false),
		},
		runtimeapi.Command{
			Words: "add config-parts", Level: admin, Usage: "@<ver> <path> <payload>", Help: "add a configuration file, naming sections that did not change",
			Payload: true, MaxPayload: runtimeapi.MaxBundle, Run: addParts,
		},
		runtimeapi.Command{
			Words: "add config-update", Level: admin, Usage: "@<ver> <payload>", Help: "add what the master knows of the named files",
			Payload: true, MaxPayload: runtimeapi.MaxBundle, Run: addUpdate,
		},
		runtimeapi.Command{Words: "check config", Level: admin, Usage: "@<ver>", Help: "tell what is wrong with a version of the configuration", Run: checkConfig},
		runtimeapi.Command{Words: "show config", Level: admin, Usage: "[runtime|@<ver>]", Help: "list the versions, what one of them would change, or what was set at run time", Run: showConfig},
		runtimeapi.Command{Words: "commit config", Level: admin, Usage: "@<ver>", Help: "put a version of the configuration in force", Run: commitConfig},
		runtimeapi.Command{Words: "abort config", Level: admin, Usage: "@<ver>", Help: "forget a version of the configuration", Run: abortConfig},
	)
}

// version reads "@3".
func version(args []string) (int, error) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "@") {
		return 0, runtimeapi.Errorf("Version number expected ('@<ver>').\n")
	}
	n, err := strconv.Atoi(args[0][1:])
	if err != nil || n < 1 {
		return 0, unknownVersion(args[0][1:])
	}
	return n, nil
}

// aside runs f while the reactor goes on, see [reactor.Aside].
func aside(c *runtimeapi.Conn, f func()) {
	stream.Await(c.R, func() { reactor.Aside(f) })
}

func prepareConfig(c *runtimeapi.Conn, _ []string) error {
	b, err := bundlesOf(c.Worker).prepare(c.R, c.Worker.Snapshot().Version)
	if err != nil {
		return err
	}
	return c.Printf("New version created: %d\n", b.id)
}

func addFile(source bool) func(*runtimeapi.Conn, []string) error {
	return func(c *runtimeapi.Conn, args []string) error {
		id, err := version(args)
		if err != nil {
			return err
		}
		if len(args) != 2 {
			return runtimeapi.Errorf("A version and a path are expected.\n")
		}
		if !c.HasPayload {
			return runtimeapi.Errorf("The text of the file is expected as payload ('<<').\n")
		}
		return bundlesOf(c.Worker).with(id, c.R.Now(), func(b *bundle) error { return b.add(source, args[1], c.Payload) })
	}
}

// addParts answers with the sums of the sections that the running configuration
// does not have: they must be sent.
func addParts(c *runtimeapi.Conn, args []string) error {
	id, err := version(args)
	if err != nil {
		return err
	}
	if len(args) != 2 || !c.HasPayload {
		return runtimeapi.Errorf("A version, a path and a payload ('<<') are expected.\n")
	}
	var f *config.File
	var size int
	var lacking []config.Sum
	aside(c, func() { f, size, lacking, err = readParts(c.Worker, args[1], c.Payload) })
	switch {
	case err != nil:
		return err
	case len(lacking) == 0:
		return bundlesOf(c.Worker).with(id, c.R.Now(), func(b *bundle) error { return b.addSource(f, size) })
	}
	text := []byte("Unknown sections:\n")
	for _, sum := range lacking {
		text = append(append(text, sum.String()...), '\n')
	}
	_, err = c.Write(text)
	return err
}

func addUpdate(c *runtimeapi.Conn, args []string) error {
	id, err := version(args)
	if err != nil {
		return err
	}
	if len(args) != 1 || !c.HasPayload {
		return runtimeapi.Errorf("A version and a payload ('<<') are expected.\n")
	}
	var u packed.Update
	aside(c, func() { err = packed.Decode(strings.NewReader(c.Payload), &u) })
	if err != nil {
		return runtimeapi.Errorf("%s\n", err)
	}
	return bundlesOf(c.Worker).with(id, c.R.Now(), func(b *bundle) error { return b.addUpdate(&u) })
}

// loadVersion loads an open version, aside from the reactor, and prints what is
// wrong with it. The snapshot is nil if it cannot be used.
func loadVersion(c *runtimeapi.Conn, args []string) (*stream.Snapshot, error) {
	id, err := version(args)
	if err != nil {
		return nil, err
	}
	// Loading takes time: it works on a copy, so that nobody waits for the list.
	var b bundle
	err = bundlesOf(c.Worker).with(id, c.R.Now(), func(o *bundle) error { b = o.copy(); return nil })
	if err != nil {
		return nil, err
	}
	return load(c, &b), nil
}

func load(c *runtimeapi.Conn, b *bundle) *stream.Snapshot {
	var snap *stream.Snapshot
	var d *config.Diagnostics
	var missing []string
	aside(c, func() { snap, d, missing = b.load(c.Worker) })
	if len(missing) > 0 {
		for _, name := range missing {
			c.Printf("? %q\n", name)
		}
		c.Printf("Files are missing\n")
		return nil
	}
	for _, x := range d.All() {
		if x.Severity > config.Diag {
			c.Printf("[%s] %s\n", x.Severity, x)
		}
	}
	if snap != nil {
		if err := Listens(snap); err != nil {
			c.Printf("[ALERT] %s\n", err)
			snap = nil
		}
	}
	if snap == nil {
		c.Printf("Fatal errors found in configuration\n")
	}
	return snap
}

func checkConfig(c *runtimeapi.Conn, args []string) error {
	snap, err := loadVersion(c, args)
	if err != nil || snap == nil {
		return err
	}
	return c.Printf("Configuration file is valid\n")
}

func showConfig(c *runtimeapi.Conn, args []string) error {
	if len(args) == 0 {
		return listConfigs(c)
	}
	if args[0] == "runtime" {
		var list []Change
		aside(c, func() {
			applying.Lock()
			defer applying.Unlock()
			list = kept(c.Worker)
		})
		return printChanges(c, list)
	}
	snap, err := loadVersion(c, args)
	if err != nil || snap == nil {
		return err
	}
	var changes []Change
	aside(c, func() { changes = Changes(c.Worker, snap) })
	return printChanges(c, changes)
}

func listConfigs(c *runtimeapi.Conn) error {
	run := c.Worker.Snapshot()
	files := 0
	if src := sources.Of(run.Global); src != nil {
		files = src.files
	}
	c.Printf("# id state files\n%d (running) %d\n", run.Version, files)
	_, err := c.WriteString(bundlesOf(c.Worker).String())
	return err
}

func printChanges(c *runtimeapi.Conn, changes []Change) error {
	for _, x := range changes {
		if err := c.Printf("%s\n", x); err != nil {
			return err
		}
	}
	return nil
}

func commitConfig(c *runtimeapi.Conn, args []string) error {
	id, err := version(args)
	if err != nil {
		return err
	}
	l := bundlesOf(c.Worker)
	b, err := l.take(id)
	if err != nil {
		return err
	}
	var changes []Change
	for err = ErrOutdated; errors.Is(err, ErrOutdated); {
		snap := load(c, b)
		if snap == nil {
			l.putBack(b)
			return nil
		}
		aside(c, func() {
			if changes, err = Apply(c.Worker, snap); err == nil {
				c.Worker.OnAll(func(*reactor.Reactor) {}) // what is gone does not listen any more when it is said
			}
		})
	}
	switch {
	case err == nil:
		b.forget()
		printChanges(c, changes)
		return c.Printf("Success!\n")
	case errors.Is(err, ErrNeedsReload):
		l.putBack(b)
		for _, x := range changes {
			if x.Kind == '!' {
				c.Printf("%s\n", x)
			}
		}
		return c.Printf("Not applied: %s\n", err)
	}
	l.putBack(b)
	for line := range strings.Lines(err.Error()) {
		c.Printf("[ALERT] %s\n", strings.TrimSuffix(line, "\n"))
	}
	return c.Printf("Fatal errors found in configuration\n")
}

func abortConfig(c *runtimeapi.Conn, args []string) error {
	id, err := version(args)
	if err != nil {
		return err
	}
	b, err := bundlesOf(c.Worker).take(id)
	if err != nil {
		return err
	}
	b.forget()
	return c.Printf("Version %d aborted\n", id)
}
