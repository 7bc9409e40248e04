package stats_test

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// frame is a frame of HTTP/2.
func frame(kind, flags byte, id uint32, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	return string(binary.BigEndian.AppendUint32(b, id)) + payload
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// literal is a header field.
func literal(name, value string) string {
	return "\x00" + string(rune(len(name))) + name + string(rune(len(value))) + value
}

// get is the block of a request with further fields.
func get(method, path string, fields ...string) string {
	return literal(":method", method) + "\x86" + literal(":path", path) + literal(":authority", "a.example") + strings.Join(fields, "")
}

const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	end     = 1
	whole   = 4 // END_HEADERS
)

// h2columns gives the columns of HTTP/2 of an object, but the one of SETTINGS: HAProxy
// counts one twice.
func h2columns(t *testing.T, s *oracle.Side, object string) map[string]int {
	t.Helper()
	text := s.Exchange("stats", "show stat\n")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# ")))).ReadAll()
	if err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	out := map[string]int{}
	for _, row := range rows[1:] {
		if row[0]+"/"+row[1] != object {
			continue
		}
		for i, name := range rows[0] {
			if strings.HasPrefix(name, "h2_") && name != "h2_settings_rcvd" {
				if out[name], err = strconv.Atoi(row[i]); err != nil {
					t.Fatalf("%s %s: %v", object, name, err)
				}
			}
		}
	}
	if len(out) != 12 {
		t.Fatalf("%s: columns of %s: %v", s.Name, object, out)
	}
	return out
}

// say has a client say something, until the program has taken all of it or ends
// the connection. It gives what has changed of a frontend's columns, after a while of
// those of what is open.
func say(t *testing.T, s *oracle.Side, text string) string {
	t.Helper()
	const object = "f/FRONTEND"
	before := h2columns(t, s, object)
	c, err := net.Dial("tcp", s.Addr("h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, text+frame(6, 0, 0, "the last"))
	var h [9]byte
	for {
		if _, err := io.ReadFull(c, h[:]); err != nil {
			break // ended
		}
		if _, err := io.CopyN(io.Discard, c, int64(h[0])<<16|int64(h[1])<<8|int64(h[2])); err != nil || h[3] == 6 {
			break
		}
	}
	after := h2columns(t, s, object)
	c.Close()
	for began := time.Now(); after["h2_open_connections"]+after["h2_backend_open_streams"] > 0; {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("%s: what is open stays: %v", s.Name, after)
		}
		after = h2columns(t, s, object)
	}
	var list []string
	for name, n := range after {
		if n -= before[name]; n != 0 {
			list = append(list, fmt.Sprintf("%s=%d", strings.TrimPrefix(name, "h2_"), n))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// Columns of HTTP/2 beside HAProxy.
func TestH2BesideHAProxy(t *testing.T) {
	both := oracle.Run(t, strings.Replace(oracle.Head, "defaults", "  stats socket ipv4@{stats} level admin\ndefaults", 1)+`
frontend ready
  bind {ready}
frontend f
  bind {h2} proto h2
  tcp-request inspect-delay 10s
  tcp-request content reject if { path /rejected }
  http-request return status 200 content-type text/plain string hello if { path /hi }
  default_backend slow
backend slow
  server s {origin}
`)
	begin := preface + frame(4, 0, 0, "") + frame(4, 1, 0, "")
	hi := frame(1, end|whole, 1, get("GET", "/hi"))
	post := func(fields ...string) string { return frame(1, whole, 1, get("POST", "/up", fields...)) }
	part := get("GET", "/hi")[:5]
	for _, c := range []struct{ name, text, only string }{
		{"nothing", begin, ""},
		{"a request", begin + hi, ""},
		{"two requests", begin + hi + frame(8, 0, 0, number(10)) + frame(1, end|whole, 3, get("GET", "/hi")), ""},
		{"a body", begin + post() + frame(0, 0, 1, "abc") + frame(0, end, 1, "def"), ""},
		{"a head in two frames", begin + frame(1, end, 1, part) + frame(9, whole, 1, get("GET", "/hi")[5:]), ""},
		{"given up", begin + post() + frame(3, 0, 1, number(8)), ""},
		{"no settings", preface + hi, "detected_conn_protocol_errors=1 goaway_resp=1 total_connections=1"}, // 2.6 sends no GOAWAY
		{"HEADERS on 0", begin + frame(1, end|whole, 0, get("GET", "/hi")), ""},
		{"an even stream", begin + frame(1, end|whole, 2, get("GET", "/hi")), ""},
		{"DATA on an idle stream", begin + frame(0, end, 1, "abc"), ""},
		{"RST_STREAM on an idle stream", begin + frame(3, 0, 1, number(8)), ""},
		{"RST_STREAM of wrong size", begin + hi + frame(3, 0, 1, "abc"), ""},
		{"SETTINGS of wrong size", begin + frame(4, 0, 0, "abc"), ""},
		{"SETTINGS on a stream", begin + frame(4, 0, 1, ""), ""},
		{"SETTINGS that say nonsense", begin + frame(4, 0, 0, "\x00\x02\x00\x00\x00\x02"), ""},
		{"SETTINGS with a window too large", begin + frame(4, 0, 0, "\x00\x04\xff\xff\xff\xff"), ""},
		{"PING of wrong size", begin + frame(6, 0, 0, "x"), ""},
		{"WINDOW_UPDATE of 0", begin + frame(8, 0, 0, number(0)), ""},
		{"WINDOW_UPDATE beyond the bound", begin + frame(8, 0, 0, number(1<<31-1)), ""},
		{"WINDOW_UPDATE of 0 for a stream", begin + post() + frame(8, 0, 1, number(0)), ""},
		{"WINDOW_UPDATE beyond the bound for a stream", begin + post() + frame(8, 0, 1, number(1<<31-1)), ""},
		{"PUSH_PROMISE", begin + frame(5, whole, 1, number(2)+get("GET", "/hi")), ""},
		{"CONTINUATION of nothing", begin + frame(9, whole, 1, get("GET", "/hi")), ""},
		{"a frame within a head", begin + frame(1, end, 1, part) + frame(6, 0, 0, "12345678"), ""},
		{"a frame too large", begin + frame(0, 0, 1, strings.Repeat("x", 20000)), ""},
		{"what cannot be decompressed", begin + frame(1, end|whole, 1, "\xff\xff\xff\xff\xff\xff"), ""},
		{"no path", begin + frame(1, end|whole, 1, literal(":method", "GET")+"\x86"), ""},
		{"a name in capitals", begin + frame(1, end|whole, 1, get("GET", "/hi", literal("Abc", "x"))), ""},
		{"more than its length", begin + post(literal("content-length", "2")) + frame(0, end, 1, "abcd"), ""},
		{"less than its length", begin + post(literal("content-length", "9")) + frame(0, end, 1, "abcd"), ""},
		{"a PRIORITY of wrong size", begin + frame(2, 0, 1, "abc"), ""},
		{"a frame of a kind to come", begin + frame(77, 0, 0, "abc"), ""},
		{"a request that is rejected", begin + frame(1, end|whole, 1, get("GET", "/rejected")), ""},
		{"GOAWAY on a stream", begin + frame(7, 0, 1, "12345678"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := say(t, both[0], c.text), say(t, both[1], c.text)
			if c.only != "" {
				theirs = c.only
			}
			if ours != theirs {
				t.Errorf("%s, HAProxy %s", ours, theirs)
			}
		})
	}
}

// Connections with servers are the backend's. What is open stays counted when
// counters begin anew.
func TestH2WithServersBesideHAProxy(t *testing.T) {
	both := oracle.Run(t, strings.Replace(oracle.Head, "defaults", "  stats socket ipv4@{stats} level admin\ndefaults", 1)+`
frontend ready
  bind {ready}
frontend f
  bind {h2} proto h2
  http-request return status 204 if { path /no }
  http-request return status 200 content-type text/plain string hello
frontend g
  bind {h1}
  default_backend b
backend b
  http-reuse always
  server s {h2} proto h2
`)
	var got [2]string
	for i, s := range both {
		for _, path := range []string{"/", "/no", "/"} {
			if answer := s.Exchange("h1", "GET "+path+" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 20") {
				t.Fatalf("%s: %q", s.Name, answer)
			}
		}
		got[i] = fmt.Sprint(h2columns(t, s, "b/BACKEND"))
	}
	if got[0] != got[1] {
		t.Errorf("%s\nHAProxy:\n%s", got[0], got[1])
	}
	both[0].Exchange("stats", "clear counters all\n")
	for name, n := range h2columns(t, both[0], "b/BACKEND") {
		if want := strings.Count(name, "open_connections"); n != want {
			t.Errorf("%s is %d after clear counters all", name, n)
		}
	}
}
