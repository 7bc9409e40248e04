package config

import (
	"reflect"
	"strings"
	"testing"
)

// env is the environment of the table tests.
func env(t *testing.T, kv ...string) *Environment {
	t.Helper()
	return NewEnvironment(kv)
}

func TestSplit(t *testing.T) {
	vars := env(t, "A=one", "LIST= x  y ", "EMPTY=", "BLANK=a b", "D=$A")
	tests := []struct {
		line string
		want []string // expanded
		raw  []string // as the lexical layer gives it; nil: the same
	}{
		{"", nil, nil},
		{"  \t ", nil, nil},
		{"# only a comment", nil, nil},
		{"a b\tc", []string{"a", "b", "c"}, nil},
		{"a#b", []string{"a"}, nil},
		{`a\#b`, []string{"a#b"}, nil},
		{`"a#b" '#c' # d`, []string{"a#b", "#c"}, nil},
		{`a\ b "c d" 'e f'`, []string{"a b", "c d", "e f"}, nil},
		{`a"b c"d'e f'`, []string{"ab cde f"}, nil},
		{`"it's" '"x"'`, []string{"it's", `"x"`}, nil},
		{`\"x\' "\"" "\'"`, []string{`"x'`, `"`, `'`}, nil},
		{`\n\r\t "\n\r\t" '\n\r\t'`, []string{"\n\r\t", "\n\r\t", `\n\r\t`}, nil},
		{`\x41\x7e "\x20" '\x20'`, []string{"A~", " ", `\x20`}, nil},
		{"a\\\tb \"a\\\tb\"", []string{"a\tb", "a\tb"}, nil},
		{`\q "\q" \;`, []string{`\q`, `\q`, `\;`}, nil},
		{`\\ "\\" '\\'`, []string{`\`, `\`, `\\`}, nil},
		{`$A \$A '$A' "\$A"`, []string{"$A", `\$A`, "$A", "$A"}, nil},
		{`end\`, []string{`end\`}, nil},
		{"a\rb", []string{"a"}, nil},
		{"a b\r\n", []string{"a", "b"}, nil},
		{`"" a ''`, []string{"", "a", ""}, nil},

		{`"$A" "${A}x" "$A.b"`, []string{"one", "onex", "one.b"}, []string{"$A", "${A}x", "$A.b"}},
		{`"${NO-def}" "${A-def}" "${EMPTY-def}" "${NO-}x"`, []string{"def", "one", "", "x"}, []string{"${NO-def}", "${A-def}", "${EMPTY-def}", "${NO-}x"}},
		{`"${NO-a"b c}"`, []string{`a"b c`}, []string{`${NO-a"b c}`}},
		{`"$BLANK" "${BLANK[*]}"`, []string{"a b", "a", "b"}, []string{"$BLANK", "${BLANK[*]}"}},
		{`s "${LIST[*]}" e`, []string{"s", "x", "y", "e"}, []string{"s", "${LIST[*]}", "e"}},
		{`"p${BLANK[*]}q"`, []string{"pa", "bq"}, []string{"p${BLANK[*]}q"}},
		{`s "${NO[*]}" e`, []string{"s", "e"}, []string{"s", "${NO[*]}", "e"}},
		{`s "${EMPTY[*]}"`, []string{"s"}, []string{"s", "${EMPTY[*]}"}},
		{`"${NO[*]-u v}"`, []string{"u", "v"}, []string{"${NO[*]-u v}"}},
		{`"$D"`, []string{"$A"}, []string{"$D"}}, // values are not expanded again
		{`"$NO"`, []string{""}, []string{"$NO"}},
	}
	for _, tt := range tests {
		got, _, err := split([]byte(tt.line), vars.Lookup)
		if err != nil || !reflect.DeepEqual(texts(got), tt.want) {
			t.Errorf("split(%q) = %q, %v; want %q", tt.line, texts(got), err, tt.want)
		}
		raw := tt.raw
		if raw == nil {
			raw = tt.want
		}
		if l := parseLine([]byte(tt.line), 1); !reflect.DeepEqual(l.Words, raw) {
			t.Errorf("parseLine(%q).Words = %q; want %q", tt.line, l.Words, raw)
		}
	}
}

func texts(words []word) []string {
	var list []string
	for _, w := range words {
		list = append(list, w.text)
	}
	return list
}

func TestSplitErrors(t *testing.T) {
	tests := []struct {
		line, text string
		at         int
	}{
		{`a "b`, "unmatched quote", 2},
		{`a 'b"`, "unmatched quote", 2},
		{`a "b\"`, "unmatched quote", 2},
		{`\xz4`, "truncated or invalid hexadecimal sequence", 0},
		{`ab\x4`, "truncated or invalid hexadecimal sequence", 2},
		{`"${A"`, "unmatched brace in environment variable name", 2},
		{`"${A-b"`, "unmatched brace in environment variable name", 2},
		{`"${A[x]}"`, "truncated or invalid word expansion sequence", 4},
		{`"${A[*"`, "truncated or invalid word expansion sequence", 4},
		{`"$"`, "forbidden first char in environment variable name", 2},
		{`"${}"`, "forbidden first char in environment variable name", 3},
		{`"${1A}"`, "forbidden first char in environment variable name", 3},
		{`"$`, "forbidden first char in environment variable name", 2},
		{`"${.OTHER}"`, "forbidden first char in environment variable name", 3},
	}
	none := func(string) (string, bool) { return "", false }
	for _, tt := range tests {
		_, _, err := split([]byte(tt.line), none)
		if err == nil || err.text != tt.text || err.at != tt.at {
			t.Errorf("split(%q): %+v; want %q at %d", tt.line, err, tt.text, tt.at)
		}
	}
}

// A list that expands to more words than fit must stop early, and so must a value that is repeated many times.
func TestSplitBounds(t *testing.T) {
	vars := env(t, "MANY="+strings.Repeat("w ", 1000), "BIG="+strings.Repeat("x", maxExpanded/2))
	words, _, err := split([]byte(`a "${MANY[*]}"`), vars.Lookup)
	if err == nil || !err.tooMany || len(words) > MaxWords+2 {
		t.Errorf("%d words, %+v", len(words), err)
	}
	_, _, err = split([]byte(`"$BIG" "$BIG" "$BIG"`), vars.Lookup)
	if err == nil || !strings.Contains(err.text, "too long") {
		t.Errorf("got %+v", err)
	}
}

func TestQuote(t *testing.T) {
	tests := map[string]string{
		"":           `""`,
		"plain":      "plain",
		"a$b":        "a$b",
		"a b":        `"a b"`,
		"#x":         `"#x"`,
		`\1`:         `'\1'`,
		`say "hi"`:   `'say "hi"'`,
		"it's":       `"it's"`,
		`it's "$x"`:  `"it's \"\$x\""`,
		"a\nb":       `"a\nb"`,
		"\x00\x7f":   `"\x00\x7f"`,
		"tab\there":  `"tab\there"`,
		"/(a|b)$":    "/(a|b)$",
		"%[path,a]é": "%[path,a]é",
	}
	for in, want := range tests {
		got := Quote(in)
		if got != want {
			t.Errorf("Quote(%q) = %s; want %s", in, got, want)
		}
		if back := parseLine([]byte("k "+got+" e\n"), 1); !reflect.DeepEqual(back.Words, []string{"k", in, "e"}) {
			t.Errorf("Quote(%q) = %s is read as %q", in, got, back.Words)
		}
	}
}
