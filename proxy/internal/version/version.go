// Package version says what this program is. It knows nothing else.
package version

import (
	_ "embed"
	"runtime/debug"
	"strings"
)

//go:embed VERSION
var number string

// Compatible is the version of HAProxy whose configuration, commands and formats
// are understood.
const Compatible = "3.4.0"

// Number gives the version: "0.1.0".
func Number() string { return strings.TrimSpace(number) }

// Full gives the version with the commit it was built from, where the build
// knows it: "0.1.0-1a2b3c".
func Full() string {
	if rev := setting("vcs.revision"); len(rev) >= 6 {
		return Number() + "-" + rev[:6]
	}
	return Number()
}

// Date gives the day of the commit, "2026/11/22", or "" if the build does not
// know it.
func Date() string {
	t := setting("vcs.time")
	if len(t) < 10 {
		return ""
	}
	return strings.ReplaceAll(t[:10], "-", "/")
}

// Line is what "-v" prints.
func Line() string {
	s := "Forebay version " + Full()
	if d := Date(); d != "" {
		s += " " + d
	}
	return s + " (compatible with HAProxy 3.4)"
}

func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
