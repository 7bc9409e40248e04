package conf

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// The sentence is made by who has read the name, once, and around whatever was
// made of the cause meanwhile.
func TestSentences(t *testing.T) {
	plain := errors.New("a text of its own.")
	for _, c := range []struct {
		err  error
		want string
	}{
		{Causef("missing value"), "'x' : missing value"},
		{Predicatef("expects a %s.", "name"), "'x' expects a name."},
		{plain, "a text of its own."},
		{About("y", Causef("missing value")), "'y' : missing value"},
		{Causef("%w", About("y", Predicatef("expects a name."))), "'x' : 'y' expects a name."},
		{fmt.Errorf("around %w", Causef("it")), "around it"},
	} {
		if got := About("x", c.err).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if About("x", nil) != nil || !IsNotYet(About("x", Causef("%w", NotYet("option", "z")))) || !errors.Is(About("x", plain), plain) {
		t.Error("errors get lost")
	}
}

func TestWords(t *testing.T) {
	w := ReadWords([]string{"a", "5", "x", "", "3s", "on", "if", "b"}, "if", "unless")
	if !w.Is("a") || w.Is("a") || w.Peek() != "5" {
		t.Error("words at the beginning")
	}
	if n, err := w.Int(1, 5); n != 5 || err != nil {
		t.Error(n, err)
	}
	if _, err := w.Int(1, 5); err == nil || err.Error() != "expects an integer argument, found 'x'" {
		t.Error(err)
	}
	if v, err := w.Take("a word"); v != "" || err != nil {
		t.Error(v, err)
	}
	if d, err := w.Time("delay", time.Millisecond); d != 3*time.Second || err != nil {
		t.Error(d, err)
	}
	if v, err := w.Of("on", "off"); v != "on" || err != nil {
		t.Error(v, err)
	}
	if w.Peek() != "" || w.Next() != "" || len(w.Rest()) != 2 {
		t.Errorf("goes beyond the end: %v", w.Rest())
	}
	for _, c := range []struct{ got, want error }{
		{second(w.Value("a name")), Predicatef("expects a name")},
		{second(w.Value("")), Causef("missing value")},
		{second(w.Of("on", "off", "auto")), Predicatef("expects 'on', 'off' or 'auto', found ''.")},
		{w.End(), Predicatef("cannot handle unexpected argument 'if'.")},
		{second(one("7").Int(8, 9)), Causef("invalid value 7, allowed range is 8..9")},
		{second(one("7").Int(8, maxInt)), Causef("invalid value 7, must be >= 8")},
		{second(one().Take("more")), Predicatef("expects more")},
		{one().End(), nil},
	} {
		if fmt.Sprint(About("n", c.got)) != fmt.Sprint(About("n", c.want)) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

func one(list ...string) *Words { w := ReadWords(list); return &w }

func second[T any](_ T, err error) error { return err }
