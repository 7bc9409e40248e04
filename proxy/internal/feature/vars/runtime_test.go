package vars_test

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/testing/workertest"
)

// What "get var" and "set var" say is what HAProxy 3.4 said.
func TestCommands(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	text := "global\n  stats socket " + socket + " level admin\n  set-var proc.color str(blue)\n  set-var proc.num int(42)\n"
	snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(text))}, Threads: 1, MaxConn: 10})
	if snap == nil {
		t.Fatal(d.All())
	}
	w := workertest.New(t, 1)
	w.Init()
	workertest.Run(t, w)
	if err := snapshot.Start(w, snap, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"get var proc.color", "proc.color: type=str value=<blue>\n\n"},
		{"get var proc.num", "proc.num: type=sint value=<42>\n\n"},
		{"get var proc.nosuch", "Variable not found.\n\n"},
		{"get var txn.x", "Variable not found.\n\n"},
		{"get var bad", "Variable not found.\n\n"},
		{"get var", "Missing process-wide variable identifier.\n\n"},
		{"experimental-mode", "experimental-mode is OFF\n\n"},
		{"set var proc.color str(red)", "This command is restricted to experimental mode only.\n\n"},
		{"operator; experimental-mode on", "\nPermission denied\n\n"},
		{"user; get var proc.color", "\nPermission denied\n\n"},
		{"experimental-mode on; experimental-mode", "\nexperimental-mode is ON\n\n"},
		{"experimental-mode on; experimental-mode off; set var proc.a int(1)", "\n\nThis command is restricted to experimental mode only.\n\n"},
		{"experimental-mode on; set var", "\nMissing process-wide variable identifier.\n\n"},
		{"experimental-mode on; set var proc.color", "\nMissing either 'expr', 'fmt' or expression.\n\n"},
		{"experimental-mode on; set var proc.color str(red)", "\n\n"},
		{"experimental-mode on; set var proc.new int(5)", "\n\n"},
		{"experimental-mode on; set var proc.color expr str(green)", "\n\n"},
		{"experimental-mode on; set var proc.color fmt v-%[int(3)]", "\n\n"},
		{"experimental-mode on; set var proc.color bad(x)", "\nunknown fetch method 'bad'\n\n"},
		{"experimental-mode on; set var proc.color src", "\nfetch method 'set-var(proc.color)' extracts information from 'client address', none of which is available here\n\n"},
		{"experimental-mode on; set var txn.a int(1)", "\n'set var': cannot set variable 'txn.a', only scope 'proc' is permitted here.\n\n"},
		{"experimental-mode on; set var proc.color xx str(a)", "\n'set var': arg type must be either 'expr' or 'fmt' but got 'xx'.\n\n"},
		{"get var proc.color", "proc.color: type=str value=<v-3>\n\n"},
		{"get var proc.new", "proc.new: type=sint value=<5>\n\n"},
		{"experimental-mode on; set var proc.new int(7),add(proc.num)", "\n\n"},
		{"get var proc.new", "proc.new: type=sint value=<49>\n\n"},
		{"experimental-mode on; set var proc.new var(proc.nosuch)", "\n\n"},
		{"get var proc.new", "proc.new: type=sint value=<49>\n\n"},
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.command+"\n")
		got, _ := io.ReadAll(conn)
		conn.Close()
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
}
