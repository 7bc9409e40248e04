package conf

import (
	"slices"
	"strconv"
	"time"
)

// Cause is what is wrong with the arguments of a keyword, an option, an action or
// a rule of a check. It does not say whose they are: who has read the name makes
// the sentence, see [About]. Parsers return one for what has the usual form, and
// any other error for a text of its own.
type Cause struct {
	error
	joint string
}

func (e *Cause) Unwrap() error { return e.error }

// Causef is a cause behind a colon: "'maxconn' : missing value".
func Causef(format string, args ...any) error { return &Cause{say(format, args...), " : "} }

// Predicatef is a cause that the name is the subject of: "'level' only supports …".
func Predicatef(format string, args ...any) error { return &Cause{say(format, args...), " "} }

// About makes the sentence of what is wrong with the arguments of a name. What is
// no bare cause stays as it is.
func About(name string, err error) error {
	if bare, ok := err.(*Cause); ok {
		return say("'%s'%s%w", name, bare.joint, err)
	}
	return err
}

// Option makes the parser of an option of a "bind" or "server" line of what reads
// its arguments.
func Option[T any](read func(c *Ctx, t *T, w *Words) error) func(*Ctx, *T, []string) (int, error) {
	return func(c *Ctx, t *T, words []string) (int, error) {
		w := ReadWords(words[1:])
		err := read(c, t, &w)
		return len(words) - len(w.list), err
	}
}

// Words are the arguments of a line, which are taken one after another. One reader
// serves keywords, options of lines, rules and checks.
type Words struct {
	list []string
	stop []string
}

// ReadWords gives a reader of list. Where a word of stop stands, the arguments end
// and something else begins ("if", "unless").
func ReadWords(list []string, stop ...string) Words { return Words{list, stop} }

// Words gives a reader of the line's arguments.
func (c *Ctx) Words() Words { return ReadWords(c.Args) }

// Rest are the words that were not taken yet.
func (w *Words) Rest() []string { return w.list }

// Peek gives the next word without taking it, "" at the end.
func (w *Words) Peek() string {
	if len(w.list) == 0 || slices.Contains(w.stop, w.list[0]) {
		return ""
	}
	return w.list[0]
}

// Next takes the next word, "" at the end.
func (w *Words) Next() string {
	next := w.Peek()
	if len(w.list) > 0 && (next != "" || w.list[0] == "") {
		w.list = w.list[1:]
	}
	return next
}

// Is takes the next word if it is name.
func (w *Words) Is(name string) bool {
	if w.Peek() != name {
		return false
	}
	w.Next()
	return true
}

// Take takes the next word even when it is empty or looks like what ends the
// arguments: one that must be there. what completes "expects …".
func (w *Words) Take(what string) (string, error) {
	if len(w.list) == 0 {
		return "", Predicatef("expects %s", what)
	}
	next := w.list[0]
	w.list = w.list[1:]
	return next, nil
}

// Value takes a word that must be there and must not be empty. what completes
// "expects …"; with "" the value is said to be missing.
func (w *Words) Value(what string) (string, error) {
	if next := w.Next(); next != "" {
		return next, nil
	}
	if what == "" {
		return "", Causef("missing value")
	}
	return "", Predicatef("expects %s", what)
}

// Int takes a number in a range.
func (w *Words) Int(low, high int) (int, error) {
	v, err := w.Value("")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		return 0, Causef("expects an integer argument, found '%s'", v)
	case n < low && high == maxInt:
		return 0, Causef("invalid value %d, must be >= %d", n, low)
	case n < low || n > high:
		return 0, Causef("invalid value %d, allowed range is %d..%d", n, low, high)
	}
	return n, nil
}

// Time takes a duration in HAProxy's notation. name completes the messages, see
// [Time].
func (w *Words) Time(name string, unit time.Duration) (time.Duration, error) {
	return Time(w.Next(), name, unit)
}

// Of takes one of a few words. The error tells which they are.
func (w *Words) Of(list ...string) (string, error) {
	next := w.Next()
	if slices.Contains(list, next) {
		return next, nil
	}
	text := ""
	for i, one := range list {
		switch {
		case i > 0 && i == len(list)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += "'" + one + "'"
	}
	return "", Predicatef("expects %s, found '%s'.", text, next)
}

// End refuses what is left.
func (w *Words) End() error {
	if len(w.list) > 0 {
		return Predicatef("cannot handle unexpected argument '%s'.", w.list[0])
	}
	return nil
}
