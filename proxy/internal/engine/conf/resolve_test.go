package conf

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"testing"
)

func TestResolver(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "/etc/hosts" {
			return []byte("# hosts\n127.0.0.1 Here here.test # and more\n::1 here.test\nnonsense x\n192.0.2.1\n"), nil
		}
		return nil, fs.ErrNotExist
	}
	r := NewResolver(read)
	for name, want := range map[string]string{"here": "127.0.0.1", "HERE.": "127.0.0.1", "here.test": "127.0.0.1 ::1"} {
		list, err := r.Lookup(context.Background(), name)
		var got []string
		for _, ip := range list {
			got = append(got, ip.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, want)
		}
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if list, err := r.Lookup(over, "elsewhere.test"); err == nil {
		t.Errorf("a name that is in no file: %v", list)
	}

	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"here.test", "Here", "127.0.0.1"} {
		c, err := r.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if c.RemoteAddr().String() != l.Addr().String() {
			t.Errorf("%s: connected to %s", host, c.RemoteAddr())
		}
		c.Close()
	}
	if _, err := r.DialContext(over, "tcp", "here:"+port); !errors.Is(err, context.Canceled) {
		t.Errorf("time is over: %v", err)
	}
	if _, err := r.DialContext(context.Background(), "tcp", "here"); err == nil {
		t.Error("an address without a port")
	}
}
