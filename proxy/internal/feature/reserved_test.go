package feature_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// Connections leave descriptors to listeners and to servers that are checked, as in
// HAProxy, not to those that are not: also when sections are taken over.
func TestReserved(t *testing.T) {
	load := func(servers int, options string) int {
		var b strings.Builder
		b.WriteString("global\n fd-hard-limit 4000\nbackend b\n")
		for i := range servers {
			fmt.Fprintf(&b, " server s%d 127.0.0.1:1%s\n", i, options)
		}
		b.WriteString("backend c\n server s 127.0.0.1:1\n")
		in := conf.Input{Sources: []*config.File{config.Text("t.cfg", []byte(b.String()))}, Threads: 1}
		s, d := conf.Load(in)
		if s == nil {
			t.Fatal(d.All()[0])
		}
		if n := conf.Reserved(s); 2*s.Global.MaxConn+n > 4000 || 2*s.Global.MaxConn+n < 3998 {
			t.Errorf("maxconn %d leaves %d of 4000 descriptors", s.Global.MaxConn, 4000-2*s.Global.MaxConn)
		}
		in.Base = s
		in.Sources = []*config.File{config.Text("t.cfg", []byte(b.String()+" server more 127.0.0.1:1\n"))}
		next, _ := conf.Load(in)
		if next.Global.MaxConn != s.Global.MaxConn {
			t.Errorf("maxconn %d, %d as a whole", next.Global.MaxConn, s.Global.MaxConn)
		}
		return s.Global.MaxConn
	}
	none := load(0, "")
	plain := load(1000, "")
	checked := load(1000, " check")
	if plain != none || checked != none-500 {
		t.Errorf("%d without servers, %d with a thousand, %d with a thousand that are checked", none, plain, checked)
	}
}
