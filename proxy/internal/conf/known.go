package conf

import (
	_ "embed" // for the list below
	"strings"
)

//go:embed known.txt
var knownText string

// known holds the names of HAProxy 3.4's keywords: "proxy option httplog".
var known = func() map[string]bool {
	m := make(map[string]bool)
	for l := range strings.Lines(knownText) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			m[l] = true
		}
	}
	return m
}()

// removed are keywords that older versions of HAProxy had, and what to write
// instead.
var removed = map[string]string{
	"clitimeout":    "Use 'timeout client'.",
	"srvtimeout":    "Use 'timeout server'.",
	"contimeout":    "Use 'timeout connect'.",
	"redisp":        "Use 'option redispatch'.",
	"redispatch":    "Use 'option redispatch'.",
	"monitor-net":   "Use 'http-request return status 200 if { src <network> }'.",
	"block":         "Use 'http-request deny'.",
	"nbproc":        "Use 'nbthread'.",
	"bind-process":  "Use 'nbthread'.",
	"grace-timeout": "Use 'grace'.",
}

// IsKnown tells whether HAProxy 3.4 has a keyword. kind is "global", "proxy"
// (all sections of chapter 4 of the manual), "bind", "server", "smp" (sample
// fetches) or "cnv" (converters).
func IsKnown(kind, name string) bool { return known[kind+" "+name] }

// NotYet is the error for a keyword that HAProxy 3.4 has and this program does
// not. what is "keyword", "option", "action" …
func NotYet(what, name string) error {
	return say("%s '%s' of HAProxy 3.4 is not supported by Forebay yet.", what, name)
}
