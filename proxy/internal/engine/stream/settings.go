package stream

import "github.com/forebay-lb/forebay/proxy/internal/engine/slot"

// Global are the settings that hold for the process. What is about one thing only
// hangs on it (package slot).
type Global struct {
	Threads     int
	MaxConn     int
	BufSize     int
	MaxRewrite  int
	MaxHeaders  int
	LineLength  int // of [Stream.ReqLine]; 0: any
	MaxAccept   int
	NoSplice    bool
	ZeroWarning bool
	slots       slot.Values
}

// Slots are what features know of the process.
func (g *Global) Slots() *slot.Values { return &g.slots }

// Number is a setting of the global section that is one number ("tune.maxaccept").
type Number struct {
	Name      string
	Low, High int
	// Want completes "'tune.maxaccept' expects …".
	Want string
	// Size tells that it may be written as a size ("16k").
	Size bool
	// InPlace tells that it may change while the process runs.
	InPlace bool
	Set     func(g *Global, n int)
	// Rest reads the words behind the number, if there may be some, and tells how
	// many it knows.
	Rest func(words []string) (int, error)
}

// Word is a setting of the global section that is its name ("nosplice"), or that
// and one word of a few ("tune.h2.log-errors none").
type Word struct {
	Name string
	// Of are the words, none if the name is all.
	Of []string
	// Want completes "'tune.h2.log-errors' expects …".
	Want string
	// No tells that "no" may stand before it.
	No, InPlace bool
	// Set takes the word, or "" and "no" where the name is all.
	Set func(g *Global, word string)
}

// The settings that the engine itself has, each beside what it is about. Package
// conf makes keywords of them.
var (
	Numbers []Number
	Words   []Word
)

func settings(numbers []Number, words ...Word) {
	Numbers, Words = append(Numbers, numbers...), append(Words, words...)
}

// Complete gives settings that nothing was said of their defaults.
func (g *Global) Complete() {
	g.MaxRewrite = min(g.MaxRewrite, g.BufSize/2)
	HTTP2.Make(g).complete(g)
}
