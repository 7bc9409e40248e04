package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// run evaluates a text and returns the statements as "section/name: words" lines, and the diagnostics.
func run(t *testing.T, text string, opt Options) (statements, diags []string) {
	t.Helper()
	var d Diagnostics
	for _, b := range Evaluate([]*File{Parse("t.cfg", []byte(text))}, opt, &d) {
		statements = append(statements, strings.Join(b.Args, " "))
		for _, s := range b.Statements {
			prefix := ""
			if s.No {
				prefix = "(no) "
			}
			if s.Default {
				prefix = "(default) "
			}
			statements = append(statements, fmt.Sprintf("%d %s%s", s.Pos.Line, prefix, strings.Join(s.Args, "|")))
		}
	}
	for _, x := range d.All() {
		diags = append(diags, x.Severity.String()+" "+x.String())
	}
	return statements, diags
}

func TestEvaluate(t *testing.T) {
	tests := []struct {
		name, text string
		env        []string
		want       []string
	}{
		{"statements", "global # g\n daemon\n log \"127.0.0.1\" local0\nfrontend f\n bind :80\n", nil,
			[]string{"global", "2 daemon", "3 log|127.0.0.1|local0", "frontend f", "5 bind|:80"}},
		{"environment of the caller", "global\n user \"$U\"\n group \"${G-none}\"\n", []string{"U=me"},
			[]string{"global", "2 user|me", "3 group|none"}},
		{"setenv counts from the next line", "global\n setenv A 1\n a \"$A\"\n presetenv A 2\n a \"$A\"\n setenv A 3\n a \"$A\"\n", nil,
			[]string{"global", "3 a|1", "5 a|1", "7 a|3"}},
		{"presetenv of what is not there", "global\n presetenv A 2\n a \"$A\"\n", nil, []string{"global", "3 a|2"}},
		{"unsetenv", "global\n unsetenv A B NONE\n a \"${A-x}${C-y}\"\n", []string{"A=1", "B=2", "C=3"}, []string{"global", "3 a|x3"}},
		{"resetenv", "global\n resetenv A\n a \"${A-x}${C-y}\"\n", []string{"A=1", "C=3"}, []string{"global", "3 a|1y"}},
		{"localpeer counts from the next line", "global\n localpeer me\n a \"$HAPROXY_LOCALPEER\"\n", nil, []string{"global", "2 localpeer|me", "3 a|me"}},
		{"setenv elsewhere is no keyword of ours", "defaults\n setenv A 1\n", nil, []string{"defaults", "2 setenv|A|1"}},
		{"setenv in a dead arm", "global\n.if 0\n setenv A 1\n.endif\n a \"${A-no}\"\n", nil, []string{"global", "5 a|no"}},
		{"prefixes", "defaults\n no option x\n default option y\n no log\n", nil,
			[]string{"defaults", "2 (no) option|x", "3 (default) option|y", "4 (no) log"}},
		{"pseudo variables", "global\n a \"${.FILE}:$.LINE:$.SECTION\"\ndefaults d\n a \"$.SECTION\"\n", nil,
			[]string{"global", "2 a|t.cfg:2:global", "defaults d", "4 a|d"}},
		{"an empty first word makes a blank line", "global\n \"\" x\n", nil, []string{"global"}},
		{"a list as words", "global\n a \"${L[*]}\" z\n", []string{"L=1 2"}, []string{"global", "2 a|1|2|z"}},
		{"version", "global\n a \"$HAPROXY_BRANCH\" \"$HAPROXY_STARTUP_VERSION\"\n", nil, []string{"global", "2 a|3.4|3.4.1"}},
		{"log formats", "global\n a \"$HAPROXY_TCP_LOG_FMT x\"\n", nil,
			[]string{"global", "2 a|%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq x"}},
		{"arms", "global\n.if 0\n a\n.elif 0\n b\n.elif 1\n c\n.elif 1\n d\n.else\n e\n.endif\n f\n", nil, []string{"global", "7 c", "13 f"}},
		{"else", "global\n.if 0\n a\n.else\n e\n.endif\n", nil, []string{"global", "5 e"}},
		{"nesting", "global\n.if 0\n.if 1\n a\n.else\n b\n.endif\n.else\n.if 1\n c\n.endif\n.endif\n", nil, []string{"global", "10 c"}},
		{"sections in arms", ".if \"$A\"\nglobal\n.else\ndefaults\n.endif\n a\n", []string{"A=1"}, []string{"global", "6 a"}},
		{"spaces are joined", "global\n.if streq(\"$A\",   x y)\n a\n.endif\n", []string{"A= x y"}, []string{"global", "3 a"}},
		{"empty condition", "global\n.if\n a\n.endif\n.if \"$NO\"\n b\n.endif\n", nil, []string{"global"}},
		{"wrong conditions of arms not looked at", "global\n.if 1\n.elif foo\n.endif\n.if 0\n.if foo\n.endif\n.endif\n a\n", nil, []string{"global", "9 a"}},
		{"unknown directive in a dead arm", ".if 0\n.foo\n.alert x\n.endif\nglobal\n", nil, []string{"global"}},
	}
	for _, tt := range tests {
		got, diags := run(t, tt.text, Options{Env: NewEnvironment(tt.env), Version: "3.4.1"})
		if !reflect.DeepEqual(got, tt.want) || diags != nil {
			t.Errorf("%s:\ngot  %q\nwant %q\ndiagnostics %q", tt.name, got, tt.want, diags)
		}
	}
}

// abort is what follows the place of an empty word.
const abort = "Aborting to prevent all subsequent arguments from being silently ignored. If this is caused by an environment variable expansion, " +
	"please have a look at section 2.3 of the configuration manual to find solutions to address this."

func TestEvaluateDiagnostics(t *testing.T) {
	const at = "ALERT config : parsing [t.cfg:"
	neg := "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, " +
		"insecure-fork-wanted and numa-cpu-mapping."
	tests := []struct {
		text string
		want []string
	}{
		{"globl\n foo\n", []string{at + "1]: unknown keyword 'globl' out of section; did you mean 'global' maybe ?", at + "2]: unknown keyword 'foo' out of section."}},
		{"global\n nbthread \"4\n a 'b\n", []string{
			at + "2]: unmatched quote at position 11:\n  nbthread \"4\n           ^", at + "3]: unmatched quote at position 4:\n  a 'b\n    ^"}},
		{"global\n nbthread 4\\", []string{at + "2]: Missing LF on last line, file might have been truncated at position 13."}},
		{"global\n a \x00b\n", []string{at + "2]: Stray NUL character at position 4."}},
		{"global\n a \\x00\n", []string{at + "2]: NUL character in argument number 1 at position 4:\n  a \\x00\n    ^"}},
		{"global\n a \"$NO\" c\n", []string{
			at + "2]: argument number 1 at position 4 is empty and marks the end of the argument list:\n  a \"$NO\" c\n    ^\n" + abort}},
		{"global\n" + strings.Repeat("w ", 65) + "\n", []string{at + "2]: too many words, truncating after word 64, position 126: <w>."}},
		{"no foo\nglobal\n no daemon\n no\n", []string{at + "1]: " + neg, at + "3]: " + neg, at + "4]: " + neg}},
		{"global\n setenv A\n presetenv\n unsetenv\n setenv a b c\n", []string{
			at + "2] : 'setenv' expects environment variable value for 'A'.", at + "3] : 'presetenv' expects an env variable name.",
			at + "4]: 'unsetenv' expects at least one variable name.", at + "5] : 'setenv' cannot handle unexpected argument 'c'."}},

		{".if 1\nglobal\n", []string{at + "2]: non-terminated '.if' block."}},
		{".endif\n.else\n.elif 1\n", []string{
			at + "1]: lone '.endif' with no matching '.if'.", at + "2]: lone '.else' with no matching '.if'.", at + "3]: lone '.elif' with no matching '.if'."}},
		{".if 1\n.else\n.elif 1\n.else\n.endif\n", []string{
			at + "3]: '.elif' after '.else' is not permitted.", at + "4]: '.else' after '.else' is not permitted."}},
		{".if 1\n.else x\n.endif y\n", []string{at + "2]: Unexpected argument 'x' for '.else'.", at + "3]: Unexpected argument 'y' for '.endif'."}},
		{".if foo(1)\n.alert a\n.else\n.alert b\n.endif\n", []string{
			at + "1]: unparsable conditional expression 'foo(1)' in '.if' at position 1:\n  .if foo(1)\n      ^"}},
		{".if 0\n.elif 1 x\n.endif\n", []string{
			at + "2]: unexpected character 'x' at the end of conditional expression '1 x' in '.elif' at position 3:\n  .elif 1 x\n          ^"}},
		{".foo\n", []string{at + "1]: unknown directive '.foo'."}},
		{".diag z\n.notice \"a b\"\n.warning\n.alert x\n.notice a b\n", []string{
			"DIAG config : parsing [t.cfg:1]: 'z'.", "NOTICE config : parsing [t.cfg:2]: 'a b'.", "WARNING config : parsing [t.cfg:3]: ''.",
			at + "4]: 'x'.", at + "5]: Unexpected argument 'b' for '.notice'. Use quotes if the message should contain spaces."}},
		{strings.Repeat(".if 1\n", 99) + strings.Repeat(".endif\n", 99), nil},
		{strings.Repeat(".if 1\n", 101) + strings.Repeat(".endif\n", 101), []string{at + "100]: too many nested '.if', max is 100."}},

		{"frontend\n", []string{at + "1] : 'frontend' expects an <id> argument"}},
		{"frontend a/b\n", []string{at + "1] : character '/' is not permitted in 'frontend' name 'a/b'."}},
		{"backend é\n", []string{at + "1] : character 'é' is not permitted in 'backend' name 'é'."}},
		{"listen a from\n", []string{at + "1] : 'listen' expects the name of a defaults section after 'from'."}},
		{"backend a b c\n", []string{at + "1] : 'backend' cannot handle unexpected argument 'b'."}},
		{"defaults a/b from c\ndefaults\ncache a/b\n", nil},
		{"global x y\n", []string{at + "1] : 'global' cannot handle unexpected argument 'x'.", at + "1] : 'global' cannot handle unexpected argument 'y'."}},
		{"traces\ncrt-store\ncrt-store s\n", nil},
		{"userlist\n", []string{at + "1]: 'userlist' expects <name> as arguments."}},
		{"fcgi-app\n", []string{at + "1]: 'fcgi-app' expects <name> as argument."}},
		{"cache\n", []string{at + "1] : 'cache' expects a <name> argument"}},
		{"ring\n", []string{at + "1] : missing ring name."}},
		{"ring a/b\n", []string{at + "1] : invalid ring name 'a/b' (character '/' is not permitted)."}},
		{"peers\n", []string{at + "1] : missing name for peers section."}},
		{"resolvers a b\n", []string{at + "1] : 'resolvers' cannot handle unexpected argument 'b'."}},
		{"program x\n command y\n", []string{
			at + "1] : the 'program' section is not supported any more (it was removed from the language in HAProxy 3.3): let a service manager run the program."}},
	}
	for _, tt := range tests {
		if _, got := run(t, tt.text, Options{}); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%.60q:\ngot  %q\nwant %q", tt.text, got, tt.want)
		}
	}
}

// Each file begins outside of sections and closes its own conditions; the environment goes on.
func TestEvaluateFiles(t *testing.T) {
	e := NewEnvironment([]string{"A=1"})
	var d Diagnostics
	blocks := Evaluate([]*File{
		Parse("a.cfg", []byte("global\n setenv B 2\n.if 1\n")),
		Parse("b.cfg", []byte(" lost\ndefaults\n x \"$A$B\" \"$.FILE\"\n")),
	}, Options{Env: e, Version: "3.4", LocalPeer: "me"}, &d)
	var got []string
	for _, x := range d.All() {
		got = append(got, x.String())
	}
	want := []string{
		"config : parsing [a.cfg:3]: non-terminated '.if' block.",
		"config : parsing [b.cfg:1]: unknown keyword 'lost' out of section; did you mean 'listen' maybe ?",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if len(blocks) != 2 || !reflect.DeepEqual(blocks[1].Statements[0].Args, []string{"x", "12", "b.cfg"}) {
		t.Errorf("blocks %+v", blocks)
	}
	wantEnv := []string{"A=1", "B=2", "HAPROXY_BRANCH=3.4", "HAPROXY_CFGFILES=a.cfg;b.cfg", "HAPROXY_LOCALPEER=me", "HAPROXY_STARTUP_VERSION=3.4"}
	if !reflect.DeepEqual(e.Environ(), wantEnv) {
		t.Errorf("environment %q", e.Environ())
	}
}

func TestDiagnosticsBound(t *testing.T) {
	var d Diagnostics
	for range MaxDiagnostics + 5 {
		d.Warn(Pos{}, "w")
	}
	d.Alert(Pos{}, "a")
	all := d.All()
	if len(all) != MaxDiagnostics+1 || all[MaxDiagnostics].String() != "config : 6 more messages not shown." {
		t.Errorf("%d diagnostics, last %q", len(all), all[len(all)-1])
	}
	if !d.HasErrors() || d.Count(Alert) != 1 || d.Count(Warning) != MaxDiagnostics+5 {
		t.Errorf("errors %v, %d alerts, %d warnings", d.HasErrors(), d.Count(Alert), d.Count(Warning))
	}
}

func TestMarkCutsLongLines(t *testing.T) {
	_, got := run(t, "global\n "+strings.Repeat("a", 500)+" \"b"+strings.Repeat("c", 500)+"\n", Options{})
	lines := strings.Split(got[0], "\n")
	if len(lines) != 3 || len(lines[1]) > 140 {
		t.Fatalf("got %q", got)
	}
	if i := strings.IndexByte(lines[2], '^'); lines[1][i] != '"' {
		t.Errorf("the mark is at %d of %q", i, lines[1])
	}
}

// The name of "-L" goes before that of the configuration.
func TestLocalPeer(t *testing.T) {
	got, diags := run(t, "global\n localpeer me\n a \"$HAPROXY_LOCALPEER\"\n", Options{Env: NewEnvironment(nil), LocalPeer: "you", PeerNamed: true})
	want := []string{"WARNING config : parsing [t.cfg:2] : 'localpeer' ignored since it is already set by using the '-L' command line argument."}
	if !reflect.DeepEqual(got, []string{"global", "2 localpeer|me", "3 a|you"}) || !reflect.DeepEqual(diags, want) {
		t.Errorf("%q %q", got, diags)
	}
}
