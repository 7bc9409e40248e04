package ladder

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
	"github.com/forebay-lb/forebay/proxy/config"
)

// Of a large file only the sections that the proxy does not have are sent; a proxy that does not know how gets the whole.
func TestParts(t *testing.T) {
	text := "global\n maxconn 5\n"
	for i := range 2000 {
		text += fmt.Sprintf("backend b%d\n server s 192.0.2.1:%d weight 1\n", i, i+1)
	}
	have := map[config.Sum][]byte{}
	for _, p := range config.Cut([]byte(text)) {
		have[p.Sum()] = p.Text
	}
	text = strings.Replace(text, "192.0.2.1:1000 weight 1", "192.0.2.1:1000 weight 2", 1)
	for _, c := range []struct {
		answer string
		sent   []string // commands
		done   bool
	}{
		{"", []string{"add config-parts", "add config-parts"}, true},
		{"Unknown command.", []string{"add config-parts"}, false},
	} {
		var got []byte
		last := 0
		s := runtimetest.New(t, func(command, payload string) string {
			if c.answer != "" {
				return c.answer
			}
			parts, lacking, err := config.ReadManifest([]byte(payload), func(sum config.Sum) []byte { return have[sum] })
			if err != nil {
				return err.Error()
			}
			if len(lacking) > 0 {
				reply := "Unknown sections:\n"
				for _, sum := range lacking {
					reply += sum.String() + "\n"
				}
				return strings.TrimSuffix(reply, "\n")
			}
			got, last = config.Join("x", parts).Bytes(), strings.Count(payload, "+ ")
			return ""
		})
		done, err := parts(t.Context(), &runtime.Client{Network: "unix", Address: s.Path}, "@1", "/x.cfg", []byte(text))
		if done != c.done || err != nil {
			t.Errorf("%q: %v, %v", c.answer, done, err)
		}
		if n := len(s.Seen()); n != len(c.sent) {
			t.Errorf("%q: %d commands", c.answer, n)
		}
		if c.done && (string(got) != text || last != 1) {
			t.Errorf("%d bytes arrived of %d, with %d sections", len(got), len(text), last)
		}
	}
	if done, err := parts(t.Context(), &runtime.Client{Network: "unix", Address: "/nowhere"}, "@1", "/x.cfg", []byte("global\n")); done || err != nil {
		t.Error("a small file needs no names")
	}
}
