package runtimeapi

import (
	_ "embed" // for the list below
	"strings"
)

//go:embed known.txt
var knownText string

// known holds the words of HAProxy 3.4's commands, by the socket that has them:
// 'M' for the master, 'W' for a worker.
var known = func() map[byte][][]string {
	m := make(map[byte][][]string)
	for l := range strings.Lines(knownText) {
		f := strings.Fields(l)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		for _, k := range []byte(f[0]) {
			m[k] = append(m[k], f[1:])
		}
	}
	return m
}()

// notYet is the answer to what HAProxy 3.4 has and we do not.
func notYet(name string) error {
	return Errorf("'%s' of HAProxy 3.4 is not supported by Forebay yet.\n", name)
}

// notYet gives the name of the command of HAProxy 3.4 that words begin with, ""
// if there is none.
func (s *Set) notYet(words []string) string {
	kind := byte('W')
	if s.Master {
		kind = 'M'
	}
	best := 0
	for _, k := range known[kind] {
		if len(k) > best && common(k, words) == len(k) {
			best = len(k)
		}
	}
	return strings.Join(words[:best], " ")
}
