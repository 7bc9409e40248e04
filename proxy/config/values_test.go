package config

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	tests := []struct {
		in   string
		unit time.Duration
		want time.Duration
		err  string
	}{
		{"0", time.Millisecond, 0, ""},
		{"5", time.Millisecond, 5 * time.Millisecond, ""},
		{"5", time.Second, 5 * time.Second, ""},
		{"5ms", time.Second, time.Second, ""}, // rounded up
		{"500us", time.Millisecond, time.Millisecond, ""},
		{"1500us", time.Millisecond, 2 * time.Millisecond, ""},
		{"0us", time.Millisecond, 0, ""},
		{"10s", time.Millisecond, 10 * time.Second, ""},
		{"2m", time.Millisecond, 2 * time.Minute, ""},
		{"3h", time.Millisecond, 3 * time.Hour, ""},
		{"24d", time.Millisecond, 24 * 24 * time.Hour, ""},
		{"2147483647", time.Millisecond, math.MaxInt32 * time.Millisecond, ""},
		{"2147483648", time.Millisecond, 0, "timer overflow in argument '2147483648' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)"},
		{"25d", time.Millisecond, 0, "timer overflow in argument '25d' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)"},
		{"25d", time.Second, 25 * 24 * time.Hour, ""},
		{"99999999999999999999999", time.Second, 0, "timer overflow in argument '99999999999999999999999' to 'timeout client' (maximum value is 2147483647 s or ~68 years)"},
		{"18446744073709551617", time.Millisecond, 0, "timer overflow in argument '18446744073709551617' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)"},
		{"5x", time.Millisecond, 0, "unexpected character 'x' in 'timeout client'"},
		{"5M", time.Millisecond, 0, "unexpected character 'M' in 'timeout client'"},
		{"5msx", time.Millisecond, 0, "unexpected character 'x' in 'timeout client'"},
		{"2h3m", time.Millisecond, 0, "unexpected character '3' in 'timeout client'"},
		{"1u", time.Millisecond, 0, "unexpected character 'u' in 'timeout client'"},
		{"1.5s", time.Millisecond, 0, "unexpected character '.' in 'timeout client'"},
		{"-1", time.Millisecond, 0, "unexpected character '-' in 'timeout client'"},
		{"é", time.Millisecond, 0, "unexpected character 'é' in 'timeout client'"},
		{"", time.Millisecond, 0, "'timeout client' expects an integer value (in milliseconds)"},
	}
	for _, tt := range tests {
		got, err := ParseTime(tt.in, tt.unit)
		msg := ""
		if err != nil {
			msg = TimeErrorText(err, tt.in, "timeout client", tt.unit)
		}
		if got != tt.want || msg != tt.err {
			t.Errorf("ParseTime(%q, %v) = %v, %q; want %v, %q", tt.in, tt.unit, got, msg, tt.want, tt.err)
		}
	}
}

func TestParseSize(t *testing.T) {
	tests := []struct {
		in   string
		want int64
		err  error
	}{
		{"0", 0, nil},
		{"100", 100, nil},
		{"16k", 16384, nil},
		{"16K", 16384, nil},
		{"2m", 2 << 20, nil},
		{"5G", 5 << 30, nil},
		{"9223372036854775807", math.MaxInt64, nil},
		{"9223372036854775808", 0, ErrSizeOverflow},
		{"8589934592g", 0, ErrSizeOverflow},
		{"99999999999999999999", 0, ErrSizeOverflow},
		{"", 0, ErrNoNumber},
		{"16kk", 0, &CharError{'k'}},
		{"16x", 0, &CharError{'x'}},
		{"k", 0, &CharError{'k'}},
		{"1.5k", 0, &CharError{'.'}},
	}
	for _, tt := range tests {
		got, err := ParseSize(tt.in)
		var want, bad *CharError
		ok := errors.Is(err, tt.err)
		if errors.As(tt.err, &want) {
			ok = errors.As(err, &bad) && bad.Char == want.Char
		}
		if got != tt.want || !ok {
			t.Errorf("ParseSize(%q) = %d, %v; want %d, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestSuggest(t *testing.T) {
	global := []string{
		"chroot", "daemon", "group", "hard-stop-after", "log", "log-send-hostname", "log-tag", "lua-load", "maxconn", "nbproc", "nbthread",
		"pidfile", "ssl-default-bind-ciphers", "ssl-default-bind-ciphersuites", "stats", "tune.bufsize", "tune.h2.max-frame-size",
		"ulimit-n", "user",
	}
	for word, want := range map[string]string{
		"nbthrd": "nbthread", "maxcon": "maxconn", "chrot": "chroot", "demon": "daemon", "stat": "stats", "gruop": "group", "usr": "user",
		"tune.bufsiz": "tune.bufsize", "ulimitn": "ulimit-n", "log-tagg": "log-tag", "lua.load": "lua-load", "NBTHREAD": "nbthread",
		"ssl-default-bind-cipher": "ssl-default-bind-ciphers", "tune.h2.max-frm-size": "tune.h2.max-frame-size",
		"foobar": "", "x": "", "": "",
	} {
		if got := Suggest(word, global); got != want {
			t.Errorf("Suggest(%q) = %q; want %q", word, got, want)
		}
	}
	if got := Suggest("abc", nil); got != "" {
		t.Errorf("no candidates: %q", got)
	}
}

func TestUnknownKeyword(t *testing.T) {
	var d Diagnostics
	d.UnknownKeyword(Pos{"f", 12}, "blance", "backend", []string{"mode", "balance"})
	d.UnknownKeyword(Pos{"f", 13}, "zzz", "backend", []string{"mode"})
	want := []string{
		"config : parsing [f:12] : unknown keyword 'blance' in 'backend' section; did you mean 'balance' maybe ?",
		"config : parsing [f:13] : unknown keyword 'zzz' in 'backend' section",
	}
	for i, x := range d.All() {
		if x.String() != want[i] {
			t.Errorf("got %q", x)
		}
	}
}
