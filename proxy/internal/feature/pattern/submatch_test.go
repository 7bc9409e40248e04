package pattern

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/race"
)

// expressions are of all the kinds that there are.
var expressions = []string{
	``, `a`, `abc`, `^abc`, `abc$`, `^$`, `(a+)(b+)?`, `(a|ab)(c|bcd)(d*)`, `(a*)*`, `(a*)+`, `(?:(a)|b)*`, `(a*?)(a*)`,
	`(?i)AbC(d)`, `\b(\w+)\b`, `\B(b)`, `(?m)^(\w)`, `(?m)(\w)$`, `(?s)(.)(.)`, `.(.)`, `[^a]([a-c]{2,3})`, `(x?)(y?)(z?)`,
	`(é|\x{fffd})`, `(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)`, `(a(b(c(d)?)?)?)`, `/api/([^/]+)/(.*)`, `(?U)(a+)(b+)`, `(|a)+`, `(a|)*b`, `\x00(.)`, `(^|a)b`, `((a)|(b))+c`,
}

func compare(t *testing.T, re *Regexp, text []byte) {
	t.Helper()
	var g Groups
	ok := re.Submatch(text, &g)
	want := re.FindSubmatchIndex(text)
	if ok != (want != nil) {
		t.Fatalf("%q in %q: %v", re, text, ok)
	}
	if !ok {
		return
	}
	want = want[:min(len(want), len(g))]
	if !slices.Equal(g[:len(want)], want) {
		t.Fatalf("%q in %q: %v, want %v", re, text, g[:len(want)], want)
	}
	if rest := g[len(want):]; slices.ContainsFunc(rest, func(n int) bool { return n != -1 }) {
		t.Fatalf("%q has groups %v", re, rest)
	}
}

func TestSubmatch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "c", "d", "ab", "abc", "abcd", "x", "y", "\n", "é", "\xff", "\x00", " ", "/api/", "/", "A", "efghijk"}
	for _, e := range expressions {
		re, err := CompileRegexp(e)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, re, nil)
		for range 400 {
			var text []byte
			for range rnd.IntN(8) {
				text = append(text, pieces[rnd.IntN(len(pieces))]...)
			}
			compare(t, re, text)
		}
	}
}

// What is too long to keep books of is matched all the same.
func TestSubmatchOfLongText(t *testing.T) {
	re, err := CompileRegexp(`(a+)(b)\w{20}`)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		compare(t, re, append(bytes.Repeat([]byte("ca"), 1000*n), strings.Repeat("ab", 50)...))
	}
}

func TestSubmatchDoesNotAllocate(t *testing.T) {
	var g Groups
	text := []byte("GET /api/users/5?and=more HTTP/1.1")
	for _, e := range []string{`^GET /api/([^/]+)/(.*) HTTP`, `/([a-z]+)/(\d+)`, `(\w+)=(\w+)`, `(nothing)`} {
		re, err := CompileRegexp(e)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { re.Submatch(text, &g) }); n > 0 && !race.Enabled { // which empties pools
			t.Errorf("%s: %v allocations", e, n)
		}
	}
}

func FuzzSubmatch(f *testing.F) {
	for _, e := range expressions {
		f.Add(e, []byte("abcabcd /api/x/y"))
	}
	f.Fuzz(func(t *testing.T, e string, text []byte) {
		if _, err := regexp.Compile(e); err != nil || len(e) > 60 || len(text) > 4000 {
			return
		}
		re, err := CompileRegexp(e)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, re, text)
	})
}

func BenchmarkSubmatch(b *testing.B) {
	re, _ := CompileRegexp(`/api/([^/]+)/([0-9]+)`)
	text := []byte("http://example.com/api/users/12345?and=more")
	b.Run("own", func(b *testing.B) {
		var g Groups
		for b.Loop() {
			re.Submatch(text, &g)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		for b.Loop() {
			re.FindSubmatchIndex(text)
		}
	})
}
