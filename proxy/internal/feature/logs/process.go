package logs

import (
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// finish makes what messages of the process itself are sent with.
func (g *global) finish() {
	tag := g.tag
	if tag == "" {
		tag = "forebay"
	}
	g.own = &settings{all: g.targets, turns: samplings(g.targets), tags: tagged(tag)}
	if g.sendHost {
		g.own.host = g.host
	}
}

// SendGlobal sends a message that belongs to no proxy to the log servers of the
// global section. It may be called from any thread.
func SendGlobal(w *stream.Worker, level Level, text string) {
	g := globals.Of(w.Snapshot().Global)
	if g == nil || g.own == nil || len(g.own.all) == 0 {
		return
	}
	text = strings.ReplaceAll(text, "\n", " ")
	r := w.Reactors[0]
	r.Post(func() { g.own.send(r, w, level, []byte(text), nil, make([]byte, 0, 2048)) })
}
