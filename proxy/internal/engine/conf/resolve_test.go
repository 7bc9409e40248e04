package conf

import (
	"context"
	"io/fs"
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
}
