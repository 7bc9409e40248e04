package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The states of a transaction.
const (
	InProgress = "in_progress"
	Failed     = "failed"
	Outdated   = "outdated"
	Success    = "success"
)

// Errors of transactions.
var (
	ErrNoTransaction = errors.New("transaction does not exist")
	ErrTooMany       = errors.New("too many open transactions")
)

// Transaction is a private copy of the configuration. Its text carries the version that it was taken from.
type Transaction struct {
	Version int64  `json:"_version"`
	ID      string `json:"id"`
	Status  string `json:"status"`
}

var idRE = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Store) path(status, id string) string {
	name := filepath.Base(s.Path) + "." + id
	if status == InProgress {
		return filepath.Join(s.Dir, name)
	}
	return filepath.Join(s.Dir, status, name)
}

// Begin opens a transaction on the current text.
func (s *Store) Begin() (Transaction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, version, err := s.current()
	if err != nil {
		return Transaction{}, err
	}
	open, err := s.list(InProgress)
	if err != nil {
		return Transaction{}, err
	}
	if s.MaxOpen > 0 && len(open) >= s.MaxOpen {
		return Transaction{}, ErrTooMany
	}
	t := Transaction{ID: newID(), Version: version, Status: InProgress}
	return t, WriteFile(s.path(InProgress, t.ID), WithVersion(text, version))
}

// Transactions lists the transactions in one state, or in all when it is empty.
func (s *Store) Transactions(status string) ([]Transaction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(status)
}

func (s *Store) list(status string) ([]Transaction, error) {
	out := []Transaction{}
	for _, st := range []string{InProgress, Failed, Outdated} {
		if status != "" && status != st {
			continue
		}
		entries, err := os.ReadDir(filepath.Dir(s.path(st, "x")))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			id, ok := strings.CutPrefix(e.Name(), filepath.Base(s.Path)+".")
			if !ok || !idRE.MatchString(id) {
				continue
			}
			if t, _, err := s.get(st, id); err == nil {
				out = append(out, t)
			}
		}
	}
	slices.SortFunc(out, func(a, b Transaction) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

func (s *Store) get(status, id string) (Transaction, []byte, error) {
	text, _, err := read(s.path(status, id))
	if err != nil {
		return Transaction{}, nil, err
	}
	return Transaction{ID: id, Version: Version(text), Status: status}, text, nil
}

// Transaction returns a transaction and its text.
func (s *Store) Transaction(id string) (Transaction, []byte, error) {
	if idRE.MatchString(id) {
		for _, st := range []string{InProgress, Failed, Outdated} {
			if t, text, err := s.get(st, id); err == nil {
				return t, text, nil
			} else if !os.IsNotExist(err) {
				return Transaction{}, nil, err
			}
		}
	}
	return Transaction{}, nil, ErrNoTransaction
}

// Update replaces the text of an open transaction.
func (s *Store) Update(t Transaction, text []byte) error {
	if err := fits(text); err != nil {
		return err
	}
	return WriteFile(s.path(InProgress, t.ID), WithVersion(text, t.Version))
}

// End closes an open transaction: it is kept as failed or outdated, or gone after success.
func (s *Store) End(t Transaction, status string) error {
	from := s.path(t.Status, t.ID)
	if status == Success {
		return os.Remove(from)
	}
	s.prune(status)
	return os.Rename(from, s.path(status, t.ID))
}

// prune bounds how many dead transactions are kept.
func (s *Store) prune(status string) {
	const keep = 100
	dir := filepath.Join(s.Dir, status)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < keep {
		return
	}
	oldest, name := int64(0), ""
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && (name == "" || fi.ModTime().UnixNano() < oldest) {
			oldest, name = fi.ModTime().UnixNano(), e.Name()
		}
	}
	os.Remove(filepath.Join(dir, name))
}

// Drop deletes a transaction in any state.
func (s *Store) Drop(id string) error {
	t, _, err := s.Transaction(id)
	if err != nil {
		return err
	}
	return os.Remove(s.path(t.Status, id))
}
