package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestProxyProtocol puts forebay, HAProxy and forebay in a row, each telling the
// next one of curl.
func TestProxyProtocol(t *testing.T) {
	o := newOrigin(t, "hello")
	logs := collect(t)
	first, second, third, shut := address(t), address(t), address(t), address(t)
	serve(t, preface+fmt.Sprintf(`
frontend third
    bind %s accept-proxy
    log %s format raw local0
    log-format "%%ci %%[dst_port] %%[fc_src] %%[fc_pp_authority] %%[fc_pp_tlv(0xe0)] %%[fc_pp_tlv(NETNS)] %%[fc_rcvd_proxy]"
    default_backend app

backend app
    server s1 %s
`, third, logs.addr, o.addr))
	serveWith(t, tool(t, "haproxy"), preface+fmt.Sprintf(`
frontend second
    bind %s accept-proxy
    default_backend on

backend on
    server s1 %s send-proxy-v2 proxy-v2-options crc32c check inter 1s
`, second, third))
	p := serve(t, preface+fmt.Sprintf(`
frontend first
    bind %s
    tcp-request connection expect-proxy layer4 if { src 127.0.0.1 }
    default_backend on

frontend shut
    bind %s
    tcp-request connection reject if { src 127.0.0.0/8 } !{ dst_port 1 }

backend on
    server s1 %s send-proxy check inter 1s
    server s2 %s send-proxy-v2 proxy-v2-options crc32c,authority set-proxy-v2-tlv-fmt(0xE0) a-%%[src_port] set-proxy-v2-tlv-fmt(0x30) blue disabled
`, first, shut, second, third))
	want := "127.0.0.1 " + first[strings.LastIndexByte(first, ':')+1:] + " 127.0.0.1 - - - 1"
	if out := sh(t, tool(t, "curl")+" -sS --max-time 20 --haproxy-protocol http://"+first+"/"); !strings.HasPrefix(out, "hello") {
		t.Errorf("curl got %q", out)
	}
	logs.next(t, want)

	// Straight to the last, with a field of one's own.
	p.ask("disable server on/s1")
	p.ask("enable server on/s2")
	if out := sh(t, tool(t, "curl")+" -sS --max-time 20 --haproxy-protocol http://"+first+"/"); !strings.HasPrefix(out, "hello") {
		t.Errorf("curl got %q", out)
	}
	if line := strings.Join(logs.next(t, " 127.0.0.1 - a-"), "\n"); !strings.Contains(line, " blue 1") {
		t.Errorf("no network namespace in %q", line)
	}

	if status, _, err := get(shut, "/"); err == nil {
		t.Errorf("a rejected connection got %d", status)
	}
	if status, _, err := get(third, "/"); err == nil {
		t.Errorf("a client without a header got %d", status)
	}
	if got := p.stat("shut", "FRONTEND", "dcon"); got != "1" {
		t.Errorf("%s connections denied", got)
	}
}
