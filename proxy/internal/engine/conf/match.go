package conf

import (
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func firstWord(name string) string {
	w, _, _ := strings.Cut(name, " ")
	return w
}

// onlyNamed are keywords that a defaults section may have only if it has a name
// (manual 4.1, marked with "(!)"): these and the rule sets.
var onlyNamed = []string{"acl"}

// fatal are keywords that are an error where they do not belong; others are
// ignored there with a warning.
var fatal = []string{"server", "server-template", "default-server"}

var hints = map[string]string{
	"maxconn":  " Maybe you want 'fullconn' instead ?",
	"fullconn": " Maybe you want 'maxconn' instead ?",
}

// find gives the keyword that args begin with, with the longest name that
// matches, among those that accept keeps.
func find(args []string, accept func(*Keyword) bool) (*Keyword, int) {
	var list []*Keyword
	for _, k := range keywords[args[0]] {
		if accept(k) {
			list = append(list, k)
		}
	}
	return match(list, args)
}

// match is find among the keywords of a list.
func match(list []*Keyword, args []string) (*Keyword, int) {
	var best *Keyword
	words := 0
	for _, k := range list {
		name := strings.Fields(k.Name)
		if len(name) > words && len(name) <= len(args) && slices.Equal(name, args[:len(name)]) {
			best, words = k, len(name)
		}
	}
	return best, words
}

// statement runs one line of a section.
func (l *Loading) statement(st config.Statement, in Sections, kind string, p, base *stream.Proxy) {
	l.At(st.Pos)
	args := st.Args
	k, n := find(args, func(k *Keyword) bool { return k.In&in != 0 })
	if k == nil {
		if p != nil {
			if k, _ = find(args, func(k *Keyword) bool { return k.In&Proxies != 0 }); k != nil {
				l.misplaced(st, k, kind, p)
				return
			}
		}
		l.report(st.Pos, unknown(st, in, kind))
		return
	}
	l.run(&Ctx{Loading: l, Pos: st.Pos, Section: kind, Proxy: p, base: base, InDefaults: kind == "defaults"}, st, k, n)
}

// ofBackends is said of rules on what servers send, where there are none.
const ofBackends = "%s is only allowed in 'backend' sections or 'defaults' section with a name"

// check looks at what a keyword's registration says of its line.
func (c *Ctx) check(st config.Statement, k *Keyword) error {
	if c.InDefaults && c.Proxy.Name == "" && st.Args[0] == "tcp-request" {
		return say("%s is not allowed in anonymous 'defaults' sections", k.Name)
	}
	if c.InDefaults && c.Proxy.Name == "" && st.Args[0] == "tcp-response" {
		return say(ofBackends, k.Name)
	}
	if c.InDefaults && c.Proxy.Name == "" && slices.Contains(onlyNamed, st.Args[0]) {
		return say("'%s' not allowed in anonymous 'defaults' section.", st.Args[0])
	}
	if st.No && !k.No || st.Default && !k.Default {
		if st.Args[0] == "option" {
			return say("negation/default is not supported for option '%s'.", strings.TrimPrefix(k.Name, "option "))
		}
		return say("negation/default is not supported for '%s'.", k.Name)
	}
	if len(c.Args) < k.Min {
		if k.Min == 1 {
			return Predicatef("expects an argument.")
		}
		return Predicatef("expects %d arguments.", k.Min)
	}
	if k.Max >= 0 && len(c.Args) > k.Max {
		return unexpected(c.Args[k.Max])
	}
	return nil
}

// unexpected is the error for one word too many.
func unexpected(word string) error {
	return Predicatef("cannot handle unexpected argument '%s'.", word)
}

// misplaced reports a keyword that the section has no use for.
func (l *Loading) misplaced(st config.Statement, k *Keyword, kind string, p *stream.Proxy) {
	first := st.Args[0]
	if kind == "defaults" {
		name := first
		if first == "capture" {
			name = k.Name
		}
		l.Alert(st.Pos, "'%s' not allowed in 'defaults' section.", name)
		return
	}
	l.incapable(st.Pos, k, kindOf(p), p)
	if (first == "default_backend" || first == "use_backend") && len(st.Args) > 1 && st.Args[1] == p.Name {
		l.Alert(st.Pos, "Proxy '%s': loop detected for %s: '%s'.", p.Name, first, p.Name)
	}
}

// incapable reports a keyword of the side that a proxy does not have.
func (l *Loading) incapable(pos config.Pos, k *Keyword, kind string, p *stream.Proxy) {
	side := "frontend"
	if k.In&Backend != 0 {
		side = "backend"
	}
	name := k.Name
	if rest, ok := strings.CutPrefix(name, "option "); ok {
		name = rest
	}
	switch {
	case firstWord(name) == "tcp-response":
		l.Alert(pos, ofBackends, name)
	case slices.ContainsFunc(ruleSets, func(s *RuleSet) bool { return s.Name == name }):
		l.Alert(pos, "%s is not allowed because %s %s is not a frontend", name, kind, p.Name)
	case name == "hash-preserve-affinity":
		l.Alert(pos, "'%s' only available in backend or listen section", name)
	case slices.Contains(fatal, name):
		l.Alert(pos, "'%s' not allowed because %s '%s' has no %s capability.", name, kind, p.Name, side)
	case firstWord(name) == "timeout":
		l.Diags.Warn(pos, "'%s' will be ignored because %s '%s' has no %s capability", name, kind, p.Name, side)
	case name == "rate-limit sessions", name == "log-steps":
		l.Diags.Warn(pos, "%s will be ignored because %s '%s' has no %s capability", name, kind, p.Name, side)
	default:
		if firstWord(k.Name) != "option" {
			name = firstWord(name)
		}
		l.Diags.Warn(pos, "'%s' ignored because %s '%s' has no %s capability.%s", name, kind, p.Name, side, hints[name])
	}
}

// KindOf is how messages call a proxy.
func KindOf(p *stream.Proxy) string { return kindOf(p) }

// kindOf is [KindOf].
func kindOf(p *stream.Proxy) string {
	if p.Kind == "listen" {
		return "proxy"
	}
	return p.Kind
}

// unknown explains a line that no registered keyword matches.
func unknown(st config.Statement, in Sections, kind string) error {
	args := st.Args
	class := "proxy"
	if in == Global {
		class = "global"
	}
	if err := gone(class, args); err != nil {
		return err
	}
	for n := min(len(args), 3); n > 1; n-- {
		if name := strings.Join(args[:n], " "); IsKnown(class, name) {
			if args[0] == "option" {
				return NotYet("option", args[1])
			}
			return NotYet("keyword", name)
		}
	}
	got := ""
	if len(args) > 1 {
		got = args[1]
	}
	switch class + " " + args[0] {
	case "proxy option":
		return unknownOption(st, got)
	case "proxy timeout":
		return say("'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'handshake', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '%s')", got)
	case "proxy stats":
		return say("unknown stats parameter '%s', expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' , 'show-legends' or 'show-version'.", got)
	case "global stats":
		return say("'stats' only supports 'socket', 'maxconn', 'bind-process', 'calculate-max-counters'  and 'timeout' (got '%s')", got)
	case "proxy rate-limit":
		return say("'rate-limit' only supports 'sessions' (got '%s')", got)
	case "proxy capture":
		return About("capture", Predicatef("expects 'cookie' or 'request header' or 'response header'."))
	case "proxy monitor":
		return say("'monitor' only supports 'fail'.")
	}
	if IsKnown(class, args[0]) || groups[class+" "+args[0]] {
		return NotYet("keyword", args[0])
	}
	return say("unknown keyword '%s' in '%s' section%s", args[0], kind, config.DidYouMean(args[0], candidates(class, in)))
}

// candidates are the words that a misspelt one may have meant: what a line can
// begin with, or the next section.
func candidates(class string, in Sections) []string {
	var list []string
	for _, name := range names(in, "") {
		list = append(list, firstWord(name))
	}
	for name := range known {
		if rest, ok := strings.CutPrefix(name, class+" "); ok && removed[name] == "" {
			list = append(list, firstWord(rest))
		}
	}
	slices.Sort(list)
	return slices.Compact(append(list, config.SectionKinds()...))
}

func unknownOption(st config.Statement, name string) error {
	switch {
	case name == "":
		return say("'option' expects an option name.")
	case st.No || st.Default:
		return say("negation/default is not supported for option '%s'.", name)
	}
	list := names(Proxies, "option ")
	for k := range known {
		if rest, ok := strings.CutPrefix(k, "proxy option "); ok {
			list = append(list, rest)
		}
	}
	slices.Sort(list)
	if best := config.DidYouMean(name, list); best != "" {
		return say("unknown option '%s'%s", name, best)
	}
	return say("unknown option '%s'.", name)
}

// names lists the registered keywords of sections, sorted, those with a prefix
// without it.
func names(in Sections, prefix string) []string {
	var out []string
	for _, l := range keywords {
		for _, k := range l {
			if rest, ok := strings.CutPrefix(k.Name, prefix); ok && k.In&in != 0 {
				out = append(out, rest)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// NameWords tells how many words of a line are the name of its keyword, by what
// is registered for the kind of section: 2 for "timeout client 5s". It is 1 for
// lines that nobody registered.
func NameWords(kind string, args []string) int {
	in := Proxies
	if kind == "global" {
		in = Global
	}
	_, n := find(args, func(k *Keyword) bool { return k.In&in != 0 })
	return max(n, 1)
}
