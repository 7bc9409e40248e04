package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

const head = oracle.Head

const request = "GET / HTTP/1.0\r\n\r\n"

// header makes one of version 2.
func header(command, family byte, rest ...string) string {
	body := strings.Join(rest, "")
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(body)))) + body
}

func tlv(typ byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value)))) + value
}

const (
	v4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x03\xe8\x07\xd0"
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x03\xe8\x07\xd0"
)

// receiver reports what it knows of its client.
const receiver = `
  http-request return status 200 content-type text/plain lf-string "src=%[src] %[src_port] dst=%[dst] %[dst_port] fc_src=%[fc_src] fc_dst=%[fc_dst] rcvd=%[fc_rcvd_proxy] auth=%[fc_pp_authority] id=%[fc_pp_unique_id]"
`

var port = regexp.MustCompile(`(127\.0\.0\.1) \d{4,5}`)

// body is a response's body; "" when the connection was just closed.
func body(response string) string {
	_, b, _ := strings.Cut(response, "\r\n\r\n")
	return port.ReplaceAllString(b, "$1 PORT")
}

// TestReceiveAsHAProxy sends headers to listeners of both programs.
func TestReceiveAsHAProxy(t *testing.T) {
	sides := oracle.Run(t, head+`
frontend pp
  bind {pp} accept-proxy`+receiver+`
frontend cip
  bind {cip} accept-netscaler-cip 1234`+receiver+`
frontend both
  bind {both} accept-netscaler-cip 1234 accept-proxy`+receiver+`
frontend rule
  bind {rule}
  tcp-request connection expect-proxy layer4 if { src 127.0.0.0/8 }
  tcp-request connection accept if { dst 127.0.0.1 }
  tcp-request connection reject`+receiver+`
frontend plain
  bind {plain}
  tcp-request connection expect-proxy layer4 if { src 10.0.0.0/8 }
  tcp-request connection expect-proxy layer4 unless { dst_port 1:65535 }`+receiver+`
frontend never
  bind {never}
  tcp-request connection accept if { src 10.0.0.0/8 }
  tcp-request connection reject if { src 127.0.0.1 }`+receiver)
	const (
		ip4 = "\x45\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08"
		tcp = "\x03\xe8\x07\xd0\x00\x00\x00\x00\x00\x00\x00\x00\x50\x00\x00\x00\x00\x00\x00\x00"
		cip = "\x00\x00\x04\xd2\x00\x00\x00\x28" + ip4 + tcp
	)
	// want is for what HAProxy 2.6 does otherwise, with the reason.
	for _, c := range []struct{ frontend, header, want, why string }{
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY TCP6 ::1 2001:db8::2 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY UNKNOWN\r\n"},
		{frontend: "pp", header: "PROXY UNKNOWN foo bar\r\n", why: "the specification says to ignore the words",
			want: "src=127.0.0.1 PORT dst=127.0.0.1 PORT fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1 auth= id="},
		{frontend: "pp", header: "PROXY TCP4 01.2.3.4 5.6.7.8 1000 2000\r\n", why: "the specification forbids leading zeros"},
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4 5.6.7.8 01000 2000\r\n", why: "the specification forbids leading zeros"},
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4 5.6.7.8 70000 2000\r\n", why: "no such port"},
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4  5.6.7.8 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000 x\r\n"},
		{frontend: "pp", header: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\n"},
		{frontend: "pp", header: "PROXY FOOO 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY TCP4 ::1 ::2 1000 2000\r\n"},
		{frontend: "pp", header: "PROXY TCP6 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{frontend: "pp", header: ""},
		{frontend: "pp", header: header(0x21, 0x11, v4)},
		{frontend: "pp", header: header(0x21, 0x21, v6)},
		{frontend: "pp", header: header(0x20, 0)},
		{frontend: "pp", header: header(0x20, 0x11, v4)},
		{frontend: "pp", header: header(0x20, 0, tlv(2, "a.org"))},
		{frontend: "pp", header: header(0x21, 0), why: "the specification makes it mandatory to accept",
			want: "src=127.0.0.1 PORT dst=127.0.0.1 PORT fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1 auth= id="},
		{frontend: "pp", header: header(0x21, 0x12, v4), why: "a valid combination, to be treated as unspecified",
			want: "src=127.0.0.1 PORT dst=127.0.0.1 PORT fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1 auth= id="},
		{frontend: "pp", header: header(0x21, 0x31, strings.Repeat("\x00", 216)), why: "UNIX addresses are supported",
			want: "src=  dst=  fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1 auth= id="},
		{frontend: "pp", header: header(0x21, 0x41, v4)},
		{frontend: "pp", header: header(0x21, 0x13, v4)},
		{frontend: "pp", header: header(0x22, 0x11, v4)},
		{frontend: "pp", header: header(0x31, 0x11, v4)},
		{frontend: "pp", header: header(0x21, 0x11, v4[:8])},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(2, "a.org"), tlv(5, "id"))},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(2, "a.org"), tlv(2, "b.org")), why: "the manual of 3.4 says the first",
			want: "src=1.2.3.4 1000 dst=5.6.7.8 2000 fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1 auth=a.org id="},
		{frontend: "pp", header: header(0x21, 0x11, v4, "\x02\x00\x09ab")},
		{frontend: "pp", header: header(0x21, 0x11, v4, "\x02")},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(3, "abcd"))},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(2, strings.Repeat("a", 300)))},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(5, strings.Repeat("a", 129)))},
		{frontend: "pp", header: header(0x21, 0x11, v4, tlv(4, strings.Repeat("a", 12000)))},
		{frontend: "cip", header: cip},
		{frontend: "cip", header: "\x00\x00\x04\xd2\x00\x00\x00\x30\x00\x00\x00\x28" + ip4 + tcp},
		{frontend: "cip", header: "\x00\x00\x04\xd3" + cip[4:]},
		{frontend: "cip", header: cip[:8] + "\x30" + cip[9:]},
		{frontend: "cip", header: cip[:17] + "\x11" + cip[18:]},
		{frontend: "both", header: cip + "PROXY TCP4 9.9.9.9 8.8.8.8 1 2\r\n"},
		{frontend: "both", header: "PROXY TCP4 9.9.9.9 8.8.8.8 1 2\r\n" + cip},
		{frontend: "both", header: cip},
		{frontend: "rule", header: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{frontend: "rule", header: ""},
		{frontend: "plain", header: ""},
		{frontend: "plain", header: "PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n"},
		{frontend: "never", header: ""},
	} {
		var got [2]string
		for i, s := range sides {
			got[i] = body(s.Exchange(c.frontend, c.header+request))
		}
		switch {
		case c.why == "" && got[0] != got[1]:
			t.Errorf("%s, %q:\nforebay %q\nhaproxy %q", c.frontend, c.header, got[0], got[1])
		case c.why != "" && (got[0] != c.want || got[1] == c.want):
			t.Errorf("%s, %q:\nforebay %q\nhaproxy %q\nthough %s", c.frontend, c.header, got[0], got[1], c.why)
		}
	}
}

// sink is a server that keeps what connections begin with, up to the first
// request or their end.
type sink struct {
	addr string
	got  chan string
}

func newSink(t *testing.T) *sink {
	s := &sink{got: make(chan string, 1000)}
	s.addr = tcptest.Serve(t, func(c net.Conn) {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		var b []byte
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			b = append(b, buf[:n]...)
			if i := bytes.Index(b, []byte("\r\n\r\nEND")); i >= 0 {
				s.got <- string(b[:i])
				return
			}
			if i := bytes.Index(b, []byte("GET /")); i >= 0 && bytes.HasSuffix(b, []byte("\r\n\r\n")) {
				s.got <- string(b[:i])
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
				return
			}
			if err != nil {
				s.got <- string(b)
				return
			}
		}
	})
	return s
}

// next gives what the next connection began with.
func (s *sink) next(t *testing.T) string {
	t.Helper()
	select {
	case b := <-s.got:
		return b
	case <-time.After(20 * time.Second):
		t.Fatal("no connection")
		return ""
	}
}

// TestSendAsHAProxy compares the headers that servers get.
func TestSendAsHAProxy(t *testing.T) {
	options := []string{
		"send-proxy",
		"send-proxy-v2",
		"send-proxy-v2-ssl",
		"send-proxy-v2-ssl-cn",
		"send-proxy send-proxy-v2",
		"send-proxy-v2 no-send-proxy-v2",
		"send-proxy-v2 no-send-proxy",
		"send-proxy send-proxy-v2 no-send-proxy-v2",
		"send-proxy-v2 proxy-v2-options crc32c",
		"send-proxy-v2 proxy-v2-options crc32c,authority,ssl,cert-cn",
		"send-proxy no-send-proxy",
	}
	to := newSink(t)
	text := head
	for i, o := range options {
		text += fmt.Sprintf(`
frontend f%d
  bind {f%d} accept-proxy
  default_backend b%d
backend b%d
  server s %s %s
`, i, i, i, i, to.addr, o)
	}
	// inherited from defaults
	text += fmt.Sprintf(`
frontend d
  bind {d} accept-proxy
  default_backend e
backend e
  default-server send-proxy-v2 proxy-v2-options crc32c
  server s %s no-send-proxy-v2 send-proxy
`, to.addr)
	sides := oracle.Run(t, text)
	for _, h := range []string{
		"PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n",
		"PROXY TCP6 2001:db8::1 ::1 1000 2000\r\n",
		"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1000 2000\r\n",
	} {
		for i := range len(options) + 1 {
			frontend, option := "d", "default-server"
			if i < len(options) {
				frontend, option = fmt.Sprint("f", i), options[i]
			}
			var got [2]string
			for k, s := range sides {
				s.Exchange(frontend, h+request)
				got[k] = to.next(t)
			}
			if got[0] != got[1] {
				t.Errorf("%s, %q:\nforebay %q\nhaproxy %q", option, h, got[0], got[1])
			}
		}
	}
}

var checkPorts = regexp.MustCompile(` \d{4,5} \d{4,5}\r`)

// TestChecksAsHAProxy compares what health checks begin with.
func TestChecksAsHAProxy(t *testing.T) {
	for _, o := range []string{
		"send-proxy",
		"send-proxy-v2",
		"send-proxy-v2 proxy-v2-options crc32c,ssl,authority",
		"|http-check connect send-proxy",
		"send-proxy-v2|http-check connect send-proxy",
		"send-proxy-v2|http-check connect",
		"send-proxy-v2|http-check connect default",
		"port {port} send-proxy-v2|http-check connect default",
		"port {port} send-proxy-v2|http-check connect default send-proxy",
		"check-send-proxy",
		"send-proxy-v2 port {port}",
		"send-proxy-v2 addr 127.0.0.1",
		"send-proxy-v2 check-send-proxy port {port}",
		"check-send-proxy port {port}",
		"",
	} {
		var got [2]string
		for i, s := range []string{"forebay", "haproxy"} {
			t.Run(s, func(t *testing.T) {
				to := newSink(t)
				_, p, _ := net.SplitHostPort(to.addr)
				option, rules, _ := strings.Cut(strings.ReplaceAll(o, "{port}", p), "|")
				text := head + "frontend on\n bind {on}\nbackend b\n option httpchk\n " + rules + "\n server s " + to.addr + " check inter 100ms " + option + "\n"
				oracle.RunOne(t, s, text)
				got[i] = checkPorts.ReplaceAllString(to.next(t), " PORT PORT\r")
			})
		}
		if got[0] != got[1] {
			t.Errorf("%s:\nforebay %q\nhaproxy %q", o, got[0], got[1])
		}
	}
}

// TestChain puts each program before each.
func TestChain(t *testing.T) {
	last := oracle.Run(t, head+"frontend pp\n bind {pp} accept-proxy"+receiver)
	text := head
	versions := []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,ssl,authority"}
	for i, s := range last {
		for k, v := range versions {
			n := i*len(versions) + k
			text += fmt.Sprintf("frontend f%d\n bind {f%d}\n default_backend b%d\nbackend b%d\n server s %s %s\n", n, n, n, n, s.Addr("pp"), v)
		}
	}
	first := oracle.Run(t, text)
	for i, s := range last {
		for k, v := range versions {
			for _, f := range first {
				name := fmt.Sprint("f", i*len(versions)+k)
				_, p, _ := net.SplitHostPort(f.Addr(name))
				got := f.Exchange(name, request)
				if want := "dst=127.0.0.1 " + p + " fc_src=127.0.0.1 fc_dst=127.0.0.1 rcvd=1"; !strings.Contains(got, want) {
					t.Errorf("%s, %s to %s: %q lacks %q", v, f.Name, s.Name, got, want)
				}
			}
		}
	}
}

// TestCurl lets curl make headers.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is not installed: make deps")
	}
	s := oracle.Run(t, head+"frontend pp\n bind {pp} accept-proxy"+receiver)[0]
	for _, c := range []struct{ option, want string }{
		{"--haproxy-protocol", "src=127.0.0.1 "},
		{"--haproxy-clientip=192.0.2.7", "src=192.0.2.7 "},
		{"--haproxy-clientip=2001:db8::7", "src=2001:db8::7 "},
	} {
		option, value, _ := strings.Cut(c.option, "=")
		args := []string{"-sS", "--max-time", "20", option}
		if value != "" {
			args = append(args, value)
		}
		out, err := exec.Command(curl, append(args, "http://"+s.Addr("pp")+"/")...).CombinedOutput()
		if strings.Contains(string(out), "is unknown") {
			continue // an older curl
		}
		if err != nil || !strings.HasPrefix(string(out), c.want) || !strings.Contains(string(out), "rcvd=1") {
			t.Errorf("%s: %v, %q", c.option, err, out)
		}
	}
}
