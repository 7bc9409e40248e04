package conf

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Classes of the registry, in the order of "-dKall".
var classes = []string{"acl", "cfg", "cli", "cnv", "flt", "smp", "svc"}

var providers = map[string]func(w io.Writer){}

// RegisterDump gives a class of the registry ("acl", "cli", "cnv", "flt", "smp",
// "svc") the function that prints it, headline included.
func RegisterDump(class string, f func(w io.Writer)) { providers[class] = f }

func init() {
	RegisterDump("cfg", dumpConfig)
}

// DumpKeywords prints the registry for "-dK": the classes that list names,
// separated by commas; "all" for all of them, "help" or nothing for their
// meaning (management.txt 3).
func DumpKeywords(w io.Writer, list string) error {
	out := bufio.NewWriter(w)
	defer out.Flush()
	want := map[string]bool{}
	for _, c := range strings.Split(list, ",") {
		switch {
		case c == "all":
			for _, k := range classes {
				want[k] = true
			}
		case c == "help" || list == "":
			dumpHelp(out)
		case slices.Contains(classes, c):
			want[c] = true
		default:
			return say("ignoring unknown keyword dump class '%s'", c)
		}
	}
	for _, c := range classes {
		if f := providers[c]; f != nil && want[c] {
			f(out)
		}
	}
	return out.Flush()
}

func dumpHelp(w io.Writer) {
	fmt.Fprint(w, `# List of supported keyword classes:
all: list all keywords
acl: ACL keywords
cfg: configuration keywords
cli: CLI keywords
cnv: sample converter keywords
flt: filter names
smp: sample fetch functions
svc: service names
`)
}

// dumpConfig prints the configuration keywords in HAProxy's layout: the global
// ones, then those of proxies with the options of their lines.
func dumpConfig(w io.Writer) {
	fmt.Fprintln(w, "# List of registered configuration keywords:")
	fmt.Fprintln(w, "global")
	for _, n := range names(Global, "") {
		fmt.Fprintf(w, "\t%s\n", n)
	}
	fmt.Fprintln(w, "listen")
	var options []string
	for _, n := range names(Proxies, "") {
		if strings.HasPrefix(n, "option ") {
			options = append(options, n)
			continue
		}
		fmt.Fprintf(w, "\t%s\n", n)
	}
	for _, n := range sortedKeys(bindOptions) {
		fmt.Fprintf(w, "\tbind <addr> %s%s\n", n, plus(bindOptions[n].Args))
	}
	for _, n := range sortedKeys(serverOptions) {
		fmt.Fprintf(w, "\tserver <name> <addr> %s%s\n", n, plus(serverOptions[n].Args))
	}
	for _, n := range options {
		fmt.Fprintf(w, "\t%s [ %s]\n", n, sides(n))
	}
	for _, n := range sortedKeys(actions) {
		fmt.Fprintf(w, "\t%s\n", n)
	}
	for _, kind := range sortedKeys(wordLists) {
		fmt.Fprintln(w, kind)
		for _, n := range sortedKeys(wordLists[kind]) {
			fmt.Fprintf(w, "\t%s%s\n", n, plus(wordLists[kind][n]))
		}
	}
	for _, kind := range sortedKeys(sections) {
		if len(sections[kind].keywords) == 0 {
			continue // those above
		}
		fmt.Fprintln(w, kind)
		for _, n := range sections[kind].keywords {
			fmt.Fprintf(w, "\t%s\n", n)
		}
	}
}

// wordLists are the words of lines that stand in files of their own, with how many
// arguments each takes, by the kind of the file.
var wordLists = map[string]map[string]int{}

// RegisterWords makes the words of such lines known to "-dK".
func RegisterWords(kind string, args map[string]int) { wordLists[kind] = args }

// actions are the actions of rule sets: "http-request set-header".
var actions = map[string]bool{}

// RegisterAction makes an action of a rule set known to "-dK", such as
// "http-request set-header". Names that other words may follow directly end in
// "*".
func RegisterAction(names ...string) {
	for _, n := range names {
		actions[n] = true
	}
}

func sides(name string) string {
	var in Sections
	for _, k := range keywords[firstWord(name)] {
		if k.Name == name {
			in |= k.In
		}
	}
	s := ""
	if in&Frontend != 0 {
		s += "FE "
	}
	if in&Backend != 0 {
		s += "BE "
	}
	return s
}

func plus(args int) string {
	if args == 0 {
		return ""
	}
	return fmt.Sprintf(" +%d", args)
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
