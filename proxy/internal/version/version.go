// Package version says what this program is. It knows nothing else.
package version

import (
	_ "embed"
	"runtime/debug"
	"strings"
)

//go:embed VERSION
var number string

// date is that of the release, for builds without version control.
//
//go:embed VERDATE
var date string

// Compatible is the version of HAProxy whose configuration, commands and formats
// are understood.
const Compatible = "3.4.0"

// Number gives the version of Forebay itself: "0.1.0".
func Number() string { return strings.TrimSpace(number) }

// Full gives the version as every interface shows it: the release of HAProxy that
// is understood, then our own with the commit it was built from, where the build
// knows it: "3.4.0+forebay-0.1.0-1a2b3c". Who compares semantic versions takes it
// for that release: what follows a '+' does not count, while a '-' would make it
// an older one.
func Full() string {
	s := Compatible + "+forebay-" + Number()
	if rev := setting("vcs.revision"); len(rev) >= 6 {
		s += "-" + rev[:6]
	}
	return s
}

// Branch gives the first two numbers of [Compatible].
func Branch() string { return Compatible[:strings.LastIndexByte(Compatible, '.')] }

// Date gives the day of the commit that was built, "2026/11/22", or else that of
// the release.
func Date() string {
	if t := setting("vcs.time"); len(t) >= 10 {
		return strings.ReplaceAll(t[:10], "-", "/")
	}
	return strings.TrimSpace(date)
}

// Line is what "-v" prints.
func Line() string {
	return "Forebay version " + Full() + " " + Date() + " (compatible with HAProxy " + Branch() + ")"
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
