package conf

import (
	"fmt"
	"strings"
	"testing"
)

func TestGUIDs(t *testing.T) {
	const before = "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"
	s := mustLoad(t, before+`frontend f
 guid fe:1
 bind :81,:82 guid-prefix b
 bind :83 guid-prefix c
backend b
 guid be.1
 server a 127.0.0.1:1 guid s_1 hash-key guid
 server b 127.0.0.1:1 hash-key id32
`)
	for guid, want := range map[string]string{
		"fe:1": "frontend f", "b-1": "listener :81", "b-2": "listener :82", "c-1": "listener :83", "be.1": "backend b", "s_1": "server b/a", "S_1": "", "b-3": "", "": "",
	} {
		if got := GUIDOwner(s, guid); strings.Replace(got, "0.0.0.0", "", 1) != want {
			t.Errorf("%s: %q, want %q", guid, got, want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"backend b\n guid", "'guid' expects a value."},
		{"backend b\n guid a/b", "'guid': invalid character '/'."},
		{"backend b\n guid " + strings.Repeat("x", 128), "identifier is longer than 127 characters"},
		{"backend b\n server a 127.0.0.1:1 guid", "'server b/a' : 'guid' : missing value"},
		{"backend b\n server a 127.0.0.1:1 guid a\u00e9", "'guid': invalid character"},
		{"backend b\n server a 127.0.0.1:1 guid x\n server b 127.0.0.1:1 guid x", "'guid': duplicate entry with server b/a"},
		{"backend b\n server-template a 2 127.0.0.1:1 guid x", "'guid': duplicate entry with server b/a1"},
		{"frontend f\n bind :81 guid-prefix x\nbackend b\n guid x-1", "'guid': duplicate entry with listener"},
		{"frontend f\n guid x\n bind :81 guid-prefix a/b", "invalid character '/'. You may fix it by adjusting guid-prefix."},
		{"backend b\n default-server guid x", "'guid' option is not accepted in default-server sections"},
		{"backend b\n server a 127.0.0.1:1 hash-key nosuch", "'hash-key' has to be 'id', 'id32', 'guid', 'addr', or 'addr-port'."},
	} {
		s, d := load(before + c.text + "\n")
		if text := fmt.Sprint(d.All()); s != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s\nwant %s", c.text, text, c.want)
		}
	}
}
