package certs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Store holds what one configuration has. Any goroutine may use it.
type Store struct {
	// Certs are the certificates, by the name that "crt" has after crt-base was put
	// before it, or "@store/alias" of a crt-store.
	Certs Kind[Pair]
	// CAs and CRLs are what ca-file and crl-file name.
	CAs  Kind[CA]
	CRLs Kind[CRL]

	busy sync.Mutex
}

// Names that the other packages know the entries by.
type (
	Cert    = Entry[Pair]
	CAFile  = Entry[CA]
	CRLFile = Entry[CRL]
)

// Cert gives a certificate by name, nil if there is none. CA and CRL do the same.
func (s *Store) Cert(name string) *Cert   { return s.Certs.Get(name) }
func (s *Store) CA(name string) *CAFile   { return s.CAs.Get(name) }
func (s *Store) CRL(name string) *CRLFile { return s.CRLs.Get(name) }

// TryLock reserves the store for a command that changes it in several steps. It
// returns false when another command has it ("Operations on certificates are
// currently locked!"). It is held while a reply waits for its client.
func (s *Store) TryLock() bool { return s.busy.TryLock() }

// Unlock ends what [Store.TryLock] began.
func (s *Store) Unlock() { s.busy.Unlock() }

// changing orders changes of values, of all stores: they are rare.
var changing sync.Mutex

// Change runs f while nothing else changes values: for users that change what
// they make of entries by themselves. It must not be called on a reactor.
func Change(f func() error) error {
	changing.Lock()
	defer changing.Unlock()
	return f()
}

// User is what is made with an entry and must be made anew when it changes: the
// contexts of a bind line, the security of a server.
type User interface {
	// Renew makes what is needed for the entry e (a *Cert, *CAFile or *CRLFile)
	// to have the value next (a *Pair, *CA or *CRL), without putting it in force:
	// publish does that, and cannot fail.
	Renew(e, next any) (publish func(), err error)
	// Title names the user in lists.
	Title() string
}

// Entry is one named value.
type Entry[T any] struct {
	Name  string
	kind  *Kind[T]
	value atomic.Pointer[T]
	users []User // under kind.mu
}

// Load gives the present value. It is nil for an entry that was made empty
// ("new ssl cert") and never committed.
func (e *Entry[T]) Load() *T { return e.value.Load() }

// Use makes u a user of e. A user that is one already stays one, once.
func (e *Entry[T]) Use(u User) {
	e.kind.mu.Lock()
	defer e.kind.mu.Unlock()
	if !slices.Contains(e.users, u) {
		e.users = append(e.users, u)
	}
}

// Drop makes u no user of e any more.
func (e *Entry[T]) Drop(u User) {
	e.kind.mu.Lock()
	defer e.kind.mu.Unlock()
	e.users = slices.DeleteFunc(slices.Clone(e.users), func(o User) bool { return o == u })
}

// Users gives those who use e, in the order in which they began to.
func (e *Entry[T]) Users() []User {
	e.kind.mu.Lock()
	defer e.kind.mu.Unlock()
	return slices.Clone(e.users)
}

// Update replaces the value by what change makes of it, now and without a
// transaction, for all users: that is how an OCSP response is renewed. change
// returns nil to leave it. It must not be called on a reactor.
func (e *Entry[T]) Update(change func(*T) *T) error {
	changing.Lock()
	defer changing.Unlock()
	next := change(e.Load())
	if next == nil {
		return nil
	}
	return e.publish(next, nil)
}

// publish gives e a value, with all that its users make of it. It is all or
// nothing. The caller holds
// changing.
func (e *Entry[T]) publish(next *T, step func()) error {
	var all []func()
	for _, u := range e.Users() {
		p, err := u.Renew(e, next)
		if err != nil {
			return err
		}
		all = append(all, p)
		if step != nil {
			step()
		}
	}
	e.value.Store(next)
	for _, p := range all {
		p()
	}
	return nil
}

// Kind is all entries of one kind, with at most one transaction open among them.
// Its zero value is empty.
type Kind[T any] struct {
	mu     sync.Mutex // for the fields and the users; held for moments
	byName map[string]*Entry[T]
	open   *Entry[T] // whose transaction is open
	next   *T        // its value to be
}

// Errors of changes.
var (
	// ErrUnknown: there is no entry of that name.
	ErrUnknown = errors.New("unknown name")
	// ErrExists: there is one already.
	ErrExists = errors.New("already exists")
	// ErrUsed: the entry cannot be deleted because it is in use.
	ErrUsed = errors.New("in use")
	// ErrNoTransaction: none is open.
	ErrNoTransaction = errors.New("no ongoing transaction")
)

// OtherError tells that the open transaction is about another entry.
type OtherError struct{ Open, Wanted string }

// Error words it as the Runtime commands do.
func (e *OtherError) Error() string {
	return fmt.Sprintf("The ongoing transaction is about '%s' but you are trying to set '%s'", e.Open, e.Wanted)
}

// Get gives an entry by name, nil if there is none.
func (k *Kind[T]) Get(name string) *Entry[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byName[name]
}

// All gives all entries, by name.
func (k *Kind[T]) All() []*Entry[T] {
	k.mu.Lock()
	out := make([]*Entry[T], 0, len(k.byName))
	for _, e := range k.byName {
		out = append(out, e)
	}
	k.mu.Unlock()
	slices.SortFunc(out, func(a, b *Entry[T]) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// New makes an entry; v may be nil. The error is [ErrExists].
func (k *Kind[T]) New(name string, v *T) (*Entry[T], error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byName[name] != nil {
		return nil, ErrExists
	}
	if k.byName == nil {
		k.byName = make(map[string]*Entry[T])
	}
	e := &Entry[T]{Name: name, kind: k}
	e.value.Store(v)
	k.byName[name] = e
	return e, nil
}

// Delete removes an entry that nobody uses. The error is [ErrUnknown] or
// [ErrUsed]. A transaction about it is aborted.
func (k *Kind[T]) Delete(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.byName[name]
	switch {
	case e == nil:
		return ErrUnknown
	case len(e.users) > 0:
		return ErrUsed
	}
	delete(k.byName, name)
	if k.open == e {
		k.open, k.next = nil, nil
	}
	return nil
}

// Transaction gives the entry whose transaction is open, with its value to be;
// nil if none is.
func (k *Kind[T]) Transaction() (e *Entry[T], next *T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open, k.next
}

// Set opens a transaction about an entry, or goes on with the one that is open:
// change gets the value to be, or the present one, and returns the next. created
// tells that it was opened. The error is [ErrUnknown], an [*OtherError], or what
// change returns.
func (k *Kind[T]) Set(name string, change func(*T) (*T, error)) (created bool, err error) {
	changing.Lock()
	defer changing.Unlock()
	e, next := k.Transaction()
	switch {
	case e != nil && e.Name != name:
		return false, &OtherError{e.Name, name}
	case e == nil:
		if e = k.Get(name); e == nil {
			return false, ErrUnknown
		}
		created, next = true, e.Load()
	}
	if next, err = change(next); err != nil {
		return false, err
	}
	k.mu.Lock()
	k.open, k.next = e, next
	k.mu.Unlock()
	return created, nil
}

// Commit puts the value of the open transaction in force for all users at once,
// and closes it. step, unless nil, is called for each of them on the way. On an
// error nothing has changed and the transaction stays open. It may take long:
// do not call it on a reactor.
func (k *Kind[T]) Commit(name string, step func()) error {
	changing.Lock()
	defer changing.Unlock()
	e, next := k.Transaction()
	switch {
	case e == nil:
		return ErrNoTransaction
	case e.Name != name:
		return &OtherError{e.Name, name}
	}
	if err := e.publish(next, step); err != nil {
		return err
	}
	k.forget()
	return nil
}

// Abort forgets the open transaction. The error is [ErrNoTransaction] or an
// [*OtherError].
func (k *Kind[T]) Abort(name string) error {
	changing.Lock()
	defer changing.Unlock()
	e, _ := k.Transaction()
	switch {
	case e == nil:
		return ErrNoTransaction
	case e.Name != name:
		return &OtherError{e.Name, name}
	}
	k.forget()
	return nil
}

func (k *Kind[T]) forget() {
	k.mu.Lock()
	k.open, k.next = nil, nil
	k.mu.Unlock()
}
