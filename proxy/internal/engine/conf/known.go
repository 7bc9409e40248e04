package conf

import (
	_ "embed" // for the list below
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

//go:embed known.txt
var knownText string

// known holds the names of HAProxy 3.4's keywords, "proxy option httplog", with
// the number of their arguments where the list says it.
var known = make(map[string]int)

// begins are those names that other words may follow directly, and groups the
// first words of names that have several.
var begins, groups = []string{}, make(map[string]bool)

func init() {
	for l := range strings.Lines(knownText) {
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		name, count, counted := strings.Cut(l, " +")
		name, star := strings.CutSuffix(name, " *")
		known[name] = 0
		if counted {
			known[name], _ = strconv.Atoi(count)
		}
		if star {
			begins = append(begins, name)
		}
		if w := strings.Fields(name); len(w) > 2 {
			groups[w[0]+" "+w[1]] = true
		}
	}
}

// removed are keywords that older versions of HAProxy had, and what it says to
// them.
var removed = map[string]string{
	"proxy clitimeout":         "the 'clitimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout client'.",
	"proxy srvtimeout":         "the 'srvtimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout server'.",
	"proxy contimeout":         "the 'contimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout connect'.",
	"proxy redisp":             "The 'redisp' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
	"proxy redispatch":         "The 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
	"proxy grace":              "the 'grace' keyword is not supported any more since HAProxy version 2.5.",
	"proxy bind-process":       "'bind-process' is not supported anymore.",
	"proxy appsession":         "'appsession' is not supported anymore since HAProxy 1.6.",
	"proxy monitor-net":        "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if { src %s }' instead.",
	"proxy block":              "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax.",
	"proxy reqadd":             "The 'reqadd' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead.",
	"proxy rspadd":             "The 'rspadd' directive is not supported anymore since HAProxy 2.1. Use 'http-response add-header' instead.",
	"proxy option http-tunnel": "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be needed.",
	"proxy option forceclose":  "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use 'option httpclose' if absolutely needed.",
	"proxy option http_proxy": "option 'http_proxy' is not supported any more since HAProxy 2.5. This option stopped working in HAProxy 1.9 and usually had nasty side effects. " +
		"It can be more reliably implemented with combinations of 'http-request set-dst' and 'http-request set-uri', and even 'http-request do-resolve' if DNS resolution is desired.",
	"global nbproc":             "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.",
	"global stats bind-process": "'stats bind-process' is not supported anymore.",
	"global tune.chksize":       "option 'tune.chksize' is not supported any more (tune.bufsize is used instead).",
}

func init() {
	for i, family := range []string{"req", "rsp"} {
		rules := []string{"http-request", "http-response"}[i]
		for _, k := range []struct{ names, instead string }{
			{"del idel", "'R del-header' instead."},
			{"deny ideny", "'R deny' instead."},
			{"rep irep", "'R replace-header' instead."},
			{"allow iallow", "'R allow' instead."},
			{"pass ipass", "'R allow' instead."},
			{"tarpit itarpit", "'R tarpit' instead."},
		} {
			if family == "req" && k.names == "rep irep" {
				k.instead = "'R replace-path', 'R replace-uri' or 'R replace-header' instead."
			}
			for name := range strings.FieldsSeq(k.names) {
				word := family + name
				removed["proxy "+word] = "The '" + word + "' directive is not supported anymore since HAProxy 2.1. Use " + strings.ReplaceAll(k.instead, "R", rules)
			}
		}
	}
}

// gone is what there is to say to a keyword that was taken out of the language,
// nil if it never was in it.
func gone(class string, args []string) error {
	for n := min(len(args), 2); n > 0; n-- {
		text := removed[class+" "+strings.Join(args[:n], " ")]
		if strings.Contains(text, "%s") {
			value := ""
			if len(args) > n {
				value = args[n]
			}
			text = strings.ReplaceAll(text, "%s", value)
		}
		if text != "" {
			return errors.New(text)
		}
	}
	return nil
}

// IsKnown tells whether HAProxy 3.4 has a keyword. kind is "global", "proxy"
// (all sections of chapter 4 of the manual), "bind", "server", "smp" (sample
// fetches) or "cnv" (converters).
func IsKnown(kind, name string) bool {
	key := kind + " " + name
	if _, ok := known[key]; ok {
		return true
	}
	if kind != "proxy" {
		return strings.HasPrefix(name, "lua.") && (kind == "smp" || kind == "cnv")
	}
	return slices.ContainsFunc(begins, func(b string) bool { return strings.HasPrefix(key, b) }) || strings.Contains(name, " lua.")
}

// notYet is an error of [NotYet].
type notYet struct{ what, name string }

func (e *notYet) Error() string {
	return e.what + " '" + e.name + "' of HAProxy 3.4 is not supported by Forebay yet"
}

// NotYet is the error for a keyword that HAProxy 3.4 has and this program does
// not. what is "keyword", "option", "action" …
func NotYet(what, name string) error { return &notYet{what, name} }

// IsNotYet tells whether an error is nothing but words that are not supported
// yet, so that what else stands on the line can be looked at as well.
func IsNotYet(err error) bool {
	var one *notYet
	return errors.As(err, &one)
}

// several is more than one thing that is wrong with a line. Each is reported on
// its own.
type several struct{ list []error }

func (e *several) Error() string {
	var text []string
	for _, one := range e.list {
		text = append(text, one.Error())
	}
	return strings.Join(text, " ")
}

func (e *several) Unwrap() []error { return e.list }

// Join makes one error of several about a line; nil ones do not count.
func Join(list ...error) error {
	var all []error
	for _, err := range list {
		if err != nil {
			all = append(all, split(err)...)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &several{all}
}

// split takes what [Join] made apart. What was written around it since stands
// around each.
func split(err error) []error {
	var s *several
	if !errors.As(err, &s) {
		return []error{err}
	}
	before, after, _ := strings.Cut(err.Error(), s.Error())
	list := make([]error, len(s.list))
	for i, one := range s.list {
		list[i] = one
		if before != "" || after != "" {
			list[i] = say("%s%w%s", before, one, after)
		}
	}
	return list
}

// Report reports an error at the current line.
func (c *Ctx) Report(err error) { c.report(c.Pos, err) }

// report reports an error at a line.
func (l *Loading) report(pos config.Pos, err error) {
	for _, one := range split(err) {
		text := one.Error()
		if strings.HasSuffix(text, " yet") {
			text += "."
		}
		if rest, ok := strings.CutSuffix(text, "?."); ok {
			text = rest + "?"
		}
		for strings.HasSuffix(text, "..") && !strings.HasSuffix(text, "...") {
			text = text[:len(text)-1]
		}
		l.Alert(pos, "%s", text)
	}
}

// skip is how many words to leave out for an option that is not supported yet: it
// and its arguments, up to a word that begins another one for sure.
func skip(kind string, words []string, registered func(string) bool) int {
	n := 1 + known[kind+" "+words[0]]
	for n < len(words) && !registered(words[n]) && !IsKnown(kind, words[n]) {
		n++
	}
	return min(n, len(words))
}
