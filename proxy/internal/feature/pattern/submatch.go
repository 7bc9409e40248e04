package pattern

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Regexp is a regular expression that tells what its groups matched without
// allocating, as package regexp cannot.
type Regexp struct {
	*regexp.Regexp
	prog atomic.Pointer[syntax.Prog] // made when it is first needed
}

// CompileRegexp parses an expression.
func CompileRegexp(expr string) (*Regexp, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	return &Regexp{Regexp: re}, nil
}

// Groups are where a match and its groups 1 to 9 begin and end, -1 for what has no
// part in it.
type Groups [20]int

// maxTried bounds the work and the memory of [Regexp.Submatch], in bits.
const maxTried = 256 << 10

// Submatch finds the first match in b, the one that [regexp.Regexp.FindSubmatchIndex]
// gives. It allocates only for what is very long, for the expression: some thousand
// bytes.
func (re *Regexp) Submatch(b []byte, g *Groups) bool {
	for i := range g {
		g[i] = -1
	}
	prog := re.program()
	if prog == nil || len(prog.Inst)*(len(b)+1) > maxTried {
		found := re.FindSubmatchIndex(b)
		copy(g[:], found)
		return found != nil
	}
	prefix, _ := re.LiteralPrefix()
	at := bytes.Index(b, []byte(prefix))
	if at < 0 {
		return false
	}
	last := len(b)
	if prog.StartCond()&syntax.EmptyBeginText != 0 {
		last = 0
	}
	m := machines.Get().(*machine)
	m.reset(prog, b)
	ok := false
	for ; at <= last; at++ {
		if ok = m.run(at, g); ok {
			break
		}
	}
	m.text = nil
	machines.Put(m)
	return ok
}

// program is the expression's, nil if it cannot be had.
func (re *Regexp) program() *syntax.Prog {
	if p := re.prog.Load(); p != nil {
		return p
	}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	p, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil
	}
	re.prog.Store(p)
	return p
}

// machine runs programs. It tries alternatives one after the other, in the order of
// their preference, and each instruction once at each place: what failed there fails
// again.
type machine struct {
	prog  *syntax.Prog
	text  []byte
	tried []uint64
	todo  []job
}

// job is where to go on: at an instruction, or, if that is negative, by setting a
// group's place back to what it was.
type job struct{ pc, at int }

var machines = sync.Pool{New: func() any { return new(machine) }}

func (m *machine) reset(prog *syntax.Prog, text []byte) {
	m.prog, m.text = prog, text
	n := (len(prog.Inst)*(len(text)+1) + 63) / 64
	if cap(m.tried) < n {
		m.tried = make([]uint64, n)
	}
	m.tried = m.tried[:n]
	clear(m.tried)
}

// first tells whether the instruction is tried at the place for the first time.
func (m *machine) first(pc, at int) bool {
	n := pc*(len(m.text)+1) + at
	was := m.tried[n/64]
	m.tried[n/64] = was | 1<<(n%64)
	return m.tried[n/64] != was
}

// run looks for a match that begins at start.
func (m *machine) run(start int, g *Groups) bool {
	m.todo = append(m.todo[:0], job{m.prog.Start, start})
	for len(m.todo) > 0 {
		j := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		if j.pc < 0 {
			g[^j.pc] = j.at
		} else if end := m.follow(j.pc, j.at, g); end >= 0 {
			g[0], g[1] = start, end
			return true
		}
	}
	return false
}

// follow runs until there is no way on (-1), or to the end of a match, which it gives.
func (m *machine) follow(pc, at int, g *Groups) int {
	for m.first(pc, at) {
		i := &m.prog.Inst[pc]
		pc = int(i.Out)
		switch i.Op {
		case syntax.InstMatch:
			return at
		case syntax.InstFail:
			return -1
		case syntax.InstAlt, syntax.InstAltMatch:
			m.todo = append(m.todo, job{int(i.Arg), at})
		case syntax.InstCapture:
			if n := int(i.Arg); n < len(g) {
				m.todo = append(m.todo, job{^n, g[n]})
				g[n] = at
			}
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(i.Arg)&^m.around(at) != 0 {
				return -1
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if at == len(m.text) {
				return -1
			}
			r, n := rune(m.text[at]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRune(m.text[at:])
			}
			if !i.MatchRune(r) {
				return -1
			}
			at += n
		}
	}
	return -1
}

// around tells what is true of a place: that a line begins, that a word ends …
func (m *machine) around(at int) syntax.EmptyOp {
	before, after := rune(-1), rune(-1)
	if at > 0 {
		before, _ = utf8.DecodeLastRune(m.text[:at])
	}
	if at < len(m.text) {
		after, _ = utf8.DecodeRune(m.text[at:])
	}
	return syntax.EmptyOpContext(before, after)
}
