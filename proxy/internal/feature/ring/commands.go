package ring

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	runtimeapi.Register(runtimeapi.Command{
		Words: "show events", Level: runtimeapi.User, Usage: "[<sink>] [-w] [-n] [-0]", Help: "show event sink state", Run: show,
	})
}

// show lists the sinks, or shows the events of one.
func show(c *runtimeapi.Conn, args []string) error {
	if len(args) == 0 {
		return list(c)
	}
	if c.Level < runtimeapi.Operator {
		return runtimeapi.Errorf("Permission denied\n")
	}
	if args[0] == "stdout" || args[0] == "stderr" {
		return c.Message(5, "Nothing to report for this sink\n")
	}
	b := buffer(c.Worker, args[0])
	if b == nil {
		return runtimeapi.Errorf("No such event sink\n")
	}
	wait, fresh, end := false, false, byte('\n')
	for _, a := range args[1:] {
		switch a {
		case "-w":
			wait = true
		case "-n":
			fresh = true
		case "-wn", "-nw":
			wait, fresh = true, true
		case "-0":
			end = 0
		default:
			return runtimeapi.Errorf("unknown option\n")
		}
	}
	return follow(c, b, wait, fresh, end)
}

// list tells of all sinks.
func list(c *runtimeapi.Conn) error {
	c.WriteString("Supported events sinks are listed below. Add -0(zero), -w(wait), -n(new). Any key to stop.\n")
	line := func(name, kind string, dropped uint64, descr string) {
		c.WriteString(fmt.Sprintf("    %-10s : type=%s, %d dropped, %s\n", name, kind, dropped, descr))
	}
	line("stdout", "fd", 0, "standard output (fd#1)")
	line("stderr", "fd", 0, "standard output (fd#2)")
	p := places.In(c.Worker)
	names := make([]string, 0, len(builtin))
	for _, k := range builtin {
		names = append(names, k.name)
	}
	for _, s := range *sections.Make(c.Worker.Snapshot().Global) {
		names = append(names, s.name)
	}
	for _, name := range names {
		p.mu.Lock()
		b := p.rings[name]
		p.mu.Unlock()
		if b != nil {
			line(name, "buffer", b.lost(), *b.descr.Load())
		}
	}
	return c.Err()
}

// buffer gives a ring by its name, nil if there is none.
func buffer(w *stream.Worker, name string) *Buffer {
	p := places.In(w)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rings[name]
}

// follow shows what is in a ring, and with wait what comes, until the client says
// anything or leaves.
func follow(c *runtimeapi.Conn, b *Buffer, wait, fresh bool, end byte) error {
	var more reactor.Waiter
	x := b.read(c.R, fresh, more.Notify)
	defer x.close()
	var event []byte
	last := b.now() // what is written meanwhile is not waited for
	for {
		var ok bool
		for {
			if !wait && x.next.n >= last {
				break
			}
			if event, ok = x.append(event[:0]); !ok {
				break
			}
			if _, err := c.Write(append(event, end)); err != nil {
				return err
			}
		}
		if !wait {
			return nil
		}
		if err := c.Flush(); err != nil {
			return err
		}
		for x.sleep() {
			if said, err := c.Interrupted(&more); said || err != nil {
				return err
			}
		}
	}
}

// now counts the events that were ever written.
func (b *Buffer) now() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end.n
}
