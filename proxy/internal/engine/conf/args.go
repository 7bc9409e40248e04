package conf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
)

// say makes an error of a message, which may end with a full stop as HAProxy's
// do: what users see is the sentence as it is.
func say(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Again tells whether the keyword was there before, and says so: the first one
// counts, as in HAProxy, and the configuration loads. Options of one setting share
// a key.
func (c *Ctx) Again(key, name string) bool {
	if _, there := c.seen[key]; there {
		c.Diags.Skip(c.Pos, "%s already specified. Continuing.", name)
		return true
	}
	c.seen[key] = c.Pos
	return false
}

// Arg gives the i-th argument, "" if there is none.
func (c *Ctx) Arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

// Address reads the address that is the i-th of words, see [config.ParseAddress].
// Variables in it are expanded, and the word is what it stands for from then on.
func (l *Loading) Address(words []string, i int, o config.AddressOptions) (config.Address, error) {
	if err := l.expand(words, i); err != nil {
		return config.Address{}, err
	}
	return config.ParseAddress(words[i], o)
}

// expand replaces the variables of an address.
func (l *Loading) expand(words []string, i int) error {
	if l.env == nil || !strings.Contains(words[i], "$") {
		return nil
	}
	text := l.env.Expand(words[i])
	if text == "" {
		return say("'%s' resolves to an empty address (environment variable missing?)", words[i])
	}
	words[i] = text
	return nil
}

// extra is the error for arguments after the first n, if there are any.
func (c *Ctx) extra(n int) error {
	if len(c.Args) > n {
		return unexpected(c.Args[n])
	}
	return nil
}

// Integer reads the first and only argument; min and max bound it. want completes the
// sentence "'maxconn' expects …".
func (c *Ctx) Integer(low, high int, want string) (int, error) {
	n, err := c.number(low, high, want)
	if err != nil {
		return 0, err
	}
	return n, c.extra(1)
}

// number is Integer, whatever stands behind it.
func (c *Ctx) number(low, high int, want string) (int, error) {
	n, err := strconv.Atoi(c.Arg(0))
	if err != nil || n < low || n > high {
		return 0, Predicatef("expects %s", want)
	}
	return n, nil
}

// size reads the first argument as a number or a size ("16k"), whatever stands
// behind it.
func (c *Ctx) size(low, high int, want string) (int, error) {
	n, err := config.ParseSize(c.Arg(0))
	var bad *config.CharError
	switch {
	case err == nil && n >= int64(low) && n <= int64(high):
		return int(n), nil
	case errors.As(err, &bad) && c.Arg(0)[0] != '-':
		return 0, say("unexpected '%c' after size passed to '%s'", bad.Char, c.Keyword)
	}
	return c.number(low, high, want)
}

// Time reads a duration in HAProxy's notation (manual 2.5). name completes the
// messages: "timer overflow in argument '99d' to 'timeout client' …".
func Time(text, name string, unit time.Duration) (time.Duration, error) {
	d, err := config.ParseTime(text, unit)
	var bad *config.CharError
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, config.ErrTimeOverflow):
		return 0, say("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 ms or ~24.8 days)", text, name)
	case errors.As(err, &bad):
		return 0, say("unexpected character '%c' in '%s'", bad.Char, name)
	}
	return 0, say("'%s' expects an integer value (in milliseconds)", name)
}

// value gives the argument of an option of a bind or server line.
func value(words []string) (string, error) {
	if len(words) < 2 {
		return "", Causef("missing value")
	}
	return words[1], nil
}

// intValue gives the argument of an option as a number in a range.
func intValue(words []string, low, high int) (int, error) {
	w := ReadWords(words[1:])
	return w.Int(low, high)
}

const maxInt = 1<<31 - 1

// text joins what is left of the line.
func (c *Ctx) text() string { return strings.Join(c.Args, " ") }
