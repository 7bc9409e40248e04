package conf

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Bounds of threads, as HAProxy on 64-bit machines.
const (
	maxThreads  = 1024
	maxGroups   = 32
	groupSize   = 64
	maxCPU      = 1023
	namedMaxCPU = 63 // in HAProxy's message
)

// span is a range of numbers, both ends included.
type span struct{ low, high int }

// cpuMap is one "cpu-map" line: bit by bit, of groups and threads in them.
type cpuMap struct {
	auto            bool
	groups, threads []int
	cpus            []int
}

// plan is what the global section says of threads, groups and processors.
type plan struct {
	groups int // thread-groups, 0: not said
	// ranges are the threads of groups ("thread-group").
	ranges map[int][]span
	maps   []cpuMap
	// reset, only and drop are "cpu-set".
	reset      bool
	only, drop []int
	// shards is tune.listener.default-shards: "", "by-process" and so on.
	shards string
	group  []int // of each thread, from 1 on, once arranged
}

func init() {
	Register(
		Keyword{Name: "nbthread", In: Global, Max: 1, Parse: nbthread},
		Keyword{Name: "nbproc", In: Global, Max: -1, Parse: func(*Ctx) error {
			return say("nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.")
		}},
		Keyword{Name: "thread-hard-limit", In: Global, Max: 1, Parse: func(c *Ctx) error {
			n, err := c.Integer(1, maxThreads, fmt.Sprintf("a number of threads from 1 to %d.", maxThreads))
			if err == nil && c.wanted > n {
				c.Warn("nbthread forced to a higher value (%d) than the configured thread-hard-limit (%d), enforcing the limit.", c.wanted, n)
			}
			return err
		}},
		Keyword{Name: "thread-groups", In: Global, Max: 1, Parse: threadGroups},
		Keyword{Name: "thread-group", In: Global, Max: -1, Parse: threadGroup},
		Keyword{Name: "cpu-map", In: Global, Max: -1, Parse: parseCPUMap},
		Keyword{Name: "cpu-set", In: Global, Max: -1, Parse: cpuSet},
		Keyword{Name: "cpu-policy", In: Global, Max: -1, Parse: cpuPolicy},
		Keyword{Name: "numa-cpu-mapping", In: Global, No: true, Parse: func(c *Ctx) error {
			if !c.No {
				return NotYet("keyword", "numa-cpu-mapping")
			}
			return nil // that is how it is
		}},
		Keyword{Name: "tune.listener.default-shards", In: Global, Max: 1, Parse: func(c *Ctx) error {
			switch c.Arg(0) {
			case "by-process", "by-group", "by-thread":
				c.plan.shards = c.Arg(0)
				return nil
			}
			return Predicatef("expects either 'by-process', 'by-group', or 'by-thread' but got '%s'.", c.Arg(0))
		}},
	)
	RegisterBind(
		BindOption{Name: "thread", Args: 1, Parse: bindThread},
		BindOption{Name: "shards", Args: 1, Parse: bindShards},
		BindOption{Name: "process", Args: 1, Parse: func(_ *Ctx, _ *stream.Bind, words []string) (int, error) {
			v, err := value(words)
			if err != nil {
				return 0, err
			}
			return 0, say("'process %s' on 'bind' lines is not supported anymore, please use 'thread' instead.", v)
		}},
	)
}

// configuredThreads looks for the number of threads ahead of everything else,
// because what is parsed before may need to know. wanted is what "nbthread" says,
// whatever bounds it.
func (l *Loading) configuredThreads(blocks []*config.Block) (n, wanted int) {
	limit := maxThreads
	for _, b := range blocks {
		for _, st := range b.Statements {
			if b.Kind != "global" || len(st.Args) < 2 {
				continue
			}
			v, err := strconv.Atoi(st.Args[1])
			switch st.Args[0] {
			case "nbthread":
				if err == nil && v > 0 && v <= maxThreads {
					wanted = v
				}
			case "thread-hard-limit":
				if err == nil && v > 0 {
					limit = v
				}
			case "cpu-set": // mistakes are reported when its turn comes
				l.plan.cpuSet(st.Args[1:])
			}
		}
	}
	n = wanted
	if n == 0 {
		n = min(runtime.NumCPU(), groupSize)
		if cpus := l.processors(); len(cpus) > 0 {
			n = min(len(cpus), groupSize)
		}
	}
	return min(n, limit), wanted
}

func nbthread(c *Ctx) error {
	n, err := strconv.Atoi(c.Arg(0))
	switch {
	case err != nil:
		return Predicatef("passed a missing or unparsable integer value in '%s'", c.Arg(0))
	case n < 1 || n > maxThreads:
		return Predicatef("value must be between 1 and %d (was %d)", maxThreads, n)
	}
	return nil // configuredThreads has it
}

func threadGroups(c *Ctx) error {
	n, err := strconv.Atoi(c.Arg(0))
	switch {
	case err != nil:
		return Predicatef("passed a missing or unparsable integer value in '%s'", c.Arg(0))
	case n < 1 || n > maxGroups:
		return Predicatef("value must be between 1 and %d (was %d)", maxGroups, n)
	}
	c.plan.groups = n
	return nil
}

func threadGroup(c *Ctx) error {
	g, err := strconv.Atoi(c.Arg(0))
	if err != nil || g < 1 || g > maxGroups {
		return Causef("group number must be between 1 and %d (was '%s')", maxGroups, c.Arg(0))
	}
	var list []span
	for _, word := range c.Args[1:] {
		low, high, isRange := strings.Cut(word, "-")
		if !isRange {
			high = low
		}
		a, e1 := strconv.Atoi(low)
		b, e2 := strconv.Atoi(high)
		if e1 != nil || e2 != nil || a < 1 || b < a || b > maxThreads {
			return Causef("'%s' is not a range of threads from 1 to %d", word, maxThreads)
		}
		list = append(list, span{a, b})
	}
	if c.plan.ranges == nil {
		c.plan.ranges = make(map[int][]span)
	}
	c.plan.ranges[g] = list
	return nil
}

// numbers reads "all", "odd", "even", "N", "N-" or "N-M", from 1 to most.
func numbers(text string, most int) ([]int, bool) {
	low, high, step := 1, most, 1
	switch text {
	case "all":
	case "odd":
		step = 2
	case "even":
		low, step = 2, 2
	default:
		a, b, isRange := strings.Cut(text, "-")
		n, err := strconv.Atoi(a)
		if err != nil || n < 1 || n > most {
			return nil, false
		}
		low = n
		switch {
		case !isRange:
			high = n
		case b != "":
			m, err := strconv.Atoi(b)
			if err != nil || m < 1 || m > most {
				return nil, false
			}
			low, high = min(n, m), max(n, m)
		}
	}
	var list []int
	for i := low; i <= high; i += step {
		list = append(list, i)
	}
	return list, true
}

// processors reads sets of CPUs: "0-3", "0,2", several words.
func processors(words []string) ([]int, error) {
	has := make(map[int]bool)
	for _, word := range words {
		for _, text := range strings.Split(word, ",") {
			a, b, isRange := strings.Cut(text, "-")
			low, err := strconv.Atoi(a)
			high := low
			switch {
			case err == nil && isRange && b == "":
				high = maxCPU
			case err == nil && isRange:
				high, err = strconv.Atoi(b)
			}
			if err != nil || low < 0 || high < 0 || max(low, high) > maxCPU {
				return nil, say("'%s' is not a CPU range.", text)
			}
			for i := min(low, high); i <= max(low, high); i++ {
				has[i] = true
			}
		}
	}
	list := make([]int, 0, len(has))
	for i := range has {
		list = append(list, i)
	}
	slices.Sort(list)
	return list, nil
}

func parseCPUMap(c *Ctx) error {
	if len(c.Args) < 2 {
		return say("cpu-map expects a thread group number  ('all', 'odd', 'even', a number from 1 to %d or a range),  followed by a list of CPU ranges with numbers from 0 to %d.", groupSize, namedMaxCPU)
	}
	var m cpuMap
	var where string
	where, m.auto = strings.CutPrefix(c.Args[0], "auto:")
	group, thread, both := strings.Cut(where, "/")
	if !both {
		thread = "all"
	}
	var ok bool
	for _, x := range []struct {
		text string
		into *[]int
	}{{group, &m.groups}, {thread, &m.threads}} {
		if *x.into, ok = numbers(x.text, groupSize); !ok {
			return say("cpu-map : '%s' is not a valid number/range. It supports numbers from 1 to %d.", x.text, groupSize)
		}
	}
	var err error
	if m.cpus, err = processors(c.Args[1:]); err != nil {
		return say("cpu-map : %w", err)
	}
	if m.auto {
		size := len(m.threads)
		switch {
		case both && len(m.groups) > 1 && len(m.threads) > 1:
			return say("cpu-map : 'auto:' takes one range, of groups or of threads, not both.")
		case !both || len(m.groups) > 1:
			size = len(m.groups)
			if !both {
				m.threads = m.threads[:groupSize]
			}
		}
		if last := c.Args[len(c.Args)-1]; strings.HasSuffix(last, "-") { // as many as needed
			m.cpus = m.cpus[:min(len(m.cpus), size)]
		}
		if size != len(m.cpus) {
			return say("cpu-map : thread range and CPU sets must have the same size to be automatically bound.")
		}
	}
	c.plan.maps = append(c.plan.maps, m)
	return nil
}

func cpuSet(c *Ctx) error {
	return (&plan{}).cpuSet(c.Args) // configuredThreads has it
}

func (p *plan) cpuSet(args []string) error {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "reset" {
			p.reset = true
			continue
		}
		verb, what, _ := strings.Cut(word, "-")
		if verb != "only" && verb != "drop" || !slices.Contains([]string{"cpu", "node", "cluster", "core", "thread"}, what) {
			return Predicatef("passed an unknown directive '%s'.", word)
		}
		if what != "cpu" {
			return NotYet("option", "cpu-set "+word)
		}
		if len(args) == 0 {
			return say("'cpu-set %s' expects a set of CPUs.", word)
		}
		set, err := processors(args[:1])
		if err != nil {
			return say("'cpu-set %s' : %w", word, err)
		}
		args = args[1:]
		if verb == "drop" {
			p.drop = append(p.drop, set...)
		} else if p.only == nil {
			p.only = set
		} else {
			p.only = slices.DeleteFunc(p.only, func(n int) bool { return !slices.Contains(set, n) })
		}
	}
	return nil
}

// processors are the CPUs that "cpu-set" leaves, nil if it says nothing.
func (l *Loading) processors() []int {
	p := &l.plan
	if !p.reset && p.only == nil && p.drop == nil {
		return nil
	}
	var now unix.CPUSet
	if unix.SchedGetaffinity(0, &now) != nil {
		return nil
	}
	var online []int
	if p.reset {
		text, err := l.ReadFile("/sys/devices/system/cpu/online")
		if err != nil {
			l.Alert(config.Pos{}, "'cpu-set reset' : cannot find out which CPUs there are: %v", err)
		}
		online, _ = processors([]string{strings.TrimSpace(string(text))})
	}
	list := []int{}
	for i := range maxCPU + 1 {
		if (now.IsSet(i) || slices.Contains(online, i)) && (p.only == nil || slices.Contains(p.only, i)) && !slices.Contains(p.drop, i) {
			list = append(list, i)
		}
	}
	return list
}

// policies of "cpu-policy", as HAProxy lists them.
const policies = "'none' (use all available CPUs), 'performance' (make one thread group per perf. core cluster), 'group-by-ccx' (make one thread group per CCX), 'group-by-2-ccx' (make one thread group per 2 CCX), 'group-by-3-ccx' (make one thread group per 3 CCX), 'group-by-4-ccx' (make one thread group per 4 CCX), 'group-by-cluster' (make one thread group per core cluster), 'group-by-2-clusters' (make one thread group per 2 core clusters), 'group-by-3-clusters' (make one thread group per 3 core clusters), 'group-by-4-clusters' (make one thread group per 4 core clusters), 'efficiency' (make one thread group per eff. core cluster), 'resource' (make one thread group from the smallest cluster), and 'first-usable-node' (use only first usable node if nbthreads not set)."

// cpuPolicy takes "none", which is what is done: groups are no matter of caches
// here, where threads share next to nothing.
func cpuPolicy(c *Ctx) error {
	name := c.Arg(0)
	switch {
	case name == "none" && len(c.Args) == 1:
		return nil
	case name == "none":
		return NotYet("option", "cpu-policy none "+c.Args[1])
	case name != "" && strings.Contains(policies, "'"+name+"' ("):
		return NotYet("option", "cpu-policy "+name)
	}
	return Predicatef("passed an unknown CPU policy '%s'. Supported values are: and %s", name, policies)
}

// Affinity is where the process runs.
type Affinity struct {
	Process []int   // "cpu-set", nil: all that it was started on
	Threads [][]int // "cpu-map": of each thread, nil where it may run on all
}

// CPUs gives it.
var CPUs = slot.New[*stream.Global, Affinity]()

// arrange gives each thread its group and its CPUs.
func (l *Loading) arrange() {
	free := l.assignGroups()
	if !l.fillGroups(free) {
		return
	}
	cpus := CPUs.Make(l.Snap.Global)
	if cpus.Process = l.processors(); cpus.Process != nil && len(cpus.Process) == 0 {
		l.Alert(config.Pos{}, "'cpu-set' leaves no CPU to run on.")
	}
	if len(l.plan.maps) > 0 {
		cpus.Threads = l.plan.mapThreads()
	}
}

// groupCount is the number of groups, chosen if none was said.
func (l *Loading) groupCount() int {
	return cmp.Or(l.plan.groups, (l.Threads+groupSize-1)/groupSize)
}

// assignGroups gives the threads that "thread-group" names to their groups, and
// tells how many groups there are that it does not mention.
func (l *Loading) assignGroups() (free int) {
	p := &l.plan
	p.group = make([]int, l.Threads)
	for g := 1; g <= l.groupCount(); g++ {
		if _, said := p.ranges[g]; !said {
			free++
		}
		for _, r := range p.ranges[g] {
			for t := r.low; t <= min(r.high, l.Threads); t++ {
				p.group[t-1] = g
			}
		}
	}
	return free
}

// fillGroups spreads the threads that are left over the free groups, in order and
// evenly. It complains if they do not fit.
func (l *Loading) fillGroups(free int) bool {
	p := &l.plan
	left := 0
	for _, g := range p.group {
		if g == 0 {
			left++
		}
	}
	if left > 0 && free == 0 {
		l.Alert(config.Pos{}, "Remaining unassigned threads found (%d) because all groups are in use. Please increase 'thread-groups', reduce 'nbthreads' or remove or extend 'thread-group' enumerations.", left)
		return false
	}
	if left > free*groupSize {
		l.Alert(config.Pos{}, "Too many remaining unassigned threads (%d) for thread groups (%d). Please increase thread-groups or make sure to keep thread numbers contiguous", left, free)
		return false
	}
	g, room, groups := 0, 0, l.groupCount()
	for t := range p.group {
		if p.group[t] != 0 {
			continue
		}
		for room == 0 { // the next group takes its fair share of what is left
			g++
			if _, said := p.ranges[g]; !said && g <= groups {
				room = (left + free - 1) / free
				free--
			}
		}
		p.group[t] = g
		room--
		left--
	}
	return true
}

// mapThreads gives the CPUs of each thread as "cpu-map" says.
func (p *plan) mapThreads() [][]int {
	out := make([][]int, len(p.group))
	number := make([]int, maxGroups+1)
	for t, g := range p.group {
		number[g]++
		for _, m := range p.maps {
			i, j := slices.Index(m.groups, g), slices.Index(m.threads, number[g])
			switch {
			case i < 0 || j < 0:
			case !m.auto:
				out[t] = m.cpus
			case len(m.groups) > 1:
				out[t] = m.cpus[i : i+1]
			case j < len(m.cpus):
				out[t] = m.cpus[j : j+1]
			}
		}
	}
	return out
}

// threadSet is one part of "thread" on a bind line: of a group, or of all.
type threadSet struct {
	group   int // 0: of all
	threads []int
}

// threadWish is what a bind line says, until groups are known.
type threadWish struct {
	sets   []threadSet
	shards string
}

// wish gives what b says of threads.
func (c *Ctx) wish(b *stream.Bind) *threadWish {
	if c.wishes == nil {
		c.wishes = make(map[*stream.Bind]*threadWish)
	}
	if c.wishes[b] == nil {
		c.wishes[b] = new(threadWish)
	}
	return c.wishes[b]
}

func bindThread(c *Ctx, b *stream.Bind, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	w := c.wish(b)
	for _, part := range strings.Split(v, ",") {
		set, most := threadSet{}, maxThreads
		text := part
		if g, rest, ok := strings.Cut(part, "/"); ok {
			n, err := strconv.Atoi(g)
			if err != nil || n < 1 || n > maxGroups {
				return 0, say("invalid thread group number '%s', permitted range is 1..%d in '%s'.", g, maxGroups, part)
			}
			set.group, most, text = n, groupSize, rest
		}
		if first, last, isRange := strings.Cut(text, "-"); isRange { // both ends can be left out
			if first == "" {
				first = "1"
			}
			if last == "" {
				last = strconv.Itoa(most)
			}
			if n, err := strconv.Atoi(last); err != nil || n < 1 || n > most {
				return 0, say("invalid last thread number '%s', permitted range is 1..%d.", last, most)
			}
			text = first + "-" + last
		}
		var ok bool
		if set.threads, ok = numbers(text, most); !ok {
			first, _, _ := strings.Cut(text, "-")
			return 0, say("invalid first thread number '%s', permitted range is 1..%d, or 'all', 'odd', 'even'.", first, most)
		}
		if len(w.sets) > 0 && (w.sets[0].group == 0) != (set.group == 0) {
			return 0, Causef("numbers of threads in groups cannot be mixed with absolute ones in '%s'.", v)
		}
		w.sets = append(w.sets, set)
	}
	return 2, nil
}

func bindShards(c *Ctx, b *stream.Bind, words []string) (int, error) {
	v, err := value(words)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.Atoi(v); v != "by-thread" && v != "by-group" && (err != nil || n < 1 || n > maxThreads) {
		return 0, Causef("invalid value %d, allowed range is 1..%d or 'by-thread'", n, maxThreads)
	}
	c.wish(b).shards = v
	return 2, nil
}

// assign turns what a bind line says of threads into reactors and sockets.
func (l *Loading) assign(b *stream.Bind) error {
	w := l.wishes[b]
	if w == nil {
		w = &threadWish{}
	}
	if len(w.sets) > 0 {
		number := make([]int, maxGroups+1)
		for t, g := range l.plan.group {
			number[g]++
			for _, s := range w.sets {
				if s.group == 0 && slices.Contains(s.threads, t+1) || s.group == g && slices.Contains(s.threads, number[g]) {
					b.Threads = append(b.Threads, t)
					break
				}
			}
		}
		if len(b.Threads) == 0 {
			return say("'thread' : none of the %d threads in %d groups is among those", l.Threads, l.plan.group[len(l.plan.group)-1])
		}
		if len(b.Threads) == l.Threads {
			b.Threads = nil
		}
	}
	shards := w.shards
	if shards == "" {
		shards = l.plan.shards
	}
	switch shards {
	case "", "by-thread":
	case "by-process":
		b.Shards = 1
	case "by-group":
		seen := make(map[int]bool)
		for t, g := range l.plan.group {
			if b.Threads == nil || slices.Contains(b.Threads, t) {
				seen[g] = true
			}
		}
		b.Shards = len(seen)
	default:
		b.Shards, _ = strconv.Atoi(shards)
	}
	return nil
}

// assignAll assigns the binds of all frontends and of the Runtime socket.
func (l *Loading) assignAll() {
	if l.plan.group == nil || slices.Contains(l.plan.group, 0) {
		return // said already
	}
	var all []*stream.Bind
	for p := range l.Fresh() {
		all = append(all, p.Binds...)
	}
	if s := Runtime.Of(l.Snap.Global); s != nil {
		all = append(all, s.Binds...)
	}
	for _, b := range all {
		if err := l.assign(b); err != nil {
			l.Alert(b.Pos, "'bind' : %s.", err)
		}
	}
}
