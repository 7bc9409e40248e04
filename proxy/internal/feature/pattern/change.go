package pattern

import (
	"errors"
	"slices"
)

// Errors of changes.
var (
	ErrFuture  = errors.New("the version was not prepared")
	ErrVersion = errors.New("no such version to commit")
	ErrMissing = errors.New("no such entry")
)

// State tells the version in force, the one that was prepared last, and how many
// entries there are in all versions.
func (l *List) State() (cur, next uint32, entries int) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.cur.Load()
	n := v.n.Load()
	for _, w := range s.waiting {
		n += w.n.Load()
	}
	return v.number, s.next, int(n)
}

// Current is the version in force.
func (l *List) Current() uint32 { return l.store.cur.Load().number }

// First gives the first entry of a version; [Entry.Next] leads to the others. Who
// goes along them takes no lock, and sees what happens meanwhile or not.
func (l *List) First(version uint32) *Entry {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if v := l.store.version(version, false); v != nil {
		return v.head.Load()
	}
	return nil
}

// Next gives the entry behind e.
func (e *Entry) Next() *Entry { return e.next.Load() }

// checkValue tells whether all who read values can read this one.
func (l *List) checkValue(value string) error {
	for _, m := range l.Matchers {
		if err := m.Out.check(value); err != nil {
			return err
		}
	}
	return nil
}

// Append adds an entry to a version.
func (l *List) Append(version uint32, key, value string) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if int32(version-s.next) > 0 && version != s.cur.Load().number {
		return ErrFuture
	}
	return l.append(s.version(version, true), key, value)
}

func (l *List) append(v *version, key, value string) error {
	e := &Entry{Key: key}
	if l.Pairs {
		if err := l.checkValue(value); err != nil {
			return err
		}
		e.value.Store(&value)
	}
	var forms [shapes]parsed
	if err := l.store.check(e, nil, &forms); err != nil {
		return err
	}
	l.store.add(v, e, &forms)
	l.store.changed = true
	return nil
}

// withKey gives the entries in force with a key.
func (l *List) withKey(key string) []*Entry {
	return l.store.cur.Load().by[asText].Load().table.all(key)
}

// Set gives the entries of a key another value. It returns how many there are.
func (l *List) Set(key, value string) (int, error) {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	return l.set(l.withKey(key), value)
}

func (l *List) set(list []*Entry, value string) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	if err := l.checkValue(value); err != nil {
		return 0, err
	}
	for _, e := range list {
		e.value.Store(&value)
		e.changed = true
	}
	l.store.changed = true
	return len(list), nil
}

// Put gives a key a value: the entries that it has, or a new one. Nothing is done
// if they have it already.
func (l *List) Put(key, value string) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	list := l.withKey(key)
	if len(list) == 0 {
		return l.append(s.cur.Load(), key, value)
	}
	if l.Pairs && slices.ContainsFunc(list, func(e *Entry) bool { return e.Value() != value }) {
		_, err := l.set(list, value)
		return err
	}
	return nil
}

// Has tells whether there is an entry of a key, and all of them have the value. It
// takes no lock.
func (l *List) Has(key []byte, value []byte) bool {
	e := l.store.cur.Load().by[asText].Load().lookup(key)
	return e != nil && (!l.Pairs || e.Value() == string(value))
}

// Delete takes out the entries in force with a key. It returns how many there were.
func (l *List) Delete(key string) int {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	list := l.withKey(key)
	for _, e := range list {
		s.remove(s.cur.Load(), e)
	}
	if len(list) > 0 {
		s.changed = true
	}
	return len(list)
}

// ByID finds an entry in force by its number, which may take long: it is not for
// reactors.
func (l *List) ByID(id uint64) *Entry {
	for e := l.store.cur.Load().head.Load(); e != nil; e = e.Next() {
		if e.id == id {
			return e
		}
	}
	return nil
}

// SetEntry gives an entry another value.
func (l *List) SetEntry(e *Entry, value string) error {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if e.gone || !slices.Contains(l.withKey(e.Key), e) {
		return ErrMissing
	}
	_, err := l.set([]*Entry{e}, value)
	return err
}

// DeleteEntry takes an entry out that is in force.
func (l *List) DeleteEntry(e *Entry) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.gone || !slices.Contains(l.withKey(e.Key), e) {
		return ErrMissing
	}
	s.remove(s.cur.Load(), e)
	s.changed = true
	return nil
}

// Clear takes all entries of a version out.
func (l *List) Clear(version uint32) {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if version == s.cur.Load().number {
		s.cur.Store(s.empty(version))
		s.changed = true
	} else {
		delete(s.waiting, version)
	}
}

// Prepare gives the number of a new version, which is empty.
func (l *List) Prepare() uint32 {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.store.next++
	l.store.changed = true
	return l.store.next
}

// Commit puts a version in force. Those before it are gone.
func (l *List) Commit(version uint32) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if int32(version-s.cur.Load().number) <= 0 || int32(s.next-version) < 0 {
		return ErrVersion
	}
	s.cur.Store(s.version(version, true))
	for n := range s.waiting {
		if int32(n-version) <= 0 {
			delete(s.waiting, n)
		}
	}
	s.changed = true
	return nil
}
