package conf

import (
	"fmt"
	"io/fs"
	"sort"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Sections is a set of kinds of sections.
type Sections uint8

// Kinds that keywords are registered for. A "listen" section takes the keywords
// of frontends and of backends.
const (
	Global Sections = 1 << iota
	Defaults
	Frontend
	Backend

	Proxies = Defaults | Frontend | Backend
)

// Keyword is a keyword of one or more sections.
type Keyword struct {
	// Name is one or more words: "balance", "timeout client", "option httplog".
	Name string
	In   Sections
	// No tells whether "no" may stand before it, Default the same for "default".
	No, Default bool
	// Min and Max bound the number of arguments after the name; Max -1: any.
	Min, Max int
	// InPlace tells of a keyword of the global section that its changes can be
	// followed while the process runs. Others need a new process.
	InPlace bool
	// Parse applies the line. A returned error is reported at the line.
	Parse func(*Ctx) error
}

// InPlace tells whether changes of a keyword of the global section can be followed
// while the process runs.
func InPlace(name string) bool {
	for _, k := range keywords[firstWord(name)] {
		if k.Name == name && k.In&Global != 0 {
			return k.InPlace
		}
	}
	return false
}

// BindOption is a word of a "bind" line. Parse gets the words from the option's
// own on and returns how many it took, itself included.
type BindOption struct {
	Name  string
	Args  int // how many arguments it takes, for -dK; Parse tells the truth
	Parse func(c *Ctx, b *stream.Bind, words []string) (int, error)
}

// ServerOption is a word of a "server", "default-server" or "server-template"
// line, see [BindOption]. Dynamic tells whether "add server" takes it too, Paren
// that the name is followed by an argument in parentheses.
type ServerOption struct {
	Name    string
	Args    int
	Dynamic bool
	Paren   bool
	Parse   func(c *Ctx, s *stream.ServerSettings, words []string) (int, error)
}

var (
	keywords      = map[string][]*Keyword{} // by first word
	bindOptions   = map[string]*BindOption{}
	serverOptions = map[string]*ServerOption{}
	sections      = map[string]*section{}
	finishers     []func(*Ctx)

	serverFinishers []func(*Ctx, *stream.Proxy, string, *stream.ServerSettings) error
)

// Register adds keywords. It panics on a name that is taken: a mistake of the
// program.
func Register(list ...Keyword) {
	for i := range list {
		k := &list[i]
		first := firstWord(k.Name)
		for _, o := range keywords[first] {
			if o.Name == k.Name && o.In&k.In != 0 {
				panic("conf: keyword registered twice: " + k.Name)
			}
		}
		keywords[first] = append(keywords[first], k)
		// longest name first, so that "option httplog" is found before "option"
		sort.SliceStable(keywords[first], func(a, b int) bool { return len(keywords[first][a].Name) > len(keywords[first][b].Name) })
	}
}

// RegisterBind adds options of "bind" lines.
func RegisterBind(list ...BindOption) {
	for i := range list {
		bindOptions[list[i].Name] = &list[i]
	}
}

// RegisterServer adds options of "server" lines.
func RegisterServer(list ...ServerOption) {
	for i := range list {
		serverOptions[list[i].Name] = &list[i]
	}
}

// RegisterServerFinish adds a step that completes the settings of each server
// when its line and all sections were parsed, before the steps of
// [RegisterFinish]; for a server added at run time, when its words were. Its
// error is reported at the line.
func RegisterServerFinish(f func(c *Ctx, p *stream.Proxy, name string, s *stream.ServerSettings) error) {
	serverFinishers = append(serverFinishers, f)
}

// RegisterFinish adds a step that runs when all sections were parsed: to resolve
// names and check what goes together. Steps run in order of registration of
// their packages; use c.Alert and c.Warn with the position kept from parsing.
func RegisterFinish(f func(*Ctx)) { finishers = append(finishers, f) }

// Ctx is what a parser sees.
type Ctx struct {
	*Loading
	Pos     config.Pos
	Section string   // kind of the section the line is in
	Args    []string // the arguments after the keyword's name
	Keyword string   // the keyword's name
	No      bool
	Default bool
	Proxy   *stream.Proxy // of proxy sections, nil in global
	// InDefaults tells that the line is in a defaults section.
	InDefaults bool
	// InACL tells that an expression is a criterion of a condition, Fetch is the name
	// of the fetch that is being compiled.
	InACL bool
	// In is what it stands in otherwise, as messages have it: "http-request
	// expression".
	In    string
	Fetch string
	// Server is the name of the server whose line it is.
	Server string
	// Dynamic tells that a server is added at run time.
	Dynamic bool

	base *stream.Proxy // the section's settings before its first line
}

// Loading is a configuration being loaded.
type Loading struct {
	Snap  *stream.Snapshot
	Files fs.FS
	Diags *config.Diagnostics
	// Threads is the number of reactors that the graph is for.
	Threads int
	// Descriptors are those of [Input].
	Descriptors map[int]int

	wanted int // nbthread as written, 0: nothing
	plan   plan
	paths  pathPolicy
	wishes map[*stream.Bind]*threadWish

	values  []any           // see Value
	private []*stream.Proxy // of sections that are no proxies, see Section.Begin

	cur       *reading   // the section that is parsed or finished, nil: none
	read      []*reading // all sections
	room      []reading  // for those that follow
	fresh     []*reading // proxies that are made anew
	of        []*reading // of each proxy
	takeover  *takeover  // nil: nothing is taken over
	sums      *recorder
	recurring [][2]int // diagnostics that each configuration gets
	owned     []owned
	stages    [finished]int // how many there were at the end of each stage
	whole     bool          // see Whole
	failed    bool          // what was taken over does not fit
	turns     int

	defs []*defaults
	last *defaults
	seen map[string]config.Pos // keywords that may stand only once
	host hosts
	todo []func()            // see Later
	env  *config.Environment // nil when there is none, as for commands
}

// Errorf makes an error for Parse to return.
func (c *Ctx) Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Later runs f when all sections were parsed. See [Loading.Refer] for what looks for
// a proxy: sections that do something else later are read anew each time.
func (l *Loading) Later(f func()) {
	l.Anew()
	l.todo = append(l.todo, f)
}

// Warn reports a warning at the current line.
func (c *Ctx) Warn(format string, args ...any) { c.Diags.Warn(c.Pos, format, args...) }

// Alert reports an error at a position.
func (l *Loading) Alert(pos config.Pos, format string, args ...any) {
	l.Diags.Alert(pos, format, args...)
}

// Descriptors are those of fd@ and sockpair@, as the configuration knows them.
var Descriptors = slot.New[*stream.Global, []int]()

// Descriptor gives what the configuration's descriptor n (fd@n) is in this
// process. Those that the process made itself are nobody's to name.
func (l *Loading) Descriptor(n int) (int, error) {
	if l.Descriptors == nil || n <= 2 {
		return n, nil
	}
	if fd, ok := l.Descriptors[n]; ok {
		if l.Snap != nil {
			l.Anew()
			d := Descriptors.Make(l.Snap.Global)
			*d = append(*d, n)
		}
		return fd, nil
	}
	return -1, fmt.Errorf("cannot use file descriptor '%d' : the process was not started with it", n)
}

// ReadFile reads a file that the configuration names, bounded to 64 MiB.
func (l *Loading) ReadFile(name string) ([]byte, error) { return ReadFile(l.Files, name) }
