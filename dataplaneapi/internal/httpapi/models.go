package httpapi

import (
	"bytes"
	"slices"
	"sync"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/proxy/config"
)

// maxModels bounds how many transactions are kept in memory as they were last read.
const maxModels = 4

// models keeps the configuration as it was last read: the file, and the transactions that are read most.
type models struct {
	mu   sync.Mutex
	file kept
	open []kept // transactions, the one that was read last at the end
}

type kept struct {
	id    string
	text  []byte
	model *resource.Model
}

// model returns the configuration that a request is about, with its version.
func (s *Server) model(r *request) (*resource.Model, int64, error) {
	text, version, err := s.base(r)
	if err != nil {
		return nil, 0, err
	}
	m := &s.models
	m.mu.Lock()
	defer m.mu.Unlock()
	id := r.query.Get("transaction_id")
	if id == "" {
		return s.fileModel(text), version, nil
	}
	i := slices.IndexFunc(m.open, func(k kept) bool { return k.id == id })
	k := kept{id: id, text: text}
	if i >= 0 {
		if bytes.Equal(m.open[i].text, text) {
			k = m.open[i]
		}
		m.open = slices.Delete(m.open, i, i+1)
	}
	if k.model == nil {
		k.model = s.API.NewModel(s.Store.Path, text)
	}
	if m.open = append(m.open, k); len(m.open) > maxModels {
		m.open = slices.Delete(m.open, 0, 1)
	}
	return k.model, version, nil
}

// fileModel needs the lock of the models. The store has the same bytes at the same place until they change.
func (s *Server) fileModel(text []byte) *resource.Model {
	k := &s.models.file
	if k.model == nil || len(k.text) != len(text) || len(text) > 0 && &k.text[0] != &text[0] {
		*k = kept{text: text, model: s.API.NewModel(s.Store.Path, text)}
	}
	return k.model
}

// current is the configuration of the file, for reading only.
func (s *Server) current() (*config.File, error) {
	text, _, err := s.Store.Text()
	if err != nil {
		return nil, err
	}
	s.models.mu.Lock()
	defer s.models.mu.Unlock()
	return s.fileModel(text).File, nil
}
