package main

import (
	"errors"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func TestParseArgs(t *testing.T) {
	str := func(s string) *string { return &s }
	for _, c := range []struct {
		line string
		want args
	}{
		{"-f a.cfg -f b", args{files: []string{"a.cfg", "b"}}},
		{"-f a -db -- b -c", args{files: []string{"a", "b", "-c"}, foreground: true}},
		{"-f a -sf 1 2 -D", args{files: []string{"a"}, old: []int{1, 2}, oldSignal: syscall.SIGUSR1, daemon: true}},
		{"-st -f a", args{files: []string{"a"}, oldSignal: syscall.SIGTERM}},
		{"-dS -dV", args{switches: []string{"dS", "dV"}}},
		{"-q -V", args{verbose: true}},
		{"-V -q", args{verbose: true, quiet: true}},
		{"-D -db", args{foreground: true}},
		{"-Ws -S /x,level,user -S :1", args{master: true, notify: true, masterCLI: []string{"/x,level,user", ":1"}}},
		{"-cc true", args{condition: str("true")}},
		{"-dKall,cfg -c", args{dump: str("all,cfg"), check: true}},
		{"-N 7 -n 5 -m 6 -p f -L l -C d -x s", args{proxyMaxconn: 7, maxconn: 5, memory: 6, pidfile: "f", peer: "l", dir: "d", takeFrom: "s"}},
		{"-vv", args{version: "vv"}},
		{"-v", args{version: "v"}},
		{"-vqb", args{version: "vqb"}},
		{"-dr -dF", args{switches: []string{"dr", "dF"}}},
		{"-dZ", args{switches: []string{"dZ"}}},
		{"-dC -dL -h", args{dumpConfig: true, dumpObjects: true, help: true}},
		{"-dG -dT -dk -dp -dv", args{}},
	} {
		got, err := parseArgs(strings.Fields(c.line))
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
		} else if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.line, *got, c.want)
		}
	}
}

func TestParseArgsErrors(t *testing.T) {
	for _, line := range []string{"-f", "-Z", "x", "-n", "-n x", "-n -1", "-sf x", "-cc", "-"} {
		_, err := parseArgs(strings.Fields(line))
		var bad errUsage
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v, want the usage", line, err)
		}
	}
	// All others of chapter 3 of the manual say why not.
	for line, why := range map[string]string{
		"-dA/tmp/x": "has none", "-dCkey": "not supported by Forebay yet", "-dI": "insecure", "-dM": "pools", "-dM0x50,tag": "pools", "-dR": "SO_REUSEPORT",
		"-dc": "affinity", "-de": "only poller", "-dt": "not supported by Forebay yet", "-dth2:user": "not supported by Forebay yet", "-4": "resolvers",
	} {
		_, err := parseArgs(strings.Fields(line))
		var bad errUsage
		if err == nil || errors.As(err, &bad) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", line, err, why)
		}
	}
}

// TestArgsOfTheManual: each option of chapter 3 of the manual is known.
func TestArgsOfTheManual(t *testing.T) {
	takes := map[string]string{"f": "x", "C": "x", "L": "x", "N": "1", "cc": "true", "m": "1", "n": "1", "p": "x", "S": "x", "x": "x"}
	for _, o := range strings.Fields("- f C D L N V W Ws 4 c cc d dA dC dD dF dG dI dK dL dM dR dS dT dV dW dZ db dc de dk dp dr dt dv m n p q S sf st v vv x") {
		words := []string{"-" + o}
		if v := takes[o]; v != "" {
			words = append(words, v)
		}
		_, err := parseArgs(words)
		var bad errUsage
		if errors.As(err, &bad) {
			t.Errorf("-%s: %v", o, err)
		}
	}
}
