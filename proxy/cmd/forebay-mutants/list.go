package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// mutant is one small change, and the tests that ought to notice it.
type mutant struct {
	at    string // list:line, where it was read
	file  string // relative to the root of the repository
	why   string
	hunk  []string // lines with their mark ' ', '-' or '+'
	tests []string // arguments of go test
}

// readLists reads all lists of a folder.
func readLists(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		ms, err := parse(filepath.Base(f), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

// parse reads one list.
func parse(name, text string) ([]mutant, error) {
	var all []mutant
	var tests []string // of changes that name none
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		at := fmt.Sprintf("%s:%d", name, n)
		if line[0] == '=' {
			file, why, ok := strings.Cut(strings.TrimSpace(line[1:]), ": ")
			if !ok {
				return nil, fmt.Errorf("%s: want '= file: what is wrong then'", at)
			}
			all = append(all, mutant{at: at, file: file, why: why})
			continue
		}
		if len(all) == 0 && line[0] == '!' {
			tests = strings.Fields(line[1:])
			continue
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s: a line before the first '='", at)
		}
		m := &all[len(all)-1]
		switch line[0] {
		case ' ', '-', '+':
			m.hunk = append(m.hunk, line)
		case '!':
			m.tests = strings.Fields(line[1:])
		default:
			return nil, fmt.Errorf("%s: a line begins with '=', ' ', '-', '+', '!' or '#'", at)
		}
	}
	for i := range all {
		m := &all[i]
		if len(m.hunk) == 0 {
			return nil, fmt.Errorf("%s: no change", m.at)
		}
		if len(m.tests) == 0 {
			m.tests = tests
		}
		if len(m.tests) == 0 {
			_, dir, _ := strings.Cut(path.Dir(m.file), "/")
			m.tests = []string{"./" + dir}
		}
	}
	return all, nil
}

// module is the folder of the module that the changed file is in.
func (m *mutant) module() string {
	module, _, _ := strings.Cut(m.file, "/")
	return module
}

// apply makes the change to the text of the file.
func (m *mutant) apply(text string) (string, error) {
	var old []string
	for _, h := range m.hunk {
		if h[0] != '+' {
			old = append(old, strings.TrimSpace(h[1:]))
		}
	}
	lines := strings.Split(text, "\n")
	found := -1
	for i := 0; i+len(old) <= len(lines); i++ {
		if !fits(lines[i:], old) {
			continue
		}
		if found >= 0 {
			return "", fmt.Errorf("fits at lines %d and %d of %s", found+1, i+1, m.file)
		}
		found = i
	}
	if found < 0 {
		return "", fmt.Errorf("fits nowhere in %s: has the code changed?", m.file)
	}
	out := append([]string{}, lines[:found]...)
	at := found
	for _, h := range m.hunk {
		switch h[0] {
		case '+':
			out = append(out, h[1:])
		case ' ':
			out = append(out, lines[at])
			at++
		case '-':
			at++
		}
	}
	return strings.Join(append(out, lines[at:]...), "\n"), nil
}

func fits(lines, old []string) bool {
	for i, o := range old {
		if strings.TrimSpace(lines[i]) != o {
			return false
		}
	}
	return len(old) > 0
}
