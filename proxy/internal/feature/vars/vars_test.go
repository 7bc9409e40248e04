package vars_test

import (
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func name(t testing.TB, text string) variable.Name {
	n, err := variable.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func word(s string) *variable.Value {
	return &variable.Value{Type: uint8(sample.Str), Bytes: []byte(s)}
}

func integer(i int64) *variable.Value { return &variable.Value{Type: uint8(sample.Int), Int: i} }

func eval(t testing.TB, sc *stream.Scope, expr string) string {
	e, err := sample.Parse(ctx(sc.Snap.Global), expr)
	if err != nil {
		t.Fatal(expr, err)
	}
	v := sample.Borrow(sc)
	defer v.Return(sc)
	if !e.Eval(sc, v) {
		return "none"
	}
	return v.Type.String() + " " + string(v.Append(nil))
}

// Scopes that there are not keep nothing.
func TestScopes(t *testing.T) {
	st := exchange(t, &stream.Global{})
	check := &stream.Scope{W: st.W, R: st.R, Snap: st.Snap, Check: &stream.Check{}}
	nothing := &stream.Scope{Snap: st.Snap}
	for _, c := range []struct {
		scope string
		of    *stream.Scope
		set   bool
	}{
		{"proc", st, true}, {"txn", st, true}, {"req", st, true}, {"res", st, false}, {"check", st, false}, {"ptxn", st, false},
		{"proc", check, true}, {"sess", check, true}, {"check", check, true}, {"txn", check, false}, {"req", check, false},
		{"proc", nothing, false}, {"sess", nothing, false}, {"txn", nothing, false},
	} {
		n := name(t, c.scope+".x_"+c.scope)
		if got := c.of.SetVar(n, word("v"), nil); got != c.set {
			t.Errorf("%s: set %v, want %v", n.Text, got, c.set)
		}
		if got := c.of.Var(n) != nil; got != c.set {
			t.Errorf("%s: found %v, want %v", n.Text, got, c.set)
		}
		c.of.UnsetVar(n)
		if c.of.Var(n) != nil {
			t.Errorf("%s: still there", n.Text)
		}
	}
}

// The text is copied: who set it may do with it what they like.
func TestTextIsKept(t *testing.T) {
	sc := exchange(t, &stream.Global{})
	for _, scope := range []string{"proc", "txn", "req"} {
		b := []byte("first")
		n := name(t, scope+".kept")
		sc.SetVar(n, &variable.Value{Type: uint8(sample.Str), Bytes: b}, nil)
		copy(b, "wrong")
		if got := eval(t, sc, "var("+n.Text+")"); got != "str first" {
			t.Errorf("%s: %s", scope, got)
		}
	}
}

// Limits hold for a scope and all that are coarser, and what is unset is free again.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		what    string
		limits  stream.VarLimits
		scope   string
		refused bool
	}{
		{"reqres", stream.VarLimits{ReqRes: 100}, "req", true},
		{"reqres does not bound txn", stream.VarLimits{ReqRes: 100}, "txn", false},
		{"txn", stream.VarLimits{Txn: 100}, "txn", true},
		{"txn bounds req", stream.VarLimits{Txn: 100}, "req", true},
		{"proc bounds req", stream.VarLimits{Proc: 100}, "req", true},
		{"proc", stream.VarLimits{Proc: 100}, "proc", true},
		{"global bounds txn", stream.VarLimits{Global: 100}, "txn", true},
		{"global bounds proc", stream.VarLimits{Global: 100}, "proc", true},
		{"txn does not bound proc", stream.VarLimits{Txn: 100}, "proc", false},
	} {
		g := new(stream.Global)
		stream.Variables.Set(g, stream.VarSettings{Limits: c.limits})
		sc := exchange(t, g)
		a, b := name(t, c.scope+".a"), name(t, c.scope+".b")
		if !sc.SetVar(a, word(strings.Repeat("x", 20)), nil) {
			t.Errorf("%s: what is allowed was refused", c.what)
		}
		if got := sc.SetVar(b, integer(1), nil); got == c.refused {
			t.Errorf("%s: a second variable: set %v", c.what, got)
		}
		if got := sc.SetVar(a, word(strings.Repeat("x", 21)), nil); got == c.refused {
			t.Errorf("%s: a longer text: set %v", c.what, got)
		}
		if c.refused && sc.Var(a) != nil {
			t.Errorf("%s: the old text is still there", c.what)
		}
		sc.UnsetVar(a)
		sc.UnsetVar(b)
		for range 1000 { // what is unset leaves nothing behind
			if !sc.SetVar(b, word(strings.Repeat("y", 20)), nil) {
				t.Fatalf("%s: refused after others were unset", c.what)
			}
			sc.UnsetVar(b)
		}
	}
}

func TestDump(t *testing.T) {
	sc := exchange(t, &stream.Global{})
	put(t, sc, "txn.text", word("a\"\\\r\n\b\x00z"))
	const all = `str txn.text="a\"\\\r\n\b\0z"`
	for expr, want := range map[string]string{
		"dump_all_vars": all, "dump_all_vars(txn)": all, "dump_all_vars(req)": "str ", "dump_all_vars(txn,te)": all,
		"dump_all_vars(txn,x)": "str ", "dump_all_vars(,text,;)": all, "var(txn.text),length": "sint 8", "var(txn.nothing,)": "str ",
	} {
		if got := eval(t, sc, expr); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	for name, v := range map[string]*variable.Value{
		"x48656c": {Type: uint8(sample.Bin), Bytes: []byte("Hel")}, "-42": integer(-42), "true": {Type: uint8(sample.Bool), Bool: true},
		`"GET"`: {Type: uint8(sample.Meth), Bytes: []byte("GET")},
	} {
		put(t, sc, "req.v", v)
		if got := eval(t, sc, "dump_all_vars(req)"); got != "str req.v="+name {
			t.Errorf("%s: %s", name, got)
		}
	}
	put(t, sc, "req.w", integer(1))
	if got := eval(t, sc, "dump_all_vars(req,,+)"); !strings.Contains(got, "+") {
		t.Error(got)
	}
}

// Setting variables of the exchange, and of the process to what they are, allocates
// nothing once there is room.
func TestSettingAllocatesNothing(t *testing.T) {
	sc := exchange(t, &stream.Global{})
	var list []*sample.Expr
	for _, expr := range []string{"str(abc),set-var(txn.a)", "int(3),set-var(req.b,ifnotset),add(txn.n)", "str(up),set-var(proc.c)", "var(txn.a),concat(-,txn.a,-),set-var(txn.d)"} {
		e, err := sample.Parse(ctx(&stream.Global{}), expr)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	sc.Alloc(64 << 10)
	v := sample.Borrow(sc)
	run := func() {
		for _, e := range list {
			e.Eval(sc, v)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a configuration sets is set when it comes into force, and again only when it
// says something else.
func TestGlobalLines(t *testing.T) {
	sc := exchange(t, &stream.Global{})
	w := sc.W
	var old *stream.Snapshot
	for i, c := range []struct{ lines, byHand, want string }{
		{"set-var proc.g1 str(a)\n set-var-fmt proc.g2 \"%[var(proc.g1)]b\"\n", "", "str a,str ab"},
		{"set-var proc.g1 str(a)\n set-var-fmt proc.g2 \"%[var(proc.g1)]b\"\n", "hand", "str hand,str ab"},
		{"set-var proc.g1 str(c)\n", "hand", "str c,str ab"},
		{"\n", "", "str c,str ab"},
		{"set-var proc.g1 str(x),lower\n set-var proc.g2 int(7),add(proc.g3)\n", "", "str x,str ab"}, // no value: nothing is set
	} {
		snap, d := snapshot.Load(snapshot.Input{Sources: []*config.File{config.Parse("t.cfg", []byte("global\n "+c.lines))}, Threads: 1, MaxConn: 10})
		if snap == nil {
			t.Fatal(d.All())
		}
		if c.byHand != "" {
			put(t, sc, "proc.g1", word(c.byHand))
		}
		w.ApplyVars(old, snap)
		old = snap
		if got := eval(t, sc, "var(proc.g1)") + "," + eval(t, sc, "var(proc.g2)"); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
}
