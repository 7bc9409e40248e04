package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// Scenes over time where HAProxy 2.6 and 3.4 agree, played to both programs: what
// the client is told and what is logged must be the same.
func TestPoliciesAsHAProxy(t *testing.T) {
	dead := tcptest.Reserve(t).String()
	var conns atomic.Int64
	// A server that tells the number of the connection, asks for a user at /auth,
	// and answers /early before the body has come.
	live := tcptest.Serve(t, func(c net.Conn) {
		n := conns.Add(1)
		br := bufio.NewReader(c)
		for {
			q, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nconn: %d\r\ncontent-length: 2\r\n\r\nok", n)
			if q.URL.Path == "/auth" {
				answer = fmt.Sprintf("HTTP/1.1 401 no\r\nconn: %d\r\nwww-authenticate: NTLM\r\ncontent-length: 0\r\n\r\n", n)
			}
			io.WriteString(c, answer)
			io.Copy(io.Discard, q.Body)
		}
	})
	page := filepath.Join(t.TempDir(), "e.http")
	if err := os.WriteFile(page, []byte("HTTP/1.0 204 No Content\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nhost: a\r\n\r\n" }
	post := "POST / HTTP/1.1\r\nhost: a\r\n"
	const buffer = "option http-buffer-request\n timeout http-request 5s\n"
	// What is said on which connection; each waits for a response, but for pieces
	// that say so: "…" for one that comes later, "!" for the end of the connection.
	type say struct {
		client int
		text   string
	}
	scenes := []struct {
		name, conf string
		says       []say
		lines      int
	}{
		{"round robin", "balance roundrobin\n option redispatch\n server dead {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"leastconn", "balance leastconn\n option redispatch\n server dead {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"static-rr", "balance static-rr\n option redispatch\n server dead {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"first", "balance first\n option redispatch\n server dead {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"interval", "balance roundrobin\n option redispatch 1\n server dead {dead}\n server dead2 {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"too few retries", "balance roundrobin\n option redispatch\n retries 1\n server dead {dead}\n server dead2 {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"no redispatch", "balance roundrobin\n retries 2\n timeout connect 100ms\n server dead {dead}\n server live {live}", []say{{0, get("/")}}, 1},
		{"a backup is no other", "option redispatch\n retries 1\n timeout connect 100ms\n server dead {dead}\n server live {live} backup", []say{{0, get("/")}}, 1},
		{"error file", "errorfile 503 " + page + "\n retries 0\n server dead {dead}", []say{{0, get("/")}}, 1},
		{"early answer", "server live {live}", []say{{0, "POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345"}, {0, "…67890"}, {0, get("/")}}, 2},
		{"deny before the body", "http-request deny\n server live {live}", []say{{0, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345"}, {0, "!"}}, 1},
		{"connections of users", "http-reuse always\n server live {live}", []say{{0, get("/")}, {0, get("/auth")}, {1, get("/")}, {1, get("/")}, {0, get("/")}, {0, get("/")}, {2, get("/")}}, 7},
		{"connections of nobody", "http-reuse always\n server live {live}", []say{{0, get("/")}, {0, get("/")}, {1, get("/")}, {1, get("/")}, {0, get("/")}}, 5},
		{"null, not logged", "option dontlognull\n server live {live}", []say{{0, "!"}, {1, get("/")}}, 1},
		{"probe", "option http-ignore-probes\n server live {live}", []say{{0, "!"}, {1, get("/")}}, 1},
		{"begins and leaves", "option http-ignore-probes\n server live {live}", []say{{0, "…GET"}, {0, "!"}, {1, get("/")}}, 2},
		{"waits for the body", buffer + " server live {live}", []say{{0, "…" + post + "content-length: 10\r\n\r\n12345"}, {0, "67890"}, {0, get("/")}}, 2},
		{"waits for chunks", buffer + " server live {live}", []say{{0, "…" + post + "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"}, {0, "0\r\n\r\n"}, {0, get("/")}}, 2},
		{"the body stalls", buffer + " timeout http-request 200ms\n server live {live}", []say{{0, post + "content-length: 10\r\n\r\n12345"}, {0, "!"}}, 1},
		{"the body stalls, timeout client", buffer + " timeout client 200ms\n server live {live}", []say{{0, post + "content-length: 10\r\n\r\n12345"}, {0, "!"}}, 1},
		{"chunks stall", buffer + " timeout http-request 200ms\n server live {live}", []say{{0, post + "transfer-encoding: chunked\r\n\r\n5\r\n123"}, {0, "!"}}, 1},
		{"a bad chunk", buffer + " server live {live}", []say{{0, post + "transfer-encoding: chunked\r\n\r\n5\r\n12345xx"}, {0, "!"}}, 1},
		{"the body fills the buffer", buffer + " server live {live}", []say{{0, post + "content-length: 50000\r\n\r\n" + strings.Repeat("x", 20000)}, {0, "…" + strings.Repeat("x", 30000)}, {0, get("/")}}, 2},
		{"the body is met with a deny", buffer + " http-request deny\n server live {live}", []say{{0, "…" + post + "content-length: 10\r\n\r\n12345"}, {0, "67890"}, {0, get("/")}}, 2},
	}
	text := oracle.Head + " timeout client 20s\n log-format \"%b/%s %ST %tsc %rc\"\nfrontend ready\n bind {ready}\n http-request return status 200\n"
	for i, x := range scenes {
		conf := strings.NewReplacer("{dead}", dead, "{live}", live).Replace(x.conf)
		text += fmt.Sprintf("listen f%d\n bind {f%d}\n log {log%d} format raw local0\n %s\n", i, i, i, conf)
	}
	sides := oracle.Run(t, text)
	for i, x := range scenes {
		t.Run(x.name, func(t *testing.T) {
			var told [2]string
			for k, side := range sides {
				clients := map[int]net.Conn{}
				readers := map[int]*bufio.Reader{}
				names := map[string]string{}
				for _, s := range x.says {
					c := clients[s.client]
					if c == nil {
						var err error
						if c, err = net.Dial("tcp", side.Addr(fmt.Sprintf("f%d", i))); err != nil {
							t.Fatal(err)
						}
						defer c.Close()
						c.SetDeadline(time.Now().Add(20 * time.Second))
						clients[s.client], readers[s.client] = c, bufio.NewReader(c)
					}
					if s.text == "!" {
						c.(*net.TCPConn).CloseWrite()
						io.Copy(io.Discard, readers[s.client])
						told[k] += "end\n"
						continue
					}
					later := strings.HasPrefix(s.text, "…")
					io.WriteString(c, strings.TrimPrefix(s.text, "…"))
					if later {
						continue
					}
					res, err := http.ReadResponse(readers[s.client], nil)
					if err != nil {
						t.Fatalf("%s: %q: %v", side.Name, s.text, err)
					}
					io.Copy(io.Discard, res.Body)
					n := res.Header.Get("conn")
					if names[n] == "" {
						names[n] = fmt.Sprint(len(names) + 1)
					}
					told[k] += fmt.Sprintf("client %d: %d on connection %s, close %v\n", s.client, res.StatusCode, names[n], res.Close)
				}
				for range x.lines {
					told[k] += side.Line(fmt.Sprintf("log%d", i)) + "\n"
				}
			}
			if told[0] != told[1] {
				t.Errorf("ours:\n%stheirs:\n%s", told[0], told[1])
			}
		})
	}
}
