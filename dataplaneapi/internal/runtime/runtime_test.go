package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
	"github.com/forebay-lb/forebay/proxy/config"
)

func TestDo(t *testing.T) {
	var got string
	s := runtimetest.New(t, func(command, payload string) string {
		got = payload
		return "echo " + command
	})
	c := &Client{Network: "unix", Address: s.Path, Prefix: "@1 "}
	reply, err := c.Do(context.Background(), "show info", nil)
	if err != nil || reply != "echo @1 show info" {
		t.Errorf("%q, %v", reply, err)
	}
	text := "a\n%EOF%\nb\n" // the last line feed belongs to the command
	if _, err := c.Do(context.Background(), "add config @1 x", []byte(text)); err != nil || got+"\n" != text {
		t.Errorf("payload %q, %v", got, err)
	}
	for _, bad := range []string{"a\nb", "a;b", "a\rb"} {
		if _, err := c.Do(context.Background(), bad, nil); err == nil {
			t.Errorf("%q was sent", bad)
		}
	}
	c.Address += "x"
	if _, err := c.Do(context.Background(), "show info", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no socket: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Do(ctx, "show info", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ global, master, network, address, prefix string }{
		{"stats socket /run/a.sock", "/run/m.sock", "unix", "/run/m.sock", "@1 "},
		{"stats socket /run/a.sock\n stats socket unix@/run/b.sock mode 600 level admin", "", "unix", "/run/b.sock", ""},
		{"stats socket ipv4@:9999 level admin", "", "tcp", "127.0.0.1:9999", ""},
		{"stats socket fd@3 level admin", "/run/m.sock,level,admin", "unix", "/run/m.sock", "@1 "},
		{"daemon", "", "", "", ""},
	} {
		got := Find(config.Parse("t", []byte("global\n "+c.global+"\n")), c.master)
		if c.network == "" {
			if got != nil {
				t.Errorf("%s: %+v", c.global, got)
			}
			continue
		}
		if got == nil || got.Network != c.network || got.Address != c.address || got.Prefix != c.prefix {
			t.Errorf("%s: %+v", c.global, got)
		}
	}
	if a := At("abns@x"); a == nil || len(a.Address) != 108 || !strings.HasPrefix(a.Address, "@x") {
		t.Errorf("abstract address: %+v", a)
	}
}
