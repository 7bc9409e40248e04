package stream

import (
	"bytes"

	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
)

// VarLimits bound the memory of variables, in bytes (tune.vars.…); 0 is no limit.
// Coarser scopes include the finer ones.
type VarLimits struct{ Global, Proc, Sess, Txn, ReqRes, Check int }

// InitVar is a variable that the configuration sets in the process. Text is what
// it says, by which a new configuration knows whether it says something else.
type InitVar struct {
	Name  variable.Name
	Value variable.Value
	Text  string
}

// VarSettings are what the configuration says of variables.
type VarSettings struct {
	Limits VarLimits
	// Init are those that it sets in the process, in its order.
	Init []InitVar
}

// Variables gives it; nil if it says nothing.
var Variables = slot.New[*Global, VarSettings]()

// initVars are those that a configuration sets.
func (g *Global) initVars() []InitVar {
	if v := Variables.Of(g); v != nil {
		return v.Init
	}
	return nil
}

// streamVars are the variables of an exchange.
type streamVars struct {
	txn    variable.Set
	reqres variable.Set
	res    bool // reqres are those of the response
}

// phaseVars gives the variables of the request, or of the response, if it is their
// time: those of the request go when a server is tried for the first time, or when
// there is an answer of our own.
func (st *Stream) phaseVars(scope variable.Scope) *variable.Set {
	v := &st.vars
	if res := st.Time.Queued != 0 || st.Reply != nil; res != v.res {
		st.dropVars(&v.reqres)
		v.res = res
	}
	if (scope == variable.Res) != v.res {
		return nil
	}
	return &v.reqres
}

// set finds where the variables of a scope are, nil where there are none now. make
// tells that one is to be set.
func (sc *Scope) set(scope variable.Scope, make bool) *variable.Set {
	switch scope {
	case variable.Sess:
		switch {
		case sc.Check != nil:
			return &sc.Check.sess
		case sc.Sess == nil:
			return nil
		case make && !sc.Sess.IsOpen():
			return nil // nobody would give back what it takes
		case sc.Sess.vars == nil && make:
			sc.Sess.vars = new(variable.Set)
		}
		return sc.Sess.vars
	case variable.Txn:
		if sc.Stream != nil {
			return &sc.Stream.vars.txn
		}
	case variable.Req, variable.Res:
		if sc.Stream != nil {
			return sc.Stream.phaseVars(scope)
		}
	case variable.Check:
		if sc.Check != nil {
			return &sc.Check.vars
		}
	}
	return nil
}

// Var gives the value of a variable, nil if it is not set. It must not be changed,
// and its text is good until the variable is set again.
func (sc *Scope) Var(n variable.Name) *variable.Value {
	if n.Scope == variable.Proc {
		if sc.W != nil {
			return sc.W.Vars.Get(n)
		}
		return sc.initVar(n)
	}
	if s := sc.set(n.Scope, false); s != nil {
		return s.Get(n)
	}
	return nil
}

// EachVar calls f for all variables of a scope.
func (sc *Scope) EachVar(scope variable.Scope, f func(n variable.Name, v *variable.Value)) {
	if scope == variable.Proc {
		if sc.W != nil {
			sc.W.Vars.Each(f)
		}
		return
	}
	if s := sc.set(scope, false); s != nil {
		s.Each(f)
	}
}

// initVar is a variable of the process while its configuration is read.
func (sc *Scope) initVar(n variable.Name) *variable.Value {
	if sc.Snap == nil || sc.Snap.Global == nil {
		return nil
	}
	list := sc.Snap.Global.initVars()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Name == n {
			return &list[i].Value
		}
	}
	return nil
}

// SetVar sets a variable to a value whose text is copied, if allow, which may be
// nil, has nothing against it; old is nil if it was not set. It tells whether it
// did: not where the scope has no such variables, nor where that would take more
// memory than is allowed, which unsets the variable.
func (sc *Scope) SetVar(n variable.Name, v *variable.Value, allow func(old, v *variable.Value) bool) bool {
	if n.Scope == variable.Proc {
		return sc.W != nil && sc.setProc(n, v, allow)
	}
	s := sc.set(n.Scope, true)
	if s == nil {
		return false
	}
	old := s.Get(n)
	if allow != nil && !allow(old, v) {
		return false
	}
	if diff := size(v) - size(old); diff != 0 && !sc.charge(n.Scope, s, diff) {
		sc.UnsetVar(n)
		return false
	}
	if n.Scope == variable.Sess {
		s.Keep(n, *v)
		return true
	}
	kept := *v
	if len(v.Bytes) > 0 {
		kept.Bytes = sc.Copy(v.Bytes)
	}
	s.Put(n, kept)
	return true
}

// setProc is SetVar for a variable of the process.
func (sc *Scope) setProc(n variable.Name, v *variable.Value, allow func(old, v *variable.Value) bool) bool {
	t := &sc.W.Vars
	t.Lock()
	defer t.Unlock()
	old := t.Get(n)
	switch {
	case allow != nil && !allow(old, v):
		return false
	case old != nil && same(old, v):
		return true
	case !sc.charge(variable.Proc, nil, size(v)-size(old)):
		sc.charge(variable.Proc, nil, -size(old))
		t.Put(n, nil)
		return false
	}
	kept := *v
	kept.Bytes = bytes.Clone(v.Bytes)
	t.Put(n, &kept)
	return true
}

// UnsetVar unsets a variable.
func (sc *Scope) UnsetVar(n variable.Name) {
	if n.Scope == variable.Proc {
		if sc.W != nil {
			t := &sc.W.Vars
			t.Lock()
			if old := t.Get(n); old != nil {
				sc.charge(variable.Proc, nil, -size(old))
				t.Put(n, nil)
			}
			t.Unlock()
		}
		return
	}
	s := sc.set(n.Scope, false)
	if s == nil {
		return
	}
	if old := s.Get(n); old != nil {
		sc.charge(n.Scope, s, -size(old))
		s.Unset(n)
	}
}

func same(a, b *variable.Value) bool {
	return a.Type == b.Type && a.Bool == b.Bool && a.Int == b.Int && a.Addr == b.Addr && bytes.Equal(a.Bytes, b.Bytes)
}

func size(v *variable.Value) int {
	if v == nil {
		return 0
	}
	return v.Size()
}

// charge counts that the variables of a scope take more, or less, and refuses what
// goes beyond a limit of it or of a coarser one.
func (sc *Scope) charge(scope variable.Scope, s *variable.Set, diff int) bool {
	if sc.Snap == nil || sc.Snap.Global == nil {
		return true
	}
	var l VarLimits
	if v := Variables.Of(sc.Snap.Global); v != nil {
		l = v.Limits
	}
	sets, limits := sc.charged(scope, s, &l)
	for i, set := range sets {
		if set != nil && diff > 0 && limits[i] > 0 && set.Size+diff > limits[i] {
			return false
		}
	}
	if (l.Proc > 0 || l.Global > 0 || scope == variable.Proc) && !sc.chargeProcess(s, diff, &l) {
		return false
	}
	for _, set := range sets {
		if set != nil {
			set.Size += diff
		}
	}
	return true
}

// charged are the sets that count what the set s of a scope takes, each with its
// limit, from the finest scope on.
func (sc *Scope) charged(scope variable.Scope, s *variable.Set, l *VarLimits) (sets [3]*variable.Set, limits [3]int) {
	limits = [3]int{l.ReqRes, l.Txn, l.Sess}
	switch scope {
	case variable.Req, variable.Res:
		sets = [3]*variable.Set{s, &sc.Stream.vars.txn, sc.sessVars(l.Sess)}
	case variable.Txn:
		sets = [3]*variable.Set{nil, s, sc.sessVars(l.Sess)}
	case variable.Sess:
		sets[2] = s
	case variable.Check:
		sets = [3]*variable.Set{nil, s, &sc.Check.sess}
		limits[1] = l.Check
	}
	return sets, limits
}

// chargeProcess counts for the process what the set s takes more, or less.
func (sc *Scope) chargeProcess(s *variable.Set, diff int, l *VarLimits) bool {
	total := sc.W.Vars.Size.Add(int64(diff))
	if diff > 0 && (l.Proc > 0 && total > int64(l.Proc) || l.Global > 0 && total > int64(l.Global)) {
		sc.W.Vars.Size.Add(-int64(diff))
		return false
	}
	if s != nil {
		s.Charged += diff
	}
	return true
}

// sessVars are the session's, made if they are to be counted.
func (sc *Scope) sessVars(limit int) *variable.Set {
	return sc.set(variable.Sess, limit > 0)
}

// dropVars empties a set of the exchange.
func (st *Stream) dropVars(s *variable.Set) {
	if s.Len() == 0 {
		return
	}
	own := s.Size
	if s == &st.vars.txn {
		own -= st.vars.reqres.Size
	} else {
		st.vars.txn.Size -= own
	}
	if v := st.Sess.vars; v != nil {
		v.Size = max(v.Size-own, 0)
	}
	if s.Charged != 0 {
		st.W.Vars.Size.Add(-int64(s.Charged))
	}
	s.Clear()
}

// endVars gives back what the session's variables take. Exchanges that outlive the
// connection can still read them.
func (s *Session) endVars() {
	if v := s.vars; v != nil && v.Charged != 0 {
		s.Listener.worker.Vars.Size.Add(-int64(v.Charged))
		v.Charged = 0
	}
}

// End gives back what the variables of a health check take.
func (c *Check) End(w *Worker) {
	w.Vars.Size.Add(-int64(c.vars.Charged + c.sess.Charged))
	c.vars.Clear()
	c.sess.Clear()
}

// ApplyVars sets the variables of the process that a configuration sets, as far as
// the one before did not say the same: what was set at run time stays.
func (w *Worker) ApplyVars(old, snap *Snapshot) {
	sc := &Scope{W: w, R: w.Reactors[0], Snap: snap}
	list := snap.Global.initVars()
	for i := range list {
		v := &list[i]
		said := false
		if old != nil {
			for _, o := range old.Global.initVars() {
				said = said || o.Name == v.Name && o.Text == v.Text
			}
		}
		if !said {
			sc.SetVar(v.Name, &v.Value, nil)
		}
	}
}
