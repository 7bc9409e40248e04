package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

// configuration handles all operations of all resources of the configuration.
func (s *Server) configuration(route resource.Route) handler {
	if route.Method == http.MethodGet {
		return s.read
	}
	return s.write
}

// place finds the collection that a request is about.
func place(r *request, f *config.File) (*resource.Place, error) {
	if r.route.Resource.Section != "" {
		return r.route.Resource.Sections(f), nil
	}
	return r.route.Resource.In(f, r.route.Parent.Section, r.params[r.route.Parent.Param()])
}

func (s *Server) read(_ context.Context, r *request) (int, any, error) {
	m, version, err := s.model(r)
	if err != nil {
		return 0, nil, err
	}
	r.header.Set("Configuration-Version", strconv.FormatInt(version, 10))
	res, full := r.route.Resource, r.flag("full_section")
	kind, name := "", ""
	if res.Section == "" {
		kind, name = r.route.Parent.Section, r.params[r.route.Parent.Param()]
	}
	var data []byte
	if r.route.One || res.Single {
		data, err = m.Get(res, kind, name, full, r.params[res.Param()], r.index())
	} else {
		filter := res.Filter
		if filter != "" && r.query.Get(filter) == "" {
			filter = ""
		}
		data, err = m.List(res, kind, name, full, filter, r.query.Get(filter))
		if errors.Is(err, resource.ErrNoParent) {
			data, err = []byte("[]"), nil
		}
	}
	return http.StatusOK, rawJSON(data), err
}

// base returns the text that a read is about: the file's or a transaction's.
func (s *Server) base(r *request) ([]byte, int64, error) {
	if id := r.query.Get("transaction_id"); id != "" {
		t, data, err := s.Store.Transaction(id)
		return data, t.Version, err
	}
	return s.Store.Text()
}

func (s *Server) write(ctx context.Context, r *request) (int, any, error) {
	edit, body, err := s.edit(r)
	if err != nil {
		return 0, nil, err
	}
	status := map[string]int{http.MethodPost: http.StatusCreated, http.MethodPut: http.StatusOK, http.MethodDelete: http.StatusNoContent}[r.Method]
	if r.Method == http.MethodPut && !r.route.One && r.route.Resource.Section != "" && !r.route.Resource.Single {
		status = http.StatusCreated // the deprecated way to add
	}
	id, version := r.query.Get("transaction_id"), r.query.Get("version")
	switch {
	case id != "" && version != "":
		return 0, nil, fail(http.StatusBadRequest, "version and transaction_id cannot be used together")
	case id != "":
		if r.flag("force_reload") {
			return 0, nil, fail(http.StatusBadRequest, "force_reload cannot be used with transaction_id")
		}
		if err := s.inTransaction(r, id, edit); err != nil {
			return 0, nil, err
		}
		return http.StatusAccepted, body, nil
	case version == "":
		return 0, nil, fail(http.StatusBadRequest, "version or transaction_id is required")
	}
	return s.apply(ctx, r, ladder.Options{ForceReload: r.flag("force_reload")}, checkVersion(version), edit, status, body)
}

// checkVersion compares the version of a request with the current one.
func checkVersion(version string) func(int64) error {
	return func(current int64) error {
		if strconv.FormatInt(current, 10) != version {
			return fmt.Errorf("%w: version is %s, the configuration is at %d", ladder.ErrVersion, version, current)
		}
		return nil
	}
}

// apply runs a change and answers as v3 does: 202 with the reload's identifier when one is to come.
func (s *Server) apply(ctx context.Context, r *request, opt ladder.Options, check func(int64) error, edit func([]byte) ([]byte, error), status int, body any) (int, any, error) {
	result, err := s.Ladder.Do(ctx, opt, check, edit)
	if result.Version != 0 {
		r.header.Set("Configuration-Version", strconv.FormatInt(result.Version, 10))
	}
	if err != nil {
		return 0, nil, err
	}
	if result.ReloadID != "" {
		r.header.Set("Reload-ID", result.ReloadID)
		status = http.StatusAccepted
	}
	return status, body, nil
}

// inTransaction edits the text of an open transaction.
func (s *Server) inTransaction(r *request, id string, edit func([]byte) ([]byte, error)) error {
	s.tx.Lock()
	defer s.tx.Unlock()
	t, data, err := s.Store.Transaction(id)
	if err != nil {
		return err
	}
	r.header.Set("Configuration-Version", strconv.FormatInt(t.Version, 10))
	if t.Status != store.InProgress {
		return fail(http.StatusNotAcceptable, "transaction %s is %s", id, t.Status)
	}
	if data, err = edit(data); err != nil {
		return err
	}
	return s.Store.Update(t, data)
}

// edit reads the body and returns what to do with the text, and the body of the answer.
func (s *Server) edit(r *request) (func([]byte) ([]byte, error), any, error) {
	res := r.route.Resource
	full := r.flag("full_section")
	var obj map[string]any
	var list []map[string]any
	var body any
	replaceAll := r.Method == http.MethodPut && !r.route.One && res.Section == ""
	switch {
	case r.Method == http.MethodDelete:
	case replaceAll:
		if err := json.Unmarshal(r.body, &list); err != nil {
			return nil, nil, fail(http.StatusBadRequest, "body: %v", err)
		}
		body = rawJSON(res.ListJSON(list))
	default:
		if err := json.Unmarshal(r.body, &obj); err != nil {
			return nil, nil, fail(http.StatusBadRequest, "body: %v", err)
		}
		if !full {
			for _, name := range res.ListFields() {
				if obj[name] != nil {
					return nil, nil, fail(http.StatusUnprocessableEntity, "%s is only taken with full_section=true", name)
				}
			}
		}
		body = rawJSON(res.JSON(obj))
	}
	return func(data []byte) ([]byte, error) {
		f := config.Parse(s.Store.Path, data)
		p, err := place(r, f)
		if errors.Is(err, resource.ErrNoParent) && (r.Method == http.MethodPost || replaceAll) {
			return nil, fail(http.StatusBadRequest, "%v", err) // only what is named by the path is "not found"
		}
		if err != nil {
			return nil, err
		}
		key := r.params[res.Param()]
		switch {
		case r.Method == http.MethodDelete:
			err = p.Delete(key, r.index())
		case replaceAll:
			err = p.ReplaceAll(list)
		case r.route.One && r.Method == http.MethodPut || res.Single:
			err = p.Replace(key, r.index(), obj, full)
		default:
			err = p.Create(obj, r.index(), full)
		}
		if err != nil {
			return nil, err
		}
		return f.Bytes(), nil
	}, body, nil
}
