package config

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// maxNestedConditions bounds how deeply ".if" may nest: HAProxy refuses the one that would be the hundredth.
const maxNestedConditions = 100

// Options is what a configuration can ask about the program and its surroundings.
type Options struct {
	// Env is the environment. Evaluate changes it: it defines the variables of manual 2.3 and obeys the global
	// section's setenv, presetenv, unsetenv and resetenv. nil is an empty one.
	Env *Environment
	// Version answers version_atleast and version_before and gives HAPROXY_BRANCH: "3.4.0".
	Version string
	// Features are the names that feature() finds: "OPENSSL", "THREAD".
	Features []string
	// Enabled are the names, in upper case, that enabled() finds: "EPOLL", "SPLICE".
	Enabled []string
	// SSLLibrary and OpenSSLVersion answer ssllib_name_startswith and the openssl_version predicates.
	SSLLibrary     string
	OpenSSLVersion string
	// AWSLCAPI answers the awslc_api predicates; 0 without that library.
	AWSLCAPI int
	// LocalPeer is the value of HAPROXY_LOCALPEER; empty leaves it undefined.
	LocalPeer string
	// PeerNamed tells that it is that of "-L", which "localpeer" does not change.
	PeerNamed bool
}

func (o *Options) lookup(name string) (string, bool) {
	if o.Env == nil {
		return "", false
	}
	return o.Env.Lookup(name)
}

// Block is one section as a loader sees it.
type Block struct {
	Kind, Name, From string
	Pos              Pos
	Args             []string // all words of the header, the kind included
	Statements       []Statement

	// Text is the section as it stands in the file, with what follows up to the next one, and Env the sum of the
	// environment that it was evaluated in, if they are all that it depends on; else Text is nil. It is part of the file's
	// own text.
	Text []byte
	Env  uint64
}

// Known finds a section that was evaluated before by its text, the environment's sum and the file that it stands in, nil
// if there is none. What it returns is a copy with the new place, which may lack the statements.
type Known func(p *Part, env uint64, pos Pos) *Block

// Statement is one line of a section: Args[0] is the keyword. No and Default tell of a prefix "no" or "default", which is
// not part of Args.
type Statement struct {
	Pos     Pos
	No      bool
	Default bool
	Args    []string
}

// Evaluate expands variables, decides conditions, runs the dot directives and the global section's environment
// keywords (which leave no statement), and returns the sections in order, those of several files one behind the other.
// Everything wrong is reported to d; with errors the result is good for finding more of them only.
func Evaluate(files []*File, opt Options, d *Diagnostics) []*Block {
	return EvaluateKnown(files, opt, d, nil)
}

// EvaluateKnown is [Evaluate] for who has seen some of the sections before: those that known finds are not looked at.
// known is never asked for a section that changes the environment or depends on where it stands, but must not find those
// that diagnostics were reported for.
func EvaluateKnown(files []*File, opt Options, d *Diagnostics, known Known) []*Block {
	if opt.Env == nil {
		opt.Env = &Environment{}
	}
	e := &evaluator{opt: &opt, d: d, known: known}
	e.predefine()
	for _, f := range files {
		e.file(f)
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	opt.Env.Set("HAPROXY_CFGFILES", strings.Join(names, ";"))
	for name := range logFormats {
		opt.Env.Unset(name)
	}
	return e.blocks
}

type evaluator struct {
	opt    *Options
	known  Known
	d      *Diagnostics
	blocks []*Block
	cur    *Block // nil outside of sections
	pos    Pos
	line   *Line
	conds  []branch
}

// branch is one open ".if".
type branch struct {
	live   bool // the lines that follow count
	done   bool // no other arm of this ".if" may be taken
	isElse bool
}

func (e *evaluator) live() bool { return len(e.conds) == 0 || e.conds[len(e.conds)-1].live }

func (e *evaluator) alert(format string, args ...any) { e.d.lexical(Alert, e.pos, format, args...) }

func (e *evaluator) file(f *File) {
	e.cur, e.conds = nil, nil
	e.pos = Pos{File: f.Name}
	parts := f.parts
	if parts == nil {
		parts = Cut(f.Bytes())
	}
	e.pos.Line = 1
	for i := range parts {
		e.part(f, &parts[i])
	}
	e.pos.Line-- // the last one
	if n := len(parts); n > 0 {
		if text := parts[n-1].Text; text[len(text)-1] != '\n' {
			e.alert("Missing LF on last line, file might have been truncated at position %d.", len(text)-bytes.LastIndexByte(text, '\n'))
		}
	}
	if len(e.conds) > 0 {
		e.alert("non-terminated '.if' block.")
	}
}

// part evaluates the lines of a part of a file.
func (e *evaluator) part(f *File, c *Part) {
	env := e.opt.Env.Sum()
	alone := c.Plain && len(e.conds) == 0
	if alone && e.known != nil {
		if b := e.known(c, env, e.pos); b != nil {
			b.Text, b.Env = c.Text, env
			e.blocks, e.cur = append(e.blocks, b), b
			e.pos.Line += c.lines()
			return
		}
	}
	n := len(e.blocks)
	for raw := range bytes.Lines(c.Text) {
		if f.Lines != nil {
			e.line = f.Lines[e.pos.Line-1]
		} else {
			e.line = parseLine(raw, e.pos.Line)
		}
		if args, ok := e.words(e.line); ok && len(args) > 0 {
			e.statement(args)
		}
		e.pos.Line++
	}
	if alone && len(e.blocks) == n+1 && e.opt.Env.Sum() == env {
		e.blocks[n].Text, e.blocks[n].Env = c.Text, env
	}
}

// words splits a line again, now with the environment, and reports what is wrong with it.
func (e *evaluator) words(l *Line) ([]string, bool) {
	if l.IsBlank() || l.IsComment() && l.err == nil {
		return nil, e.noNUL(l)
	}
	words, _, err := split(l.Raw, e.variable)
	switch {
	case err != nil && err.tooMany:
		e.alert("too many words, truncating after word %d, position %d: <%s>.", MaxWords, words[MaxWords-1].from, words[MaxWords-1].text)
		return nil, false
	case err != nil:
		e.alert("%s at position %d:\n%s", err.text, err.at+1, e.mark(l.Raw, err.at))
		return nil, false
	}
	if !e.noNUL(l) {
		return nil, false
	}
	if len(words) > 0 && words[0].text == "" {
		return nil, true // as good as a blank line
	}
	if l.isDirective() { // an empty condition is none
		for words[len(words)-1].text == "" {
			words = words[:len(words)-1]
		}
	}
	args := make([]string, len(words))
	for i, w := range words {
		if w.text == "" {
			e.alert("argument number %d at position %d is empty and marks the end of the argument list:\n%s\n"+
				"Aborting to prevent all subsequent arguments from being silently ignored. If this is caused by an environment variable expansion, "+
				"please have a look at section 2.3 of the configuration manual to find solutions to address this.",
				i, w.from+1, e.mark(l.Raw, w.from))
			return nil, false
		}
		if k := strings.IndexByte(w.text, 0); k >= 0 {
			e.alert("NUL character in argument number %d at position %d:\n%s", i, w.from+1, e.mark(l.Raw, w.from))
			return nil, false
		}
		args[i] = w.text
	}
	return args, true
}

func (e *evaluator) noNUL(l *Line) bool {
	if i := slices.Index(l.Raw, 0); i >= 0 {
		e.alert("Stray NUL character at position %d.", i+1)
		return false
	}
	return true
}

// mark shows a line and points at a byte of it. Long lines are cut on both sides.
func (e *evaluator) mark(raw []byte, at int) string {
	const side = 60
	text := strings.TrimRight(string(raw), "\r\n")
	at = min(at, len(text))
	if cut := min(len(text)-len(strings.TrimLeft(text, " \t")), at); cut > 0 {
		text, at = text[cut:], at-cut
	}
	if at > side {
		text = "..." + text[at-side+3:]
		at = side
	}
	if len(text) > at+side {
		text = text[:at+side] + "..."
	}
	clean := []byte(text)
	for i, c := range clean {
		if c < ' ' || c == 0x7f {
			clean[i] = ' '
		}
	}
	return "  " + string(clean) + "\n  " + strings.Repeat(" ", at) + "^"
}

func (e *evaluator) variable(name string) (string, bool) {
	switch name {
	case ".FILE":
		return e.pos.File, true
	case ".LINE":
		return strconv.Itoa(e.pos.Line), true
	case ".SECTION":
		if e.cur == nil {
			return "", true
		}
		if e.cur.Name == "" {
			return e.cur.Kind, true
		}
		return e.cur.Name, true
	}
	if name[0] == '.' {
		return "", false
	}
	return e.opt.Env.Lookup(name)
}

func (e *evaluator) statement(args []string) {
	if args[0][0] == '.' {
		e.directive(args)
		return
	}
	if !e.live() {
		return
	}
	st := Statement{Pos: e.pos, Args: args}
	if args[0] == "no" || args[0] == "default" {
		st.No, st.Default = args[0] == "no", args[0] == "default"
		st.Args = args[1:]
		if len(args) < 2 || !slices.Contains(negatable, args[1]) {
			e.alert("negation/default currently supported only for %s and %s.",
				strings.Join(negatableShown[:len(negatableShown)-1], ", "), negatableShown[len(negatableShown)-1])
			return
		}
	}
	switch {
	case IsSection(args[0]):
		e.section(args)
	case e.cur == nil:
		end := "."
		if best := DidYouMean(st.Args[0], kinds); best != "" {
			end = best
		}
		e.alert("unknown keyword '%s' out of section%s", st.Args[0], end)
	case e.cur.Kind == "global" && e.environment(args):
	default:
		e.cur.Statements = append(e.cur.Statements, st)
	}
}

// negatable are the keywords that the prefixes "no" and "default" apply to; whether an option allows it, its own parser
// knows.
var (
	negatable      = []string{"option", "log", "busy-polling", "set-dumpable", "strict-limits", "insecure-fork-wanted", "numa-cpu-mapping"}
	negatableShown = append([]string{"options"}, negatable[1:]...)
)

// environment obeys the keywords that change the environment for the lines that follow (manual 3.1).
func (e *evaluator) environment(args []string) bool {
	env := e.opt.Env
	switch args[0] {
	case "setenv", "presetenv":
		if len(args) < 2 {
			e.d.Alert(e.pos, "'%s' expects an env variable name.", args[0])
			return true
		}
		if len(args) < 3 {
			e.d.Alert(e.pos, "'%s' expects environment variable value for '%s'.", args[0], args[1])
			return true
		}
		if len(args) > 3 {
			e.d.Alert(e.pos, "'%s' cannot handle unexpected argument '%s'.", args[0], args[3])
			return true
		}
		if _, found := env.Lookup(args[1]); !found || args[0] == "setenv" {
			env.Set(args[1], args[2])
		}
	case "unsetenv":
		if len(args) < 2 {
			e.alert("'%s' expects at least one variable name.", args[0])
		}
		for _, name := range args[1:] {
			env.Unset(name)
		}
	case "resetenv":
		env.retain(args[1:])
	case "localpeer": // a keyword as well
		switch {
		case e.opt.PeerNamed:
			e.d.Warn(e.pos, "'%s' ignored since it is already set by using the '-L' command line argument.", args[0])
		case len(args) > 1 && args[1] != "":
			env.Set("HAPROXY_LOCALPEER", args[1])
		}
		return false
	default:
		return false
	}
	return true
}
