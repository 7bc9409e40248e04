package stream

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain has every exchange of this package's tests watched: what happens in a
// phase is what its row says.
func TestMain(m *testing.M) {
	watchPhases("http", httpLife)
	watchPhases("tcp", tcpLife)
	code := m.Run()
	for _, what := range phaseFaults.list {
		fmt.Fprintln(os.Stderr, "phases:", what)
		code = 1
	}
	os.Exit(code)
}

// phaseFaults is what happened and is not in the table.
var phaseFaults struct {
	sync.Mutex
	list []string
}

func phaseFault(format string, args ...any) {
	phaseFaults.Lock()
	defer phaseFaults.Unlock()
	if s := fmt.Sprintf(format, args...); !slices.Contains(phaseFaults.list, s) {
		phaseFaults.list = append(phaseFaults.list, s)
	}
}

// CountedIn, while it is set, is told what the phases of one exchange at a time
// count.
var CountedIn func(mode, phase string, counts []string)

func watchPhases(mode string, l *life) {
	for i := range l.phases {
		p := &l.phases[i]
		run := p.run
		p.run = func(st *Stream) step {
			before, answering, cause := st.Time, st.answering(), st.Term.Cause
			var counted map[string]int64
			if CountedIn != nil {
				counted = countersOf(st)
			}
			next := run(st)
			if mode == "http" && st.answering() && !answering && p.answers == "" {
				phaseFault("%s %s: an answer, which is nobody's", mode, p.name)
			}
			for _, c := range setTimes(before, st.Time) {
				if c != "" && !has(p.times, c) {
					phaseFault("%s %s: sets %s", mode, p.name, c)
				}
			}
			if c := st.Term.Cause; cause == 0 && (c == 'c' || c == 's') && p.timeouts == "" {
				phaseFault("%s %s: a timeout runs out (%c%c)", mode, p.name, c, st.Term.State)
			}
			if counted != nil {
				CountedIn(mode, p.name, grown(counted, countersOf(st)))
			}
			return next
		}
	}
}

// setTimes names the times that differ. It does not allocate.
func setTimes(a, b Times) (names [8]string) {
	for i, x := range [8]struct {
		name string
		a, b int64
	}{
		{"Accept", a.Accept, b.Accept}, {"Begin", a.Begin, b.Begin}, {"Request", a.Request, b.Request}, {"Queued", a.Queued, b.Queued},
		{"GaveUp", a.GaveUp, b.GaveUp}, {"Connected", a.Connected, b.Connected}, {"Response", a.Response, b.Response}, {"End", a.End, b.End},
	} {
		if x.a != x.b {
			names[i] = x.name
		}
	}
	return names
}

// has tells whether a list of the table has a word. It does not allocate.
func has(list, word string) bool {
	for more := true; more; {
		var first string
		if first, list, more = strings.Cut(list, ", "); first == word {
			return true
		}
	}
	return false
}

// countersOf gives the counters of all that have to do with an exchange, by whose
// they are and the name of their field.
func countersOf(st *Stream) map[string]int64 {
	m := make(map[string]int64)
	i := st.R.Index
	add := func(whose string, counters any) {
		v := reflect.ValueOf(counters).Elem()
		for f := range v.NumField() {
			m[whose+" "+v.Type().Field(f).Name] = sumOf(v.Field(f))
		}
	}
	add("reactor", &st.W.Counters[i])
	for _, p := range st.Snap.Proxies {
		if p.FE != nil {
			add("frontend", &p.FE.Counters[i])
		}
		if p.BE != nil {
			add("backend", &p.BE.Counters[i])
			for _, s := range p.BE.Servers() {
				add("server "+s.Name, &s.Counters[i])
			}
		}
	}
	return m
}

// sumOf adds up the integers in v.
func sumOf(v reflect.Value) (n int64) {
	switch v.Kind() {
	case reflect.Int64:
		return v.Int()
	case reflect.Struct:
		for i := range v.NumField() {
			n += sumOf(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			n += sumOf(v.Index(i))
		}
	}
	return n
}

// grown names the fields that have grown.
func grown(a, b map[string]int64) (names []string) {
	for k, n := range b {
		if name := k[strings.LastIndexByte(k, ' ')+1:]; n > a[k] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// PhaseCounts gives what the table says that a phase counts.
func PhaseCounts(mode, name string) []string {
	l := httpLife
	if mode == "tcp" {
		l = tcpLife
	}
	for _, p := range l.phases {
		if p.name == name {
			return strings.Split(p.counts, ", ")
		}
	}
	return nil
}

// The chart in ARCHITECTURE.md is the table of phases, of both modes.
func TestChartOfPhases(t *testing.T) {
	text, err := os.ReadFile("../../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		name string
		life *life
	}{{"http", httpLife}, {"tcp", tcpLife}} {
		rows := chart(string(text), "mode "+m.name)
		var names []string
		for i, p := range m.life.phases {
			names = append(names, p.name)
			if i >= len(rows) {
				continue
			}
			want := []string{p.name, p.answers, p.counts, p.times, p.timeouts}
			row := rows[i]
			got := []string{row[0], row[2], row[3], row[4], row[5]}
			if !slices.Equal(got, want) {
				t.Errorf("mode %s: the chart has\n%q, the code\n%q", m.name, got, want)
			}
			if row[1] == "" {
				t.Errorf("mode %s: the chart does not say what %s is", m.name, p.name)
			}
		}
		if len(rows) != len(names) {
			t.Errorf("mode %s: the chart has %d phases, the code %q", m.name, len(rows), names)
		}
		if m.life.phases[m.life.queue].name != "queue" || m.life.phases[m.life.release].name != "release" {
			t.Errorf("mode %s: another attempt begins at %d, an exchange that is over goes to %d", m.name, m.life.queue, m.life.release)
		}
	}
}

// chart gives the cells of the table whose head begins with a word.
func chart(text, head string) (rows [][]string) {
	_, rest, _ := strings.Cut(text, "| "+head+" |")
	for _, line := range strings.Split(rest, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "|-") {
			continue
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			c = strings.TrimSpace(c)
			if c == "–" {
				c = ""
			}
			cells = append(cells, c)
		}
		rows = append(rows, cells)
	}
	return rows
}
