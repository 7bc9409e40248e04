package compression

import (
	"github.com/klauspost/compress/flate"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// window is a compressor of level 2 or more, which remembers what has passed.
type window struct {
	level int
	w     *flate.Writer // to out
	out   appender
}

// windowMemory is what a window takes, at most: the library allocates it once.
const windowMemory = 1400 << 10

// add appends the blocks of a slice to dst.
func (c *window) add(dst, p []byte, last bool) []byte {
	c.out.b = dst
	// The appender does not fail, and so nothing does.
	_, _ = c.w.Write(p)
	if last {
		_ = c.w.Close()
	} else {
		_ = c.w.Flush()
	}
	dst, c.out.b = c.out.b, nil
	return dst
}

// shop is what a reactor has for compressing: windows that are not in use, by their
// level, and how much of a turn of the loop was spent.
type shop struct {
	free  [10][]*window
	low   [10]int // the fewest that there were since the last trim
	trims bool
	turn  int64
	spent int
}

var shops = slot.New[*reactor.Reactor, shop]()

// borrow gives a window of a level, nil if there is no memory for it.
func borrow(st *stream.Stream, level int) *window {
	s := shops.Make(st.R)
	if list := s.free[level]; len(list) > 0 {
		n := len(list) - 1
		w := list[n]
		list[n] = nil
		s.free[level], s.low[level] = list[:n], min(s.low[level], n)
		w.w.Reset(&w.out)
		return w
	}
	l := lives.In(st.W)
	most := globals.Value(st.Snap.Global).memory
	if l.memory.Add(windowMemory) > most && most > 0 || st.R.Exhausted() {
		l.memory.Add(-windowMemory)
		return nil
	}
	w := &window{level: level}
	w.w, _ = flate.NewWriter(&w.out, level) // the level is one that there is
	if !s.trims {
		s.trims = true
		st.R.OnTrim(func() int { return s.trim(l) })
	}
	return w
}

// giveBack makes the window one for others.
func (c *window) giveBack(st *stream.Stream) {
	s := shops.Make(st.R)
	s.free[c.level] = append(s.free[c.level], c)
}

// trim lets half of the windows go that were of no use lately.
func (s *shop) trim(l *live) (freed int) {
	for level := range s.free {
		list := s.free[level]
		n := copy(list, list[(s.low[level]+1)/2:])
		freed += len(list) - n
		clear(list[n:])
		s.free[level], s.low[level] = list[:n], n
	}
	l.memory.Add(-int64(freed) * windowMemory)
	return freed * windowMemory
}

// perTurn is how many bytes the streams of a reactor compress, in all, in a turn of
// its loop, before they let others run: a few hundred microseconds. Every stream may
// have one slice nevertheless.
const perTurn = 64 << 10

// spend takes down that n bytes were compressed at a level: the higher ones take
// several times as long.
func (s *shop) spend(r *reactor.Reactor, n, level int) {
	if turn := r.Loops.Load(); turn != s.turn {
		s.turn, s.spent = turn, 0
	}
	switch {
	case level > 6:
		n *= 8
	case level > fast:
		n *= 3
	}
	s.spent += n
}

// over tells whether the turn's share is spent.
func (s *shop) over(r *reactor.Reactor) bool { return r.Loops.Load() == s.turn && s.spent >= perTurn }
