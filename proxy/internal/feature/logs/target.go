package logs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Level is a syslog level, 0 (emergency) to 7 (debug).
type Level int

// Levels that the proxy uses itself.
const (
	Emerg Level = iota
	Alert
	Crit
	Err
	Warning
	Notice
	Info
	Debug
)

var levels = []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit", "alert", "cron2",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// format is what goes before the message.
type format string

const (
	local3164  format = "local"
	rfc3164    format = "rfc3164"
	rfc5424    format = "rfc5424"
	priority   format = "priority"
	short      format = "short"
	timed      format = "timed"
	iso        format = "iso"
	rawMessage format = "raw"
)

// target is one "log" line.
type target struct {
	key      string       // what it is: targets of the same key share their sockets
	addr     reactor.Addr // UDP and UNIX
	fd       int          // descriptors, -1 otherwise
	format   format
	facility int
	level    Level    // the least severe that is sent
	min      Level    // more severe ones are sent as this
	max      int      // bytes of a line
	sample   *ranges  // of the lines those that it gets; nil: all
	profile  *Profile // how they are made; nil: as the proxy says
	wants    string   // the profile's name
	pos      config.Pos
	out      atomic.Pointer[output] // nil until the configuration is in force
}

// Sink is what a target of a kind that a feature adds writes to ("ring@name").
type Sink interface {
	// Format is what goes before messages, MaxLen the most bytes of a line.
	Format() string
	MaxLen() int
	// Send sends a line from a reactor, which is not to be kept. It tells whether it
	// was taken.
	Send(r *reactor.Reactor, line []byte) bool
}

// sinks find the sinks of targets that begin with a prefix.
var sinks = map[string]func(c *conf.Ctx, name string) (Sink, error){}

// RegisterTarget adds a kind of target: find gets what stands behind the prefix,
// when all sections were read.
func RegisterTarget(prefix string, find func(c *conf.Ctx, name string) (Sink, error)) {
	sinks[prefix] = find
}

// IsFormat tells whether there is a format of that name.
func IsFormat(name string) bool {
	switch format(name) {
	case local3164, rfc3164, rfc5424, priority, short, timed, iso, rawMessage:
		return true
	}
	return false
}

// sink makes a target of a kind that a feature has added.
func (t *target) sink(c *conf.Ctx, find func(*conf.Ctx, string) (Sink, error), name string) {
	at := *c
	c.Later(func() {
		s, err := find(&at, name)
		if err != nil {
			at.Report(fmt.Errorf("log : %w.", err))
			return
		}
		t.format = format(s.Format())
		t.max = min(t.max, s.MaxLen())
		t.out.Store(&output{sink: s})
	})
}

// parseTarget reads the arguments of a "log" line.
func parseTarget(c *conf.Ctx) (*target, error) {
	t := &target{fd: -1, level: Debug, max: 1024, key: c.Args[0], pos: c.Pos}
	if err := t.parseAddress(c); err != nil {
		return nil, err
	}
	w := conf.ReadWords(c.Args[1:])
	if err := t.parseOptions(c, &w); err != nil {
		return nil, err
	}
	return t, t.parseFacility(c, &w)
}

// parseAddress reads where the target is.
func (t *target) parseAddress(c *conf.Ctx) (err error) {
	where := c.Args[0]
	kind, name, named := strings.Cut(where, "@")
	find := sinks[kind+"@"]
	switch {
	case where == "stdout":
		t.fd, t.format = 1, short
	case where == "stderr":
		t.fd, t.format = 2, short
	case named && kind == "fd":
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 {
			return fmt.Errorf("file descriptor '%s' is not a valid integer in '%s'", name, where)
		}
		t.format = short
		t.fd, err = c.Descriptor(n)
		return err
	case named && find != nil:
		t.sink(c, find, name)
	case named && (kind == "ring" || kind == "backend"), strings.HasPrefix(where, "tcp"), strings.HasPrefix(where, "quic"):
		return conf.NotYet("log target", where)
	default:
		t.addr, err = c.SocketAddr(c.Args, 0, config.AddressOptions{Port: true, NoStream: true})
		if !t.addr.IsUnix() {
			t.addr.Port = cmp.Or(t.addr.Port, 514)
		}
		t.format, t.key = rfc3164, c.Args[0]
	}
	return err
}

// parseOptions reads what may stand before the facility.
func (t *target) parseOptions(c *conf.Ctx, w *conf.Words) error {
	for slices.Contains([]string{"len", "format", "sample", "profile"}, w.Peek()) {
		option := w.Next()
		if option == "sample" {
			r, err := parseSample(w.Next())
			if err != nil {
				return err
			}
			t.sample = r
			continue
		}
		if len(w.Rest()) == 0 {
			return usage(c)
		}
		switch v := w.Next(); option {
		case "len":
			n, err := strconv.Atoi(v)
			if err != nil || n < 80 || n > 65535 {
				return fmt.Errorf("invalid log length '%s', must be between 80 and 65535", v)
			}
			t.max = n
		case "format":
			if !IsFormat(v) {
				return fmt.Errorf("unknown log format '%s'", v)
			}
			t.format = format(v)
		case "profile":
			t.wants = v
			c.Anew() // what the profile says may change
		}
	}
	return nil
}

// parseFacility reads the facility and the levels.
func (t *target) parseFacility(c *conf.Ctx, w *conf.Words) error {
	if len(w.Rest()) == 0 {
		return usage(c)
	}
	name := w.Next()
	if t.facility = index(facilities, name); t.facility < 0 {
		return fmt.Errorf("unknown log facility '%s'", name)
	}
	for _, l := range []struct {
		level *Level
		what  string
	}{{&t.level, "optional log level"}, {&t.min, "optional minimum log level"}} {
		if len(w.Rest()) == 0 {
			return nil
		}
		name := w.Next()
		if *l.level = Level(index(levels, name)); *l.level < 0 {
			return fmt.Errorf("unknown %s '%s'", l.what, name)
		}
	}
	if rest := w.Rest(); len(rest) > 0 {
		return fmt.Errorf("cannot handle unexpected argument '%s'", rest[0])
	}
	return nil
}

func index(list []string, w string) int {
	for i, s := range list {
		if s == w {
			return i
		}
	}
	return -1
}

// usage is the error for words that are missing.
func usage(c *conf.Ctx) error {
	if c.Proxy == nil {
		return errors.New("expects <address> and <facility>  as arguments")
	}
	return errors.New("expects <address> and <facility> or global as arguments")
}

// output is what the targets of one key write to: sockets, or a descriptor's
// writer. It outlives configurations.
type output struct {
	addr  reactor.Addr
	socks []int // one a reactor
	w     *writer
	sink  Sink
}

// outputs are the open ones by key, under a lock that only configuration takes.
var outputs struct {
	sync.Mutex
	m map[string]*output
}

func (o *output) serves(t *target, reactors int) bool {
	return t.fd >= 0 || o.addr == t.addr && len(o.socks) == reactors
}

// open gives the output of a target, opening it if need be. Of sockets opened is
// told then, with the output that they take the place of; the writer of a
// descriptor is the same for ever.
func open(w *stream.Worker, t *target, opened func(new, old *output)) (*output, error) {
	outputs.Lock()
	defer outputs.Unlock()
	old := outputs.m[t.key]
	if old != nil && old.serves(t, len(w.Reactors)) {
		return old, nil
	}
	o := &output{addr: t.addr}
	if t.fd >= 0 {
		o.w = newWriter(w, t.fd)
	} else {
		sys := w.Reactors[0].Sys
		for range w.Reactors {
			domain := syscall.AF_INET
			switch {
			case t.addr.IsUnix():
				domain = syscall.AF_UNIX
			case t.addr.IP.Is6():
				domain = syscall.AF_INET6
			}
			n, e := sys.Socket(domain, syscall.SOCK_DGRAM, 0)
			if e != 0 {
				o.close(w)
				return nil, fmt.Errorf("socket for log target %s: %w", t.key, e)
			}
			// Connected once: a socket's path cannot be found again from inside the
			// sandbox. A server that is not there yet is tried at each line.
			sys.Connect(n, t.addr)
			o.socks = append(o.socks, n)
		}
	}
	if outputs.m == nil {
		outputs.m = map[string]*output{}
	}
	outputs.m[t.key] = o
	if o.w == nil {
		opened(o, old)
	}
	return o, nil
}

// close closes the sockets.
func (o *output) close(w *stream.Worker) {
	for _, n := range o.socks {
		w.Reactors[0].Sys.Close(n)
	}
}

// putBack makes an output the one of a key again; nil: there was none.
func putBack(key string, o *output) {
	outputs.Lock()
	defer outputs.Unlock()
	if o == nil {
		delete(outputs.m, key)
	} else {
		outputs.m[key] = o
	}
}

// send sends one line from a reactor. It tells whether it was taken.
func (o *output) send(r *reactor.Reactor, line []byte) bool {
	if o.sink != nil {
		return o.sink.Send(r, line[:len(line)-1])
	}
	if o.w != nil {
		return o.w.add(r.Index, line)
	}
	n := o.socks[r.Index]
	_, e := r.Sys.Send(n, line, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	if e == syscall.ECONNREFUSED { // of the line before: this one may go through
		_, e = r.Sys.Send(n, line, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	}
	if e == syscall.ENOTCONN || e == syscall.EDESTADDRREQ {
		if r.Sys.Connect(n, o.addr) == 0 {
			_, e = r.Sys.Send(n, line, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		}
	}
	return e == 0
}

// writer writes lines to a descriptor that might block: reactors gather theirs
// during a turn, a goroutine writes.
type writer struct {
	fd      int
	lines   bool // each is a message of its own: the descriptor is a socket of datagrams
	batches []batch

	mu      sync.Mutex
	pending []byte
	wake    chan struct{}
}

// batch is one reactor's lines of this turn.
type batch struct {
	b []byte
	_ [64]byte
}

// maxPending is how many bytes may wait for a descriptor that does not take
// them, before lines are dropped.
const maxPending = 4 << 20

func newWriter(w *stream.Worker, fd int) *writer {
	o := &writer{fd: fd, batches: make([]batch, len(w.Reactors)), wake: make(chan struct{}, 1)}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind != unix.SOCK_STREAM {
		o.lines = true
	}
	for _, r := range w.Reactors {
		r.Post(func() {
			r.OnTurn(func() { o.flush(r.Index) })
		})
	}
	go o.run()
	return o
}

func (o *writer) add(i int, line []byte) bool {
	b := &o.batches[i]
	if len(b.b)+len(line) > maxPending {
		return false
	}
	b.b = append(b.b, line...)
	return true
}

// flush hands a reactor's lines to the goroutine.
func (o *writer) flush(i int) {
	b := &o.batches[i]
	if len(b.b) == 0 {
		return
	}
	o.mu.Lock()
	if len(o.pending)+len(b.b) <= maxPending {
		o.pending = append(o.pending, b.b...)
	}
	o.mu.Unlock()
	b.b = b.b[:0]
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *writer) run() {
	f := os.NewFile(uintptr(o.fd), "log")
	var out []byte
	for range o.wake {
		o.mu.Lock()
		out, o.pending = o.pending, out[:0]
		o.mu.Unlock()
		if len(out) > 0 && !o.lines {
			f.Write(out)
		} else {
			for line := range bytes.Lines(out) {
				f.Write(line)
			}
		}
		if cap(out) > 1<<20 {
			out = nil
		}
	}
}
