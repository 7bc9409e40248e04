package runtimeapi

import (
	"strings"
	"testing"
)

func FuzzCommands(f *testing.F) {
	for _, s := range []string{"show info;show stat", `set server a/b\;c x\\`, "add map x <<", "add map x <<%EOF%", "a\\", ";;;", "@1 show version", "\t \x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		rest, end, ok := cutPayload(line)
		if ok && (len(end) > maxPattern || !strings.HasSuffix(line, "<<"+end) || rest+"<<"+end != line) {
			t.Fatalf("payload: %q %q", rest, end)
		}
		cmds := splitCommands(rest)
		if strings.Join(cmds, ";") != rest {
			t.Fatalf("commands: %q of %q", cmds, rest)
		}
		for _, c := range cmds {
			words := splitWords(c)
			if len(words) > maxWords {
				t.Fatalf("%d words", len(words))
			}
			n := 0
			for _, w := range words {
				n += len(w)
			}
			if n > len(c) {
				t.Fatalf("words %q of %q are longer than it", words, c)
			}
			Worker.find(words)
			Worker.matching(words, Worker.exact(words))
		}
	})
}
