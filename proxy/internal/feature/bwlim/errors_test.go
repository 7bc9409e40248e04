package bwlim_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

func TestErrors(t *testing.T) {
	const ok = "filter bwlim-out l default-limit 1k default-period 1s\n "
	for lines, want := range map[string]string{
		"filter bwlim-in":                                         "'filter' : 'bwlim-in' : a name is expected as first argument",
		"filter bwlim-in l":                                       "'filter' : 'bwlim-in' : <default-period> option is missing",
		"filter bwlim-in l default-limit 10k":                     "'filter' : 'bwlim-in' : <default-period> option is missing",
		"filter bwlim-in l default-period 1s":                     "'filter' : 'bwlim-in' : <default-limit> option is missing",
		"filter bwlim-in l limit 10k":                             "'filter' : 'bwlim-in' : <key> option is missing",
		"filter bwlim-in l default-limit x default-period 1s":     "'filter' : 'bwlim-in' : invalid value for option 'default-limit' (unexpected character 'x')",
		"filter bwlim-in l default-limit 1 default-period 1s x":   "'filter' : 'bwlim-in' : unexpected argument 'x'",
		"filter bwlim-in l limit 10k key nosuch":                  "'filter' : unknown fetch method 'nosuch'",
		"filter bwlim-in l limit 10k key src":                     "stick table, which shared limits need, of filter 'bwlim-in' of HAProxy 3.4 is not supported by Forebay yet",
		"filter bwlim-in l limit 1 default-limit 1":               "exclude each other",
		ok + "filter bwlim-in l default-limit 1 default-period 1": "'filter' : bwlim filter 'l' already declared for proxy 'f'",
		ok + "http-request set-bandwidth-limit":                   "missing bandwidth limitation filter name",
		ok + "http-request set-bandwidth-limit l limit":           "missing limit expression",
		ok + "http-request set-bandwidth-limit l limit 1x":        "invalid limit '1x' (unexpected character 'x')",
		ok + "http-request set-bandwidth-limit l period nosuch":   "unknown fetch method 'nosuch'",
		ok + "http-request set-bandwidth-limit l limit status":    "none of which is available here",
		ok + "http-request set-bandwidth-limit l rate 1":          "found 'rate'",
		"http-request set-bandwidth-limit nosuch":                 "Proxy 'f': unable to find bwlim filter 'nosuch' referenced by set-bandwidth-limit rule.",
	} {
		snap, d := bed.Load(1, "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:1\n "+lines+"\n")
		text := ""
		for _, x := range d.All() {
			text += x.String() + "\n"
		}
		if snap != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %s", lines, text, want)
		}
	}
}
