package config

import (
	"strings"
	"testing"
)

func TestCondition(t *testing.T) {
	opt := Options{
		Env:            NewEnvironment([]string{"A=1", "EMPTY="}),
		Version:        "3.4.2",
		Features:       []string{"OPENSSL", "THREAD"},
		Enabled:        []string{"EPOLL"},
		SSLLibrary:     "OpenSSL 3.0",
		OpenSSLVersion: "3.0.13",
	}
	tests := []struct {
		expr string
		want bool
		err  string
		at   int
	}{
		{"", false, "", 0},
		{"0", false, "", 0},
		{"1", true, "", 0},
		{"-1", true, "", 0},
		{"+0", false, "", 0},
		{"10", true, "", 0},
		{"0x10", true, "", 0},
		{"0x0", false, "", 0},
		{"!1", false, "", 0},
		{"! !1", true, "", 0},
		{"(1)", true, "", 0},
		{"!( 0 )", true, "", 0},
		{"1&&0", false, "", 0},
		{"1 && 1 || 0", true, "", 0},
		{"1 || 0 && 0", true, "", 0},
		{"(1 || 0) && 0", false, "", 0},
		{"defined(A)", true, "", 0},
		{"defined(EMPTY)", true, "", 0},
		{"defined(B)", false, "", 0},
		{"defined( A )", false, "", 0},
		{"defined", false, "", 0},
		{"defined()", false, "", 0},
		{"feature(OPENSSL)", true, "", 0},
		{"feature(openssl)", false, "", 0},
		{"enabled(EPOLL) && !enabled(KQUEUE)", true, "", 0},
		{"streq(a,a)", true, "", 0},
		{"streq(a, a)", false, "", 0},
		{`streq("a,b)",'a,b)')`, true, "", 0},
		{`streq(a\ b,a b)`, true, "", 0},
		{`streq("a\"b",'a"b')`, true, "", 0},
		{"streq(,)", true, "", 0},
		{"strneq(a,b)", true, "", 0},
		{"strstr(abc,b)", true, "", 0},
		{"strstr(b,abc)", false, "", 0},
		{"version_atleast(3.4)", true, "", 0},
		{"version_atleast(3.4.3)", false, "", 0},
		{"version_atleast(3.4-dev19)", true, "", 0},
		{"version_before(3.5-dev0)", true, "", 0},
		{"version_before(2)", false, "", 0},
		{"openssl_version_atleast(1.1.1)", true, "", 0},
		{"openssl_version_before(3.0.2)", false, "", 0},
		{"ssllib_name_startswith(OpenSSL)", true, "", 0},
		{"ssllib_name_startswith(wolfSSL)", false, "", 0},
		{"awslc_api_atleast(1)", false, "", 0},
		{"awslc_api_before(99)", false, "", 0},

		{" ", false, "unparsable conditional expression ''", 1},
		{"foo(1)", false, "unparsable conditional expression 'foo(1)'", 0},
		{"!", false, "unparsable conditional expression '!'", 0},
		{"()", false, "unparsable conditional expression ')'", 1},
		{"(1", false, "expected ')' after conditional expression '(1'", 0},
		{"1 &&", false, "unparsable conditional expression '&&'", 2},
		{"1 && foo", false, "unparsable conditional expression 'foo'", 5},
		{"0 && foo", false, "unparsable conditional expression 'foo'", 5},
		{"1 x", false, "unexpected character 'x' at the end of conditional expression '1 x'", 2},
		{"1 & 1", false, "unexpected character '&' at the end of conditional expression '1 & 1'", 2},
		{"streq(a)", false, "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' used in conditional expression", 7},
		{"streq", false, "missing arguments (got 0/2), type 'string' expected in argument 1 of predicate 'streq' used in conditional expression", 4},
		{"streq(a,b", false, "expected ')' in argument 1 of predicate 'streq' used in conditional expression", 9},
		{"defined(a,b)", false, "expected ')' before ',b)' in argument 1 of predicate 'defined' used in conditional expression", 9},
		{"streq(a,'b)", false, "unmatched quote in arguments of predicate 'streq' used in conditional expression", 8},
		{strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300), false, "conditional expression is nested too deeply (maximum is 256)", 256},
	}
	for _, tt := range tests {
		got, err := EvalCondition(tt.expr, opt)
		if tt.err == "" {
			if err != nil || got != tt.want {
				t.Errorf("%q: %v, %v; want %v", tt.expr, got, err, tt.want)
			}
			continue
		}
		ce, ok := err.(*ConditionError)
		if !ok || ce.Text != tt.err || ce.At != tt.at {
			t.Errorf("%.50q: %#v; want %q at %d", tt.expr, err, tt.err, tt.at)
		}
	}
}

func TestEvalArgument(t *testing.T) {
	opt := Options{Env: NewEnvironment([]string{"A=1"})}
	tests := []struct {
		text string
		want bool
		err  string
	}{
		{"", false, ""},
		{`streq("$A",1) # yes`, true, ""},
		{"1   &&   1", true, ""},
		{"foo", false, "Failed to evaluate condition: unparsable conditional expression 'foo'"},
		{`streq("a`, false, "Syntax Error in condition: Unmatched quote."},
		{`\xg`, false, "Syntax Error in condition: Truncated or invalid hexadecimal sequence."},
		{strings.Repeat("1 ", 65), false, "Error in condition: Too many words."},
	}
	for _, tt := range tests {
		got, err := EvalArgument(tt.text, opt)
		msg := ""
		if err != nil {
			msg = err.Error()
		}
		if got != tt.want || msg != tt.err {
			t.Errorf("%.30q: %v, %q; want %v, %q", tt.text, got, msg, tt.want, tt.err)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"", "2", "2.4-dev1", "2.4-dev19", "2.4-dev19-1a2b3c-12", "2.4-rc1", "2.4", "2.4.1", "2.4.10", "2.5-dev0", "3.0.0", "10.1"}
	for i, a := range order {
		for j, b := range order {
			if got, want := compareVersions(a, b), sign(i-j); got != want {
				t.Errorf("compareVersions(%q, %q) = %d; want %d", a, b, got, want)
			}
		}
	}
	if compareVersions("3.4", "3.4.0") != 0 {
		t.Error("missing parts must count as zero")
	}
	if compareVersions("2.6.12-1+deb12u4", "2.6.12") < 0 {
		t.Error("a packager's suffix must not make a version older")
	}
}

func sign(n int) int { return min(max(n, -1), 1) }
