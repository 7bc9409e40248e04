package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

// runtimePatterns are the operations upon the maps and the lists of patterns that the proxy holds in memory. Those of maps
// write the file on the disk when they are asked to.
func (s *Server) runtimePatterns() map[string]handler {
	maps, acls := patterns{s, runtime.Map}, patterns{s, runtime.ACL}
	return map[string]handler{
		"getAllRuntimeMapFiles":  maps.list,
		"getOneRuntimeMap":       maps.get,
		"addPayloadRuntimeMap":   maps.replace,
		"clearRuntimeMap":        s.clearMap,
		"showRuntimeMap":         maps.entries,
		"addMapEntry":            maps.add,
		"getRuntimeMapEntry":     maps.entry,
		"replaceRuntimeMapEntry": maps.set,
		"deleteRuntimeMapEntry":  maps.remove,

		"getAllRuntimeAclFiles":       acls.list,
		"getRuntimeAclFile":           acls.get,
		"getAllRuntimeAclFileEntries": acls.entries,
		"createRuntimeAclFileEntry":   acls.add,
		"addPayloadRuntimeACL":        acls.replace,
		"getRuntimeAclFileEntry":      acls.entry,
		"deleteRuntimeAclFileEntry":   acls.remove,
	}
}

// patterns handles the operations on one kind of lists.
type patterns struct {
	s    *Server
	kind runtime.Patterns
}

// patternEntry is an entry as the API has it: of a map a key with its value, of an ACL a value.
type patternEntry struct {
	ID    string  `json:"id,omitempty"`
	Key   *string `json:"key,omitempty"`
	Value *string `json:"value,omitempty"`
}

func (p patterns) show(e runtime.Entry) patternEntry {
	if p.kind == runtime.ACL {
		return patternEntry{ID: e.ID, Value: &e.Key}
	}
	return patternEntry{ID: e.ID, Key: &e.Key, Value: &e.Value}
}

// read is an entry of a body, which a line of a file has to be able to say.
func (p patterns) read(e patternEntry) (out runtime.Entry, err error) {
	fields := []struct {
		name string
		from *string
		to   *string
	}{{"key", e.Key, &out.Key}, {"value", e.Value, &out.Value}}
	if p.kind == runtime.ACL {
		fields = fields[1:]
		fields[0].to = &out.Key
	}
	for _, f := range fields {
		if f.from == nil {
			return out, &resource.FieldError{Field: f.name, Text: "is required"}
		}
		if err := entryText(f.name, *f.from); err != nil {
			return out, err
		}
		*f.to = *f.from
	}
	switch {
	case p.kind == runtime.Map && strings.ContainsAny(out.Key, " \t"):
		err = &resource.FieldError{Field: "key", Text: "a key of a map has no blanks"}
	case strings.HasPrefix(out.Key, "#"):
		err = &resource.FieldError{Field: fields[0].name, Text: "what begins with # is a comment in a file"}
	}
	return out, err
}

// entryText refuses what a line of a file cannot say.
func entryText(field, text string) error {
	switch {
	case text == "" || strings.TrimSpace(text) != text:
		return &resource.FieldError{Field: field, Text: "is empty, or has blanks at an end"}
	case len(text) > maxEntry:
		return &resource.FieldError{Field: field, Text: fmt.Sprintf("is longer than %d bytes", maxEntry)}
	case strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		return &resource.FieldError{Field: field, Text: "has a control character in it"}
	}
	return nil
}

// maxEntry bounds a key, and a value, in bytes: less than what HAProxy has room for in a command.
const maxEntry = 8192 - 512

// describe is a list as the API has it.
func (p patterns) describe(l runtime.List) map[string]any {
	out := map[string]any{"id": l.ID, "description": l.Text}
	if p.kind == runtime.ACL {
		out["storage_name"] = l.File
		return out
	}
	out["file"] = l.File
	if path, ok := p.s.managed(l); ok {
		out["storage_name"] = filepath.Base(path)
	}
	return out
}

// managed tells whether a list is a map of the storage, and where its file is.
func (s *Server) managed(l runtime.List) (path string, yes bool) {
	path = strings.TrimPrefix(strings.TrimPrefix(l.File, "file@"), "opt@")
	if path == "" || strings.Contains(path, "@") {
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.Store.Path), path)
	}
	path = filepath.Clean(path)
	return path, filepath.Dir(path) == filepath.Clean(s.Maps.Dir)
}

// find is the list that a name means: the file as the proxy has it, or of the storage, a number, or a base name that only
// one list has.
func (p patterns) find(ctx context.Context, name string) (*runtime.Client, runtime.List, error) {
	c, err := p.s.client()
	if err != nil {
		return nil, runtime.List{}, err
	}
	lists, err := c.Lists(ctx, p.kind)
	if err != nil {
		return nil, runtime.List{}, err
	}
	for _, is := range []func(l runtime.List) bool{
		func(l runtime.List) bool { return l.File == name },
		func(l runtime.List) bool {
			path, managed := p.s.managed(l)
			return managed && filepath.Base(path) == name
		},
		func(l runtime.List) bool { return l.ID == name },
		func(l runtime.List) bool { return l.File != "" && filepath.Base(l.File) == name },
	} {
		var found []runtime.List
		for _, l := range lists {
			if is(l) {
				found = append(found, l)
			}
		}
		if len(found) == 1 {
			return c, found[0], nil
		}
		if len(found) > 1 {
			return nil, runtime.List{}, fail(http.StatusBadRequest, "the proxy has several lists %q: use the whole name, or the number", name)
		}
	}
	return nil, runtime.List{}, fail(http.StatusNotFound, "the proxy has no %s %q", p.kind, name)
}

// named finds the list in the path of a request.
func (p patterns) named(ctx context.Context, r *request) (*runtime.Client, runtime.List, error) {
	name, ok := r.params["parent_name"]
	if !ok {
		if name, ok = r.params["name"]; !ok {
			name = r.params["id"]
		}
	}
	return p.find(ctx, name)
}

func (p patterns) list(ctx context.Context, r *request) (int, any, error) {
	c, err := p.s.client()
	if err != nil {
		return 0, nil, err
	}
	lists, err := c.Lists(ctx, p.kind)
	if err != nil {
		return 0, nil, err
	}
	out := []map[string]any{}
	for _, l := range lists {
		if _, managed := p.s.managed(l); managed || p.kind == runtime.ACL || r.flag("include_unmanaged") {
			out = append(out, p.describe(l))
		}
	}
	return http.StatusOK, out, nil
}

func (p patterns) get(ctx context.Context, r *request) (int, any, error) {
	_, l, err := p.named(ctx, r)
	return http.StatusOK, p.describe(l), err
}

func (p patterns) entries(ctx context.Context, r *request) (int, any, error) {
	c, l, err := p.named(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	all, err := c.Entries(ctx, p.kind, l)
	return http.StatusOK, p.showAll(all), err
}

func (p patterns) showAll(all []runtime.Entry) []patternEntry {
	out := make([]patternEntry, 0, len(all))
	for _, e := range all {
		out = append(out, p.show(e))
	}
	return out
}

// of are the entries that an identifier means: the one of a reference, or those of a key.
func (p patterns) of(ctx context.Context, c *runtime.Client, l runtime.List, id string) ([]runtime.Entry, error) {
	all, err := c.Entries(ctx, p.kind, l)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.ID == id {
			return []runtime.Entry{e}, nil
		}
	}
	all = slices.DeleteFunc(all, func(e runtime.Entry) bool { return e.Key != id })
	if len(all) == 0 {
		return nil, fail(http.StatusNotFound, "%s %q has no entry %q", p.kind, l.File, id)
	}
	return all, nil
}

// asked are the entries that a request names, and their list.
func (p patterns) asked(ctx context.Context, r *request) (*runtime.Client, runtime.List, []runtime.Entry, error) {
	c, l, err := p.named(ctx, r)
	if err != nil {
		return nil, l, nil, err
	}
	found, err := p.of(ctx, c, l, r.params["id"])
	return c, l, found, err
}

func (p patterns) entry(ctx context.Context, r *request) (int, any, error) {
	_, _, found, err := p.asked(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, p.show(found[0]), nil
}

func (p patterns) add(ctx context.Context, r *request) (int, any, error) {
	var obj patternEntry
	if err := json.Unmarshal(r.body, &obj); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	e, err := p.read(obj)
	if err != nil {
		return 0, nil, err
	}
	c, l, err := p.named(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	p.s.lists.Lock() // of two that add a key, the second one finds it
	defer p.s.lists.Unlock()
	all, err := c.Entries(ctx, p.kind, l)
	if err != nil {
		return 0, nil, err
	}
	if slices.ContainsFunc(all, func(x runtime.Entry) bool { return x.Key == e.Key }) {
		return 0, nil, fail(http.StatusConflict, "%s %q has an entry %q already", p.kind, l.File, e.Key)
	}
	if err := c.Add(ctx, p.kind, l, e); err != nil {
		return 0, nil, err
	}
	if found, err := p.of(ctx, c, l, e.Key); err == nil {
		e = found[0]
	}
	return http.StatusCreated, p.show(e), p.sync(ctx, r, c, l)
}

func (p patterns) set(ctx context.Context, r *request) (int, any, error) {
	var obj struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(r.body, &obj); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	if err := entryText("value", obj.Value); err != nil {
		return 0, nil, err
	}
	c, l, found, err := p.asked(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	if err := c.Set(ctx, l, meant(found, r.params["id"]), obj.Value); err != nil {
		return 0, nil, err
	}
	found[0].Value = obj.Value
	return http.StatusOK, p.show(found[0]), p.sync(ctx, r, c, l)
}

// meant is how a command names what an identifier has found: by the reference only if that was it.
func meant(found []runtime.Entry, id string) runtime.Entry {
	e := found[0]
	if e.ID != id {
		e.ID = ""
	}
	return e
}

func (p patterns) remove(ctx context.Context, r *request) (int, any, error) {
	c, l, found, err := p.asked(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	// HAProxy takes out the first entry of a key only: each by its reference.
	for _, e := range found {
		if err := c.Delete(ctx, p.kind, l, e); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusNoContent, nil, p.sync(ctx, r, c, l)
}

func (p patterns) replace(ctx context.Context, r *request) (int, any, error) {
	var body []patternEntry
	if err := json.Unmarshal(r.body, &body); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	all := make([]runtime.Entry, 0, len(body))
	for i, x := range body {
		e, err := p.read(x)
		var field *resource.FieldError
		if errors.As(err, &field) {
			field.Field = fmt.Sprintf("%d.%s", i, field.Field)
		}
		if err != nil {
			return 0, nil, err
		}
		all = append(all, e)
	}
	c, l, err := p.named(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	// A client that goes away leaves nothing half done.
	if err := c.Replace(context.WithoutCancel(ctx), p.kind, l, all); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, p.showAll(all), p.sync(ctx, r, c, l)
}

func (s *Server) clearMap(ctx context.Context, r *request) (int, any, error) {
	p := patterns{s, runtime.Map}
	c, l, err := p.named(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	if r.flag("forceDelete") {
		path, managed := s.managed(l)
		if !managed {
			return 0, nil, fail(http.StatusBadRequest, "%q is no map of the storage: its file stays", l.File)
		}
		if _, err := s.Ladder.File(ctx, ladder.Options{SkipReload: true}, path, func(old []byte) ([]byte, ladder.Live, error) {
			return nil, nil, s.unused(path)
		}); err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, c.Clear(ctx, p.kind, l)
	}
	if err := c.Clear(ctx, p.kind, l); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, p.sync(ctx, r, c, l)
}

// sync writes the file of a map if the request asks for it.
func (p patterns) sync(ctx context.Context, r *request, c *runtime.Client, l runtime.List) error {
	if !r.flag("force_sync") {
		return nil
	}
	path, managed := p.s.managed(l)
	if !managed {
		return fail(http.StatusBadRequest, "the proxy has the change, but %q is no map of the storage: its file stays as it is", l.File)
	}
	return p.s.syncMap(ctx, c, l, path)
}

// syncMap makes the file of a map what the proxy has.
func (s *Server) syncMap(ctx context.Context, c *runtime.Client, l runtime.List, path string) error {
	_, err := s.Ladder.File(ctx, ladder.Options{SkipReload: true}, path, func(old []byte) ([]byte, ladder.Live, error) {
		now, err := c.Entries(ctx, runtime.Map, l)
		if err != nil {
			return nil, nil, err
		}
		return mapFile(old, now), nil, nil
	})
	return err
}

// SyncMaps makes the files of the storage what the proxy has of them, from time to time.
func (s *Server) SyncMaps(ctx context.Context, period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.syncAll(ctx); err != nil && !errors.Is(err, runtime.ErrUnreachable) && ctx.Err() == nil {
			s.Log.Warn("the files of maps could not be written", "error", err)
		}
	}
}

func (s *Server) syncAll(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return nil // there is no socket to ask
	}
	lists, err := c.Lists(ctx, runtime.Map)
	if err != nil {
		return err
	}
	var all []error
	for _, l := range lists {
		path, managed := s.managed(l)
		if !managed {
			continue
		}
		all = append(all, s.syncMap(ctx, c, l, path))
	}
	return errors.Join(all...)
}

// mapFile is a file with these entries, in their order. Lines that say the same stay as they are, and so do comments.
func mapFile(old []byte, now []runtime.Entry) []byte {
	out := []byte{}
	i := 0
	for line := range bytes.Lines(old) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			out = append(out, line...)
			continue
		}
		e := entryOfLine(text)
		if i == len(now) || e.Key != now[i].Key {
			continue
		}
		if e.Value == now[i].Value {
			out = append(bytes.TrimRight(append(out, line...), "\n"), '\n')
		} else {
			out = fmt.Appendf(out, "%s %s\n", now[i].Key, now[i].Value)
		}
		i++
	}
	for _, e := range now[i:] {
		out = fmt.Appendf(out, "%s %s\n", e.Key, e.Value)
	}
	return out
}

// entryOfLine reads a line of a file of a map.
func entryOfLine(text string) (e runtime.Entry) {
	text = strings.TrimSpace(text)
	i := strings.IndexAny(text, " \t")
	if i < 0 {
		return runtime.Entry{Key: text}
	}
	return runtime.Entry{Key: text[:i], Value: strings.TrimSpace(text[i:])}
}

// entriesOfFile reads a file of a map.
func entriesOfFile(data []byte) (all []runtime.Entry) {
	for line := range bytes.Lines(data) {
		if text := strings.TrimSpace(string(line)); text != "" && text[0] != '#' {
			all = append(all, entryOfLine(text))
		}
	}
	return all
}

// unused refuses to take a file away that the configuration names.
func (s *Server) unused(path string) error {
	used, err := s.Ladder.Uses(path)
	if err == nil && used {
		err = fail(http.StatusConflict, "the configuration names %s", filepath.Base(path))
	}
	return err
}

func (s *Server) maps() *stored {
	return &stored{s: s, what: "map", folder: func() store.Folder { return s.Maps }, describe: describeFile("managed map file", true), live: s.replaceMapLive, plain: true}
}

func (s *Server) general() *stored {
	return &stored{s: s, what: "file", folder: func() store.Folder { return s.General }, describe: describeFile("managed general use file", false),
		live: func(string, []byte, []byte) ladder.Live { return nil }, plain: true}
}

func describeFile(description string, lines bool) func(path string, data []byte) (any, error) {
	return func(path string, data []byte) (any, error) {
		if lines && bytes.IndexByte(data, 0) >= 0 {
			return nil, errors.New("a map is a text: it has a NUL in it")
		}
		return map[string]any{"file": path, "storage_name": filepath.Base(path), "size": len(data), "description": description}, nil
	}
}

// replaceMapLive gives the proxy the entries of a file that it has as a map.
func (s *Server) replaceMapLive(path string, _, data []byte) ladder.Live {
	return func(ctx context.Context, c *runtime.Client) error {
		lists, err := c.Lists(ctx, runtime.Map)
		if err != nil {
			return err
		}
		for _, l := range lists {
			if at, managed := s.managed(l); !managed || at != path {
				continue
			}
			text, _, err := s.Store.Text()
			if err == nil {
				err = s.Ladder.Validate(ctx, text) // the next start reads the file
			}
			if err != nil {
				return err
			}
			return c.Replace(ctx, runtime.Map, l, entriesOfFile(data))
		}
		return ladder.ErrNotLive
	}
}
