package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Errors of ParseTime and ParseSize.
var (
	ErrTimeOverflow = errors.New("timer overflow")
	ErrSizeOverflow = errors.New("size overflow")
	ErrNoNumber     = errors.New("a number is expected")
)

// CharError is the first character that does not belong into a number.
type CharError struct{ Char rune }

// Error returns "unexpected character 'x'".
func (e *CharError) Error() string { return fmt.Sprintf("unexpected character '%c'", e.Char) }

// TimeErrorText words an error of ParseTime for an argument of a keyword, as HAProxy does.
func TimeErrorText(err error, arg, keyword string, unit time.Duration) string {
	var bad *CharError
	switch {
	case errors.Is(err, ErrTimeOverflow) && unit == time.Second:
		return fmt.Sprintf("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 s or ~68 years)", arg, keyword)
	case errors.Is(err, ErrTimeOverflow):
		return fmt.Sprintf("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 ms or ~24.8 days)", arg, keyword)
	case errors.As(err, &bad):
		return fmt.Sprintf("unexpected character '%c' in '%s'", bad.Char, keyword)
	default:
		return fmt.Sprintf("'%s' expects an integer value (in milliseconds)", keyword)
	}
}

// ParseTime reads a duration (manual 2.5): a whole number and an optional unit out of us, ms, s, m, h, d. Without a
// unit the number counts in the given one. A duration that is no multiple of that unit is rounded up. Errors are
// *CharError, ErrNoNumber or ErrTimeOverflow (more than 2^31-1 units).
func ParseTime(s string, unit time.Duration) (time.Duration, error) {
	value, rest, over, err := leadingNumber(s)
	if err != nil {
		return 0, err
	}
	scale := unit
	switch rest {
	case "":
	case "us":
		scale = time.Microsecond
	case "ms":
		scale = time.Millisecond
	case "s":
		scale = time.Second
	case "m":
		scale = time.Minute
	case "h":
		scale = time.Hour
	case "d":
		scale = 24 * time.Hour
	default:
		return 0, &CharError{Char: firstBad(rest, "us", "ms", "s", "m", "h", "d")}
	}
	if over || value > uint64(math.MaxInt64/int64(scale)) {
		return 0, ErrTimeOverflow
	}
	d := time.Duration(value) * scale
	units := d / unit
	if d%unit != 0 {
		units++
	}
	if units > math.MaxInt32 {
		return 0, ErrTimeOverflow
	}
	return units * unit, nil
}

// ParseSize reads a number of bytes (manual 2.6): a whole number and an optional unit k, m or g of either case.
// Errors are *CharError, ErrNoNumber or ErrSizeOverflow.
func ParseSize(s string) (int64, error) {
	value, rest, over, err := leadingNumber(s)
	if err != nil {
		return 0, err
	}
	shift := 0
	switch rest {
	case "":
	case "k", "K":
		shift = 10
	case "m", "M":
		shift = 20
	case "g", "G":
		shift = 30
	default:
		return 0, &CharError{Char: firstBad(strings.ToLower(rest), "k", "m", "g")}
	}
	if over || value > math.MaxInt64>>shift {
		return 0, ErrSizeOverflow
	}
	return int64(value << shift), nil
}

func leadingNumber(s string) (value uint64, rest string, over bool, err error) {
	if s == "" {
		return 0, "", false, ErrNoNumber
	}
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		if value > (math.MaxUint64-9)/10 {
			over = true
		}
		value = value*10 + uint64(s[i]-'0')
		i++
	}
	if i == 0 {
		for _, c := range s {
			return 0, "", false, &CharError{Char: c}
		}
	}
	return value, s[i:], over, nil
}

// firstBad returns the character at which a suffix stops being the beginning of one of the units.
func firstBad(rest string, units ...string) rune {
	for i, c := range rest {
		ok := false
		for _, u := range units {
			ok = ok || len(u) > i && u[:i] == rest[:i] && rune(u[i]) == c
		}
		if !ok {
			return c
		}
	}
	return rune(rest[0]) // nothing but the beginning of a unit
}
