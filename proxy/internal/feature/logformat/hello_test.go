package logformat_test

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

// Whoever owns what an alias tells registers it: here a word that hangs on the
// exchange, written like the value of an expression.
var helloWords = slot.New[*stream.Stream, []byte]()

func init() {
	stream.RegisterAlias(stream.Alias{Name: "hello", Form: stream.Known, Append: func(dst []byte, sc *stream.Scope) []byte {
		if sc.Stream != nil {
			if word := helloWords.Of(sc.Stream); word != nil {
				dst = append(dst, *word...)
			}
		}
		return dst
	}})
}

// To add an alias of log formats.
func TestHelloAlias(t *testing.T) {
	c := &conf.Ctx{Loading: &conf.Loading{Snap: &stream.Snapshot{Global: &stream.Global{}}, Diags: new(config.Diagnostics)}}
	f, err := logformat.Compile(c, `%hello %{+Q}hello`, logformat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := new(stream.Stream)
	st.Stream = st
	if got := string(f.Append(nil, &st.Scope)); got != `- ""` {
		t.Errorf("without a word: %s", got)
	}
	helloWords.Set(st, []byte("you"))
	if got := string(f.Append(nil, &st.Scope)); got != `you "you"` {
		t.Errorf("with one: %s", got)
	}
	if f, err := logformat.Compile(c, "%helloo", logformat.Options{}); f != nil || err == nil {
		t.Error("an alias that there is not is accepted")
	}
}
