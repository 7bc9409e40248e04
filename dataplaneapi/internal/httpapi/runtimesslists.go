package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/crtlist"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

// A listEntry is a line of a crt-list as the API has it.
type listEntry struct {
	File          string   `json:"file"`
	LineNumber    int      `json:"line_number,omitempty"`
	SNIFilter     []string `json:"sni_filter,omitempty"`
	SSLBindConfig string   `json:"ssl_bind_config,omitempty"`
}

func (s *Server) runtimeLists(ctx context.Context, _ *request) (int, any, error) {
	reply, err := s.show(ctx, "crt-list", "")
	if err != nil {
		return 0, nil, err
	}
	list := []map[string]string{}
	for _, name := range runtime.ParseLists(reply) {
		list = append(list, map[string]string{"file": name})
	}
	return http.StatusOK, list, nil
}

// listName reads the name of a crt-list, which is in the query.
func listName(r *request) (string, error) {
	return r.query.Get("name"), fileName("name", r.query.Get("name"))
}

func (s *Server) runtimeEntries(ctx context.Context, r *request) (int, any, error) {
	name, err := listName(r)
	if err != nil {
		return 0, nil, err
	}
	reply, err := s.command(ctx, "show ssl crt-list -n "+runtime.Quote(name))
	if err != nil {
		return 0, nil, err
	}
	entries, err := runtime.ParseEntries(reply)
	list := []listEntry{}
	for _, e := range entries {
		list = append(list, listEntry{e.File, e.Line, e.Filters, e.Options})
	}
	return http.StatusOK, list, err
}

func (s *Server) addRuntimeEntry(ctx context.Context, r *request) (int, any, error) {
	name, err := listName(r)
	if err != nil {
		return 0, nil, err
	}
	var entry listEntry
	if err := json.Unmarshal(r.body, &entry); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	if err := fileName("file", entry.File); err != nil {
		return 0, nil, err
	}
	e := crtlist.Entry{File: entry.File, Options: strings.TrimSpace(entry.SSLBindConfig), Filters: entry.SNIFilter}
	if err := e.Check(); err != nil {
		return 0, nil, fail(http.StatusUnprocessableEntity, "body: %v", err)
	}
	c, err := s.client()
	if err != nil {
		return 0, nil, err
	}
	err = c.AddEntry(context.WithoutCancel(ctx), name, e.String())
	// What the body names and is not there is a mistake in the body.
	var refused *runtime.Error
	if errors.As(err, &refused) {
		if said := replyError(refused); said.Code == http.StatusNotFound && strings.Contains(refused.Reply, "certificate '") {
			err = &Error{http.StatusBadRequest, said.Message}
		}
	}
	return http.StatusCreated, nil, err
}

func (s *Server) deleteRuntimeEntry(ctx context.Context, r *request) (int, any, error) {
	name, err := listName(r)
	if err != nil {
		return 0, nil, err
	}
	file := r.query.Get("cert_file")
	if err := fileName("cert_file", file); err != nil {
		return 0, nil, err
	}
	if line := r.query.Get("line_number"); line != "" {
		file += ":" + line
	}
	c, err := s.client()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, c.DelEntry(context.WithoutCancel(ctx), name, file)
}
