package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// bound is the longest time that the tests of one change may take.
const bound = 10 * time.Minute

// run is one run over the lists.
type run struct {
	root, dir string // of the repository, and for scratch files
	verbose   bool
}

func main() {
	var r run
	only := flag.String("only", "", "try the changes with this in their `text` (file, reason or list; several: separated by commas)")
	jobs := flag.Int("jobs", 2, "changes tried at a time")
	check := flag.Bool("check", false, "only see that every change fits the code")
	flag.StringVar(&r.root, "root", ".", "the `folder` of the repository")
	flag.BoolVar(&r.verbose, "v", false, "show what the tests said")
	flag.Parse()
	ok, err := r.all(*only, *jobs, *check)
	if err != nil {
		fmt.Fprintln(os.Stderr, "forebay-mutants:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// all tries every wanted change. It tells whether at most one in ten survived.
func (r *run) all(only string, jobs int, check bool) (bool, error) {
	var err error
	if r.root, err = filepath.Abs(r.root); err != nil {
		return false, err
	}
	ms, err := readLists(filepath.Join(r.root, "scripts/mutants"))
	if err != nil {
		return false, err
	}
	ms = slices.DeleteFunc(ms, func(m mutant) bool { return !wanted(&m, only) })
	bad := 0
	for i := range ms {
		if _, err := r.changed(&ms[i]); err != nil {
			fmt.Printf("%s: %v\n", ms[i].at, err)
			bad++
		}
	}
	if bad > 0 {
		return false, fmt.Errorf("%d of %d changes cannot be made", bad, len(ms))
	}
	if check {
		fmt.Printf("%d changes fit the code\n", len(ms))
		return true, nil
	}
	if r.dir, err = os.MkdirTemp("", "forebay-mutants"); err != nil {
		return false, err
	}
	defer os.RemoveAll(r.dir)
	return r.try(ms, max(jobs, 1))
}

func wanted(m *mutant, only string) bool {
	if only == "" {
		return true
	}
	for w := range strings.SplitSeq(only, ",") {
		if strings.Contains(m.at+" "+m.file+" "+m.why, w) {
			return true
		}
	}
	return false
}

// changed gives the text of a mutant's file with the change.
func (r *run) changed(m *mutant) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.root, m.file))
	if err != nil {
		return "", err
	}
	return m.apply(string(text))
}

// try runs the tests of each change.
func (r *run) try(ms []mutant, jobs int) (bool, error) {
	var (
		mu       sync.Mutex
		survived []string
		failure  error
		wg       sync.WaitGroup
	)
	// What fails without a change says nothing about one.
	seen := map[string]bool{}
	for _, m := range ms {
		key := m.module() + " " + strings.Join(m.tests, " ")
		if seen[key] {
			continue
		}
		seen[key] = true
		if out, err := r.test(&m, ""); err != nil {
			return false, fmt.Errorf("%s: these tests fail without any change: %v\n%s", m.at, err, out)
		}
	}
	work := make(chan int)
	for range jobs {
		wg.Go(func() {
			for i := range work {
				m := &ms[i]
				began := time.Now()
				lives, out, err := r.mutate(m)
				word := "noticed"
				if lives {
					word = "SURVIVED"
				}
				mu.Lock()
				if err != nil && failure == nil {
					failure = fmt.Errorf("%s: %w", m.at, err)
				}
				if lives {
					survived = append(survived, m.at)
				}
				fmt.Printf("%-8s %4.0fs  %s  %s: %s\n", word, time.Since(began).Seconds(), m.at, m.file, m.why)
				if r.verbose || err != nil {
					fmt.Println(out)
				}
				mu.Unlock()
			}
		})
	}
	for i := range ms {
		work <- i
	}
	close(work)
	wg.Wait()
	if failure != nil {
		return false, failure
	}
	fmt.Printf("\n%d changes, %d survived\n", len(ms), len(survived))
	return len(survived)*10 <= len(ms), nil
}

// mutate makes a change and runs its tests. It tells whether they all passed.
func (r *run) mutate(m *mutant) (lives bool, out string, err error) {
	text, err := r.changed(m)
	if err != nil {
		return false, "", err
	}
	dir, err := os.MkdirTemp(r.dir, "")
	if err != nil {
		return false, "", err
	}
	file := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return false, "", err
	}
	over, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(r.root, m.file): file}})
	if err != nil {
		return false, "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, over, 0o600); err != nil {
		return false, "", err
	}
	out, err = r.test(m, overlay)
	if strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]") {
		return false, out, fmt.Errorf("the change does not compile")
	}
	return err == nil, out, nil
}

// test runs the tests of a change, in its module, with the overlay if there is one.
func (r *run) test(m *mutant, overlay string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	args := []string{"test", "-vet=off", "-failfast", "-timeout", "150s"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	env := os.Environ()
	module, tests := m.module(), m.tests
	if tests[0] == "e2e" {
		dir := filepath.Dir(overlay)
		if overlay == "" {
			dir = r.dir
		}
		for _, p := range [][2]string{{"forebay", "./proxy/cmd/forebay"}, {"dataplaneapi", "./dataplaneapi/cmd/dataplaneapi"}} {
			build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, p[0]), p[1])
			build.Dir = r.root
			if overlay != "" {
				build.Args = slices.Insert(build.Args, 2, "-overlay", overlay)
			}
			if out, err := build.CombinedOutput(); err != nil {
				return "[build failed]\n" + string(out), err
			}
		}
		env = append(env, "FOREBAY_E2E=1", "FOREBAY_BIN="+filepath.Join(dir, "forebay"), "DATAPLANEAPI_BIN="+filepath.Join(dir, "dataplaneapi"))
		module, tests = "proxy", append([]string{"-count=1", "./e2e"}, tests[1:]...)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, tests...)...)
	cmd.Dir, cmd.Env = filepath.Join(r.root, module), env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
