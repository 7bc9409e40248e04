package proxyproto_test

import (
	"os"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/proxyproto"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
)

// TestReadme loads the manual page's example.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
	for l := range strings.Lines(string(b)) {
		if l, ok := strings.CutPrefix(l, "    "); ok {
			text += l
		}
	}
	s, d := bed.Load(1, text)
	if s == nil || len(d.All()) > 0 {
		t.Fatalf("%s\n%v", text, d.All())
	}
	app := s.Backends["app"].ServerLines
	if proxyproto.SenderOf(app[0].Settings) == nil || stream.Uplinks.Of(app[0].Settings).Preamble == nil || proxyproto.ForChecks.Of(app[0].Settings) == nil || proxyproto.ForChecks.Of(app[1].Settings) == nil {
		t.Errorf("%+v %+v", app[0].Settings, app[1].Settings)
	}
	if n := len(s.Frontends["web"].ConnRules); n != 2 {
		t.Errorf("%d rules", n)
	}
}

// TestMessages: mistakes and what is said of them.
func TestMessages(t *testing.T) {
	for line, want := range map[string]string{
		"server s 127.0.0.1:1 proxy-v2-options":                       "'' : proxy v2 option not implemented",
		"server s 127.0.0.1:1 send-proxy-v2 proxy-v2-options ssl,foo": "'foo' : proxy v2 option not implemented",
		"server s 127.0.0.1:1 proxy-v2-options crc32c":                "have no effect without 'send-proxy-v2'",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(1) a":              "have no effect without 'send-proxy-v2'",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt a":                 "expects an argument in parentheses",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(256) a":            "a number between 0 and 255",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(x) a":              "a number between 0 and 255",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(1":                 "a number between 0 and 255",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(1)":                "expects a log-format string",
		"server s 127.0.0.1:1 set-proxy-v2-tlv-fmt(1) %[nosuch]":      "unknown fetch method 'nosuch'",
		"server s 127.0.0.1:1 send-proxy(1)":                          "unknown keyword 'send-proxy(1)'",
		"bind 127.0.0.1:1 accept-netscaler-cip":                       "missing value",
		"bind 127.0.0.1:1 accept-netscaler-cip 0":                     "invalid value '0'",
		"bind 127.0.0.1:1 accept-netscaler-cip 4294967296":            "invalid value '4294967296'",
		"http-request deny if { fc_pp_tlv(x) -m found }":              "a number between 0 and 255 or the name of a type",
		"http-request deny if { fc_pp_tlv(256) -m found }":            "a number between 0 and 255 or the name of a type",
		"tcp-request connection reject if { fc_pp_tlv(1) -m found }":  "will never match",
		"tcp-request connection reject if { path / }":                 "will never match",
	} {
		_, d := bed.Load(1, "listen l\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n "+line+"\n")
		found := false
		for _, x := range d.All() {
			found = found || strings.Contains(x.Text, want)
		}
		if !found {
			t.Errorf("%s: %v", line, d.All())
		}
	}
	if s, d := bed.Load(1, "backend b\n tcp-request connection accept\n"); s != nil {
		t.Errorf("accepted in a backend: %v", d.All())
	}
}
