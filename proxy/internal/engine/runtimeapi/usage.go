package runtimeapi

import (
	"sort"
	"strings"
)

// unknown answers a command that the set does not have: that we do not have it
// yet, if HAProxy has it; else with those that begin alike, the nearest ones if
// the next word was mistyped.
func (c *Conn) unknown(words []string) {
	first := ""
	if len(words) > 0 {
		first = words[0]
	}
	if name := c.set.notYet(words); name != "" {
		c.reply(notYet(name))
		return
	}
	c.mark(6)
	length := c.set.exact(words)
	if length == 0 && first == "" {
		c.Printf("Unknown command: '%s'. Please enter one of the following commands only:\n", first)
	} else {
		c.Printf("Unknown command: '%s', but maybe one of the following ones is a better match:\n", first)
	}
	c.listing(c.set.matching(words, length))
}

// help answers the help command.
func (c *Conn) help(words []string) error {
	c.WriteString("The following commands are valid at this level:\n")
	c.listing(c.set.matching(words, c.set.exact(words)))
	return c.err
}

// exact counts the words that at least one command begins with.
func (s *Set) exact(words []string) int {
	n := 0
	for _, c := range s.list {
		n = max(n, common(c.words, words))
	}
	return n
}

// maxMatches is how many guesses are shown at most.
const maxMatches = 5

// maxGuess is how much of an unknown command is compared, in bytes.
const maxGuess = 64

// matching gives the commands that begin with the first length words. If there
// are more words, only those which resemble them best.
func (s *Set) matching(words []string, length int) []*Command {
	type guess struct {
		c    *Command
		dist int
	}
	var all []*Command
	var near []guess
	rest := strings.Join(words[min(length, len(words)):], "")
	rest = rest[:min(len(rest), maxGuess)] // a mistyped name is not longer, and the reactor must go on
	for _, c := range s.list {
		if c.Help == "" || common(c.words, words) < length || basic(c) {
			continue
		}
		all = append(all, c)
		near = append(near, guess{c, distance(rest, strings.Join(c.words[length:], ""))})
	}
	if rest == "" || len(near) == 0 {
		return all
	}
	sort.SliceStable(near, func(i, j int) bool { return near[i].dist < near[j].dist })
	limit := near[0].dist * 5 / 2
	var best []*Command
	for _, g := range near[:min(len(near), maxMatches)] {
		if g.dist <= limit {
			best = append(best, g.c)
		}
	}
	sort.SliceStable(best, func(i, j int) bool { return best[i].Words < best[j].Words })
	return best
}

// distance tells how much two words differ: by the pairs of neighbouring
// letters that only one of them has.
func distance(a, b string) int {
	pairs := map[[2]byte]int{}
	count := func(s string, by int) {
		var last byte
		for i := range len(s) {
			pairs[[2]byte{last, s[i]}] += by
			last = s[i]
		}
		pairs[[2]byte{last, 0}] += by
	}
	count(a, 1)
	count(b, -1)
	d := 0
	for _, n := range pairs {
		d += n * n
	}
	return d
}

// basic tells whether c is one of the commands that end every listing.
func basic(c *Command) bool { return c.Words == "help" || c.Words == "prompt" || c.Words == "quit" }

// listing prints commands and then the basic ones.
func (c *Conn) listing(cmds []*Command) {
	for _, cmd := range cmds {
		c.usage(cmd)
	}
	for _, cmd := range c.set.list {
		if basic(cmd) {
			c.usage(cmd)
		}
	}
}

func (c *Conn) usage(cmd *Command) {
	c.Printf("  %-40s: %s\n", strings.TrimSpace(cmd.Words+" "+cmd.Usage), cmd.Help)
}
