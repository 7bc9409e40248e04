package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run of the benchmark.
type bench struct {
	length time.Duration // of one round
	rounds int
	detail bool
	// profile is a folder for what Forebay's processor did in each scenario; it runs
	// alone, and was built with the tag "profile".
	profile string
	dir     string
	origin  [2]netip.AddrPort // two servers, each a process of its own
	progs   [2]*program       // Forebay, HAProxy
	missed  int
	out     io.Writer // where the lines go
	table   bool
	rows    []string // of the table
}

func main() {
	if os.Getenv(originVariable) != "" {
		serveOrigin()
		return
	}
	var b bench
	only := flag.String("only", "", "run the scenarios with this in their `name` (several: separated by commas)")
	seconds := flag.Int("seconds", 3, "length of a round in `seconds`")
	list := flag.Bool("list", false, "list the scenarios")
	strict := flag.Bool("strict", false, "exit with 1 if a target is missed")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds for each program, of which the median counts")
	flag.BoolVar(&b.detail, "detail", false, "show user and system time, and every round")
	flag.BoolVar(&b.table, "table", false, "print a table for scripts/README.md, and the lines on stderr")
	flag.StringVar(&b.profile, "profile", "", "do not compare: write profiles of Forebay, built with -tags profile, to a `folder`")
	apply := flag.Bool("apply", false, "measure Forebay alone: what it takes to apply a configuration of many servers of which one has changed")
	backends := flag.Int("backends", 10000, "with -apply: how many backends of 10 servers")
	flag.Parse()
	if *apply {
		if err := b.apply(*backends, 10); err != nil {
			fatal("%v", err)
		}
		return
	}
	if *list {
		for _, s := range scenarios {
			fmt.Printf("%-17s %s\n", s.name, s.what)
		}
		return
	}
	if *seconds < 1 || b.rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	b.length = time.Duration(*seconds) * time.Second
	if b.out = os.Stdout; b.table {
		b.out = os.Stderr
	}
	if err := b.prepare(); err != nil {
		fatal("%v", err)
	}
	defer os.RemoveAll(b.dir)
	if b.profile == "" {
		b.header()
	}
	ran := false
	for i := range scenarios {
		if s := &scenarios[i]; wanted(s.name, *only) {
			ran = true
			if b.profile != "" {
				b.profiled(s)
			} else {
				b.scenario(s)
			}
		}
	}
	if !ran {
		fatal("no scenario is called %q, see -list", *only)
	}
	if b.table {
		b.printTable()
	}
	if b.missed > 0 {
		fmt.Fprintf(b.out, "\n%d missed.\n", b.missed)
		if *strict {
			os.RemoveAll(b.dir)
			os.Exit(1)
		}
	}
}

func wanted(name, only string) bool {
	return slices.ContainsFunc(strings.Split(only, ","), func(part string) bool { return strings.Contains(name, part) })
}

func (b *bench) prepare() (err error) {
	if b.progs[0], err = find("forebay", "FOREBAY", "bin/forebay", "forebay"); err != nil {
		return err
	}
	if b.progs[1], err = find("haproxy", "HAPROXY", "haproxy", "/usr/sbin/haproxy"); err != nil {
		return err
	}
	b.progs[1].number = 1
	for _, tool := range []string{"wrk", "h2load"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing: install it (make deps)", tool)
		}
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	lim.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	if lim.Max < 20000 {
		fmt.Fprintf(os.Stderr, "warning: only %d descriptors are allowed, the bursts need 20000\n", lim.Max)
	}
	if b.dir, err = os.MkdirTemp("", "forebay-bench"); err != nil {
		return err
	}
	if err := certificates(b.dir); err != nil {
		return err
	}
	for i := range b.origin {
		if b.origin[i], err = startOrigin(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) header() {
	var load float64
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(data), &load)
	}
	if load > 0.3*float64(runtime.NumCPU()) {
		fmt.Fprintf(os.Stderr, "warning: the load average is %.2f: something else is running, and the figures will be off\n", load)
	}
	for _, p := range b.progs {
		fmt.Fprintf(b.out, "%-8s %s (%s)\n", p.name, p.version, p.path)
	}
	fmt.Fprintf(b.out, "%s; %d rounds of %v, medians, spread of the rounds' ratios\n\n", machine(), b.rounds, b.length)
	fmt.Fprintf(b.out, "%-17s %10s %10s %7s %-11s %7s %-7s %10s %10s %7s\n", "scenario", "forebay", "haproxy", "ratio", "spread", "target", "", "req/s", "req/s", "ratio")
}

// machine tells where this runs.
func machine() string {
	var u unix.Utsname
	unix.Uname(&u)
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return fmt.Sprintf("%d × %s, Linux %s, a system call %d ns", runtime.NumCPU(), processor(), release, systemCall().Nanoseconds())
}

// row takes down a line of the table.
func (b *bench) row(s *scenario, v [2]float64, spread string, missed bool) {
	number := func(v float64) string {
		text := strconv.FormatFloat(v, 'f', s.kind.digits(), 64)
		if v >= 100 { // as it is read
			text = strconv.FormatFloat(v, 'f', 0, 64)
		}
		for n := len(text) - 3; n > 0 && v >= 1000; n -= 3 {
			text = text[:n] + "," + text[n:]
		}
		return text
	}
	ratio := fmt.Sprintf("%.2f", v[0]/v[1])
	if missed {
		ratio = "**" + ratio + "**"
	}
	target := fmt.Sprintf("%.2f", s.target)
	if s.kind == bytesPerClient {
		target = number(s.target) + " B"
	}
	if s.once {
		spread = ""
	}
	b.rows = append(b.rows, fmt.Sprintf("| %s | %s %s | %s %s | %s | %s | %s |", s.what, number(v[0]), s.kind.unit(), number(v[1]), s.kind.unit(), ratio, spread, target))
}

// printTable prints what stands between the marks in scripts/README.md.
func (b *bench) printTable() {
	haproxy := strings.Join(strings.Fields(b.progs[1].version)[:3], " ")
	fmt.Printf("%s; %s; medians of %d rounds of %.0f s.\n\n", machine(), strings.Replace(haproxy, " version", "", 1), b.rounds, b.length.Seconds())
	fmt.Println("| scenario | Forebay | HAProxy | ratio | spread | target |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, r := range b.rows {
		fmt.Println(r)
	}
}

// processor is the name that the kernel has for the machine's.
func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// systemCall is what the cheapest one takes. Ratios depend on it: both programs
// make the same calls, so that dear ones bring them together.
func systemCall() time.Duration {
	const n = 20000
	start := time.Now()
	for range n {
		unix.Getppid()
	}
	return time.Since(start) / n
}

// spread is the least and the greatest ratio of two rounds that stood side by side.
func spread(got [2][]sample) string {
	lo, hi := math.Inf(1), 0.0
	for i := range got[0] {
		r := got[0][i].value / got[1][i].value
		lo, hi = min(lo, r), max(hi, r)
	}
	return fmt.Sprintf("%.2f-%.2f", lo, hi)
}

// profiled runs a scenario for the sake of Forebay's profile.
func (b *bench) profiled(s *scenario) {
	if s.once || s.starts != nil || s.kind != cpuPerRequest {
		return
	}
	file := filepath.Join(b.profile, s.name+".pprof")
	os.Setenv("FOREBAY_CPUPROFILE", file)
	r, err := b.progs[0].start(b.dir, s.threads, b.origin, s.extra(b))
	if err == nil {
		_, err = s.run(b, r)
		r.cmd.Process.Signal(unix.SIGXCPU)
		r.cmd.Wait()
	}
	if err != nil {
		b.broken(s, err)
		return
	}
	fmt.Println(file)
}

// scenario measures both programs in turn and prints a line.
func (b *bench) scenario(s *scenario) {
	var run [2]*running
	for i, p := range b.progs {
		if s.starts != nil {
			break
		}
		var err error
		if run[i], err = p.start(b.dir, s.threads, b.origin, s.extra(b)); err != nil {
			b.broken(s, err)
			return
		}
		defer run[i].stop()
	}
	rounds := b.rounds
	switch {
	case s.once:
		rounds = 1
	case s.starts != nil: // nothing gets warm
	default:
		warm := *b
		warm.length = time.Second
		for _, r := range run {
			if _, err := s.run(&warm, r); err != nil {
				b.broken(s, fmt.Errorf("%s: %w", r.path, err))
				return
			}
		}
	}
	var got [2][]sample
	for n := range rounds {
		for k := range 2 {
			i := (n + k) % 2 // who comes first alternates
			var v sample
			var err error
			if s.starts != nil {
				v, err = s.starts(b, b.progs[i])
			} else {
				v, err = s.run(b, run[i])
			}
			if err != nil {
				b.broken(s, fmt.Errorf("%s: %w", b.progs[i].path, err))
				return
			}
			got[i] = append(got[i], v)
		}
	}
	b.line(s, got)
}

func (b *bench) broken(s *scenario, err error) {
	b.missed++
	fmt.Fprintf(b.out, "%-17s failed: %v\n", s.name, err)
}

func median(list []sample, f func(sample) float64) float64 {
	v := make([]float64, len(list))
	for i, s := range list {
		v[i] = f(s)
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func (b *bench) line(s *scenario, got [2][]sample) {
	var v, rate [2]float64
	for i := range got {
		v[i] = median(got[i], func(s sample) float64 { return s.value })
		rate[i] = median(got[i], func(s sample) float64 { return s.perSecond })
	}
	ratio := v[0] / v[1]
	judged, format := ratio, "%10.2f %10.2f %7.2f %-11s %7.2f %-7s"
	if s.kind == bytesPerClient {
		judged, format = v[0], "%10.0f %10.0f %7.2f %-11s %7.0f %-7s"
	}
	verdict := "ok"
	if !(judged <= s.target) {
		verdict = "missed"
		b.missed++
	}
	fmt.Fprintf(b.out, "%-17s "+format, s.name, v[0], v[1], ratio, spread(got), s.target, verdict)
	if rate[0] > 0 {
		fmt.Fprintf(b.out, " %10.0f %10.0f %7.2f", rate[0], rate[1], rate[0]/rate[1])
	}
	fmt.Fprintf(b.out, "  %s: %s\n", s.kind.unit(), s.what)
	b.row(s, v, spread(got), verdict != "ok")
	if !b.detail {
		return
	}
	for i, p := range b.progs {
		fmt.Fprintf(b.out, "    %-8s", p.name)
		if s.kind == cpuPerRequest {
			fmt.Fprintf(b.out, " user %.2f, system %.2f;", median(got[i], func(s sample) float64 { return s.user }), median(got[i], func(s sample) float64 { return s.system }))
		}
		for _, r := range got[i] {
			fmt.Fprintf(b.out, " %.2f", r.value)
		}
		fmt.Fprintln(b.out)
	}
}
