package config

import (
	"slices"
	"strings"
)

// kinds lists every section of the language, whether or not this program can do anything with it.
var kinds = []string{
	"acme", "backend", "cache", "crt-store", "defaults", "fcgi-app", "frontend", "global", "healthcheck", "http-errors",
	"listen", "log-forward", "log-profile", "mailers", "peers", "program", "resolvers", "ring", "traces", "userlist",
}

// SectionKinds returns the words that begin a section, sorted.
func SectionKinds() []string { return slices.Clone(kinds) }

// lengths has a bit for the length of each kind of section that begins with a byte: most words are none.
var lengths = func() (list [256]uint32) {
	for _, k := range kinds {
		list[k[0]] |= 1 << len(k)
	}
	return list
}()

// IsSection tells whether a word at the beginning of a line begins a section.
func IsSection(name string) bool {
	if name == "" || lengths[name[0]]&(1<<len(name)) == 0 {
		return false
	}
	_, found := slices.BinarySearch(kinds, name)
	return found
}

// isProxy tells the sections that take their initial settings from a defaults section (manual chapter 4).
func isProxy(kind string) bool {
	return kind == "frontend" || kind == "backend" || kind == "listen" || kind == "defaults"
}

// ValidName tells whether a text may be the name of a proxy or of another named object (manual chapter 4: letters,
// digits, '-', '_', '.' and ':'). If not, bad is the first character that may not be part of one.
func ValidName(name string) (bad rune, ok bool) {
	for _, c := range name {
		if c > 127 || !isNameChar(byte(c)) && !strings.ContainsRune("-_.:", c) {
			return c, false
		}
	}
	return 0, true
}

// header takes the words of a section's first line apart, without judging them.
func header(words []string) (name, from string, rest []string) {
	args := words[1:]
	if isProxy(words[0]) {
		// "defaults from base" is a nameless section
		if len(args) > 0 && !(words[0] == "defaults" && args[0] == "from") {
			name, args = args[0], args[1:]
		}
		if len(args) > 0 && args[0] == "from" {
			if len(args) == 1 {
				return name, "", args
			}
			from, args = args[1], args[2:]
		}
		return name, from, args
	}
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	return name, "", args
}
