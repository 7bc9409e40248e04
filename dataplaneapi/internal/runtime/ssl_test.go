package runtime

import (
	"bufio"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
)

// The commands that one change sends, for each way that a proxy may answer.
func TestSetSSL(t *testing.T) {
	for _, c := range []struct {
		what, name, of string
		answers        map[string]string // by the beginning of the command
		sent           string
		refused        string
	}{
		{what: "done", name: "a b.pem", sent: `show, set ssl cert a\ b.pem, commit ssl cert a\ b.pem`,
			answers: map[string]string{"set": "Transaction created for certificate a b.pem!", "commit": "Committing a b.pem.\nSuccess!"}},
		{what: "a file beside", name: "a.pem.key", sent: "show, set ssl cert a.pem.key, commit ssl cert a.pem",
			answers: map[string]string{"set": "some warning\nTransaction updated for certificate a.pem!", "commit": "Success!"}},
		{what: "a file in the place of .crt", name: "a.key", sent: "show, set ssl cert a.key, commit ssl cert a.crt",
			answers: map[string]string{"set": "Transaction created for certificate a.crt!", "commit": "Success!"}},
		{what: "told what to commit", name: "a.key", of: "a.pem", sent: "show, set ssl cert a.key, commit ssl cert a.pem",
			answers: map[string]string{"set": "Transaction created for certificate a!", "commit": "Success!"}},
		{what: "the same transaction is open", name: "a", sent: "show, set ssl cert a, commit ssl cert a",
			answers: map[string]string{"show": "# transaction\n*a\n# filename\na", "set": "Transaction updated for certificate a!", "commit": "Success!"}},
		{what: "another transaction is open", name: "a", sent: "show", refused: "ongoing transaction is about 'b'",
			answers: map[string]string{"show": "# transaction\n*b\n# filename\na"}},
		{what: "another transaction was opened meanwhile", name: "a", sent: "show, set ssl cert a", refused: "ongoing transaction is about 'b'",
			answers: map[string]string{"set": "Transaction updated for certificate b!"}},
		{what: "content is refused", name: "a", sent: "show, set ssl cert a", refused: "Can't load the payload",
			answers: map[string]string{"set": "Can't load the payload\nCan't update a!"}},
		{what: "commit is refused", name: "a", sent: "show, set ssl cert a, commit ssl cert a, abort ssl cert a", refused: "inconsistencies",
			answers: map[string]string{"set": "Transaction created for certificate a!", "commit": "inconsistencies between private key and certificate\nCan't commit a!"}},
		{what: "no such command", name: "a", sent: "show", refused: "Unknown command",
			answers: map[string]string{"show": "Unknown command, but maybe"}},
	} {
		var sent []string
		s := runtimetest.New(t, func(command, payload string) string {
			verb, _, _ := strings.Cut(command, " ")
			answer, ok := c.answers[verb]
			if verb == "show" {
				command = verb
				if !ok {
					answer = "# filename"
				}
			}
			sent = append(sent, command)
			if want := "x\ny"; verb == "set" && payload != want {
				t.Errorf("%s: payload %q, want %q", c.what, payload, want)
			}
			return answer
		})
		err := (&Client{Network: "unix", Address: s.Path}).SetSSL(context.Background(), Cert, c.name, c.of, []byte("x\r\n\n  \ny"))
		if got := strings.Join(sent, ", "); got != c.sent {
			t.Errorf("%s: sent %s, want %s", c.what, got, c.sent)
		}
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v, want %q", c.what, err, c.refused)
		}
	}
}

// A proxy that hangs up upon what is too much for it is understood, however the connection ends.
func TestHangUp(t *testing.T) {
	for name, end := range map[string]func(c *net.UnixConn, rd io.Reader){
		"closed":         func(c *net.UnixConn, _ io.Reader) { c.Close() },
		"half closed":    func(c *net.UnixConn, _ io.Reader) { c.CloseWrite() },
		"read and ended": func(c *net.UnixConn, rd io.Reader) { io.Copy(io.Discard, rd); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					defer c.Close()
					rd := bufio.NewReader(c)
					if line, _ := rd.ReadString('\n'); strings.HasPrefix(line, "show") {
						io.WriteString(c, "# filename\n")
						c.Close()
						continue
					}
					end(c.(*net.UnixConn), rd)
				}
			}()
			defer ln.Close()
			err = At(ln.Addr().String()).SetSSL(t.Context(), CAFile, "a.pem", "", []byte(strings.Repeat("x\n", 512<<10)))
			if err == nil || !strings.Contains(err.Error(), "tune.bufsize") {
				t.Error(err)
			}
		})
	}
}
