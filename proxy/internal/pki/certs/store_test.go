package certs_test

import (
	"errors"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

// user notes what it was told; it refuses what refuse holds.
type user struct {
	now    *certs.Pair
	refuse *certs.Pair
}

var errRefused = errors.New("refused")

func (u *user) Renew(_, next any) (func(), error) {
	p := next.(*certs.Pair)
	if p == u.refuse {
		return nil, errRefused
	}
	return func() { u.now = p }, nil
}

func (u *user) Title() string { return "test" }

func TestTransactions(t *testing.T) {
	s := &certs.Store{}
	one, two, three := &certs.Pair{}, &certs.Pair{Stapled: true}, &certs.Pair{Completed: true}
	a, err := s.Certs.New("a", one)
	if err != nil {
		t.Fatal(err)
	}
	s.Certs.New("b", one)
	if _, err := s.Certs.New("a", one); err != certs.ErrExists {
		t.Errorf("made twice: %v", err)
	}
	u, v := &user{now: one}, &user{now: one}
	a.Use(u)
	a.Use(v)
	a.Use(u)
	if n := len(a.Users()); n != 2 {
		t.Errorf("%d users", n)
	}
	to := func(p *certs.Pair) func(*certs.Pair) (*certs.Pair, error) {
		return func(*certs.Pair) (*certs.Pair, error) { return p, nil }
	}
	if err := s.Certs.Commit("a", nil); err != certs.ErrNoTransaction {
		t.Errorf("commit without a transaction: %v", err)
	}
	if err := s.Certs.Abort("a"); err != certs.ErrNoTransaction {
		t.Errorf("abort without a transaction: %v", err)
	}
	if _, err := s.Certs.Set("c", to(two)); err != certs.ErrUnknown {
		t.Errorf("set of an unknown one: %v", err)
	}
	if created, err := s.Certs.Set("a", to(two)); !created || err != nil {
		t.Errorf("set: %v, %v", created, err)
	}
	if a.Load() != one || u.now != one {
		t.Error("it is in force before the commit")
	}
	if created, err := s.Certs.Set("a", func(p *certs.Pair) (*certs.Pair, error) {
		if p != two {
			t.Error("the second change does not build on the first one")
		}
		return three, nil
	}); created || err != nil {
		t.Errorf("set again: %v, %v", created, err)
	}
	var other *certs.OtherError
	for name, err := range map[string]error{
		"set": func() error { _, err := s.Certs.Set("b", to(two)); return err }(), "commit": s.Certs.Commit("b", nil), "abort": s.Certs.Abort("b"),
	} {
		if !errors.As(err, &other) || other.Open != "a" || other.Wanted != "b" {
			t.Errorf("%s of another one: %v", name, err)
		}
	}
	if _, err := s.Certs.Set("a", func(*certs.Pair) (*certs.Pair, error) { return nil, errRefused }); err != errRefused {
		t.Errorf("a change that fails: %v", err)
	}
	v.refuse = three
	if err := s.Certs.Commit("a", nil); err != errRefused {
		t.Errorf("commit: %v", err)
	}
	if a.Load() != one || u.now != one {
		t.Error("a refused commit has changed something")
	}
	v.refuse = nil
	steps := 0
	if err := s.Certs.Commit("a", func() { steps++ }); err != nil || steps != 2 {
		t.Errorf("commit: %v, %d steps", err, steps)
	}
	if a.Load() != three || u.now != three || v.now != three {
		t.Error("the commit has not reached everybody")
	}
	if e, _ := s.Certs.Transaction(); e != nil {
		t.Error("the transaction is still open")
	}
	if err := s.Certs.Delete("a"); err != certs.ErrUsed {
		t.Errorf("delete of a used one: %v", err)
	}
	s.Certs.Set("a", to(two))
	a.Drop(u)
	a.Drop(v)
	if err := s.Certs.Delete("a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if e, _ := s.Certs.Transaction(); e != nil {
		t.Error("the transaction about a deleted one is still open")
	}
	if err := s.Certs.Delete("a"); err != certs.ErrUnknown {
		t.Errorf("delete again: %v", err)
	}
	if list := s.Certs.All(); len(list) != 1 || list[0].Name != "b" {
		t.Errorf("left: %v", list)
	}
}

func TestUpdate(t *testing.T) {
	s := &certs.Store{}
	a, _ := s.Certs.New("a", &certs.Pair{})
	u := &user{}
	a.Use(u)
	if err := a.Update(func(p *certs.Pair) *certs.Pair { return p.WithOCSP([]byte("x")) }); err != nil || string(a.Load().OCSP) != "x" || u.now != a.Load() {
		t.Errorf("%v, %+v", err, a.Load())
	}
	before := a.Load()
	if err := a.Update(func(*certs.Pair) *certs.Pair { return nil }); err != nil || a.Load() != before {
		t.Errorf("nothing was to be changed: %v", err)
	}
}
