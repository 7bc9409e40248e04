package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/certinfo"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/crtlist"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

// maxStored bounds a file of the storage, in bytes.
const maxStored = 16 << 20

// storage are the operations on files beside the configuration.
func (s *Server) storage() map[string]handler {
	certs, lists, maps, general := s.certificates(), s.crtLists(), s.maps(), s.general()
	return map[string]handler{
		"getStorageEndpoints":          s.endpoints,
		"getAllStorageSSLCertificates": certs.list,
		"createStorageSSLCertificate":  certs.create,
		"getOneStorageSSLCertificate":  certs.get,
		"replaceStorageSSLCertificate": certs.replace,
		"deleteStorageSSLCertificate":  certs.remove,
		"getAllStorageSSLCrtListFiles": lists.list,
		"createStorageSSLCrtListFile":  lists.create,
		"getOneStorageSSLCrtListFile":  lists.content,
		"replaceStorageSSLCrtListFile": lists.replace,
		"deleteStorageSSLCrtListFile":  lists.remove,
		"getStorageSSLCrtListEntries":  s.listEntries,
		"createStorageSSLCrtListEntry": s.addEntry,
		"deleteStorageSSLCrtListEntry": s.deleteEntry,
		"getAllStorageMapFiles":        maps.list,
		"createStorageMapFile":         maps.create,
		"getOneStorageMap":             maps.content,
		"replaceStorageMapFile":        maps.replace,
		"deleteStorageMap":             maps.remove,
		"getAllStorageGeneralFiles":    general.list,
		"createStorageGeneralFile":     general.create,
		"getOneStorageGeneralFile":     general.content,
		"replaceStorageGeneralFile":    general.replace,
		"deleteStorageGeneralFile":     general.remove,
	}
}

// stored handles the operations on the files of one folder.
type stored struct {
	s      *Server
	what   string // "certificate"
	folder func() store.Folder
	// describe says what is in a file and whether it can be one; path is where it is.
	describe func(path string, data []byte) (any, error)
	// live is how the running proxy takes a new content over, nil if it needs more than commands.
	live func(path string, old, data []byte) ladder.Live
	// plain files are not looked into to be listed. Replacing one is answered without it, and one that the configuration
	// names stays.
	plain bool
}

func (s *Server) certificates() *stored {
	return &stored{s: s, what: "certificate", folder: func() store.Folder { return s.Certs }, describe: describeCertificate, live: s.replaceLive}
}

func (s *Server) crtLists() *stored {
	return &stored{s: s, what: "crt-list", folder: func() store.Folder { return s.CrtLists }, describe: describeCrtList, live: func(string, []byte, []byte) ladder.Live { return nil }}
}

func describeCertificate(path string, data []byte) (any, error) {
	c, err := certinfo.File(path, data)
	if err != nil {
		return nil, err
	}
	size := int64(len(data))
	c.File, c.StorageName, c.Size, c.Description = path, filepath.Base(path), &size, "managed certificate file"
	return c, nil
}

func describeCrtList(path string, data []byte) (any, error) {
	if _, err := crtlist.Parse(data); err != nil {
		return nil, err
	}
	return map[string]any{"file": path, "storage_name": filepath.Base(path), "size": len(data), "description": "managed certificate list"}, nil
}

// described is what the API says of a file; one that is none of its kind is shown with its name and size.
func (st *stored) described(path string, data []byte) any {
	if obj, err := st.describe(path, data); err == nil {
		return obj
	}
	return map[string]any{"file": path, "storage_name": filepath.Base(path), "size": len(data)}
}

func (st *stored) path(name string) (string, error) {
	path, err := st.folder().Path(name)
	if err != nil {
		return "", fail(http.StatusBadRequest, "name: %v", err)
	}
	return path, nil
}

func (st *stored) missing(path string) error {
	return fail(http.StatusNotFound, "%s %q does not exist", st.what, filepath.Base(path))
}

// read gives a file of a request.
func (st *stored) read(r *request) (path string, data []byte, err error) {
	if path, err = st.path(r.params["name"]); err != nil {
		return "", nil, err
	}
	data, err = store.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = st.missing(path)
	}
	return path, data, err
}

func (st *stored) list(context.Context, *request) (int, any, error) {
	folder := st.folder()
	names, err := folder.Names()
	if err != nil {
		return 0, nil, err
	}
	out := []any{}
	for _, name := range names {
		path := filepath.Join(folder.Dir, name)
		fi, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			continue
		case err != nil:
			return 0, nil, err
		case st.plain && fi.Mode().IsRegular():
			obj, _ := st.describe(path, nil)
			obj.(map[string]any)["size"] = fi.Size()
			out = append(out, obj)
			continue
		case fi.Size() > maxStored:
			out = append(out, map[string]any{"file": path, "storage_name": name, "size": fi.Size()})
			continue
		}
		data, err := store.ReadFile(path)
		if errors.Is(err, store.ErrNotFile) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		out = append(out, st.described(path, data))
	}
	return http.StatusOK, out, nil
}

func (st *stored) get(_ context.Context, r *request) (int, any, error) {
	path, data, err := st.read(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, st.described(path, data), nil
}

func (st *stored) content(_ context.Context, r *request) (int, any, error) {
	_, data, err := st.read(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, binary(data), nil
}

func (st *stored) create(ctx context.Context, r *request) (int, any, error) {
	path, err := st.path(filepath.Base(r.file.name))
	if err != nil {
		return 0, nil, err
	}
	return st.put(ctx, r, path, r.file.data, http.StatusCreated, func(old []byte) error {
		if old != nil {
			return fail(http.StatusConflict, "%s %q exists already", st.what, filepath.Base(path))
		}
		return nil
	})
}

func (st *stored) replace(ctx context.Context, r *request) (int, any, error) {
	path, err := st.path(r.params["name"])
	if err != nil {
		return 0, nil, err
	}
	data, status := r.body, http.StatusOK
	if r.file != nil {
		data = r.file.data
	}
	if st.plain {
		status = http.StatusNoContent
	}
	status, obj, err := st.put(ctx, r, path, data, status, func(old []byte) error {
		if old == nil {
			return st.missing(path)
		}
		return nil
	})
	if st.plain {
		obj = nil
	}
	return status, obj, err
}

// put writes a new content. check sees the old one.
func (st *stored) put(ctx context.Context, r *request, path string, data []byte, status int, check func(old []byte) error) (int, any, error) {
	if len(data) > maxStored {
		return 0, nil, fail(http.StatusRequestEntityTooLarge, "a file has at most %d bytes", maxStored)
	}
	obj, err := st.describe(path, data)
	if err != nil {
		return 0, nil, fail(http.StatusBadRequest, "%s: %v", filepath.Base(path), err)
	}
	return st.s.file(ctx, r, path, status, obj, func(old []byte) ([]byte, ladder.Live, error) {
		return data, st.live(path, old, data), check(old)
	})
}

func (st *stored) remove(ctx context.Context, r *request) (int, any, error) {
	path, err := st.path(r.params["name"])
	if err != nil {
		return 0, nil, err
	}
	return st.s.file(ctx, r, path, http.StatusNoContent, nil, func(old []byte) ([]byte, ladder.Live, error) {
		if old == nil {
			return nil, nil, st.missing(path)
		}
		if st.plain {
			return nil, nil, st.s.unused(path)
		}
		return nil, nil, nil
	})
}

// file changes a file and answers as v3 does.
func (s *Server) file(ctx context.Context, r *request, path string, status int, obj any, edit func(old []byte) ([]byte, ladder.Live, error)) (int, any, error) {
	opt := ladder.Options{ForceReload: r.flag("force_reload"), SkipReload: r.flag("skip_reload")}
	if opt.ForceReload && opt.SkipReload {
		return 0, nil, fail(http.StatusBadRequest, "force_reload and skip_reload cannot be used together")
	}
	result, err := s.Ladder.File(ctx, opt, path, edit)
	if err != nil {
		return 0, nil, err
	}
	if result.ReloadID != "" {
		r.header.Set("Reload-ID", result.ReloadID)
		status = http.StatusAccepted
	}
	return status, obj, nil
}

// beside are the endings of files that belong to the certificate of the name before.
var beside = []string{".key", ".ocsp", ".issuer", ".sctl"}

// held is where the proxy has a file in its memory.
type held struct {
	kind     runtime.Kind
	name, of string   // of is the certificate that a file is beside
	keys     []string // files that may have the key of a certificate
}

// coded is a content as the commands take it, which is text.
func (p held) coded(data []byte) []byte {
	if x := strings.TrimPrefix(p.name, p.of); x == ".ocsp" || x == ".sctl" {
		return []byte(base64.StdEncoding.EncodeToString(data) + "\n")
	}
	return data
}

// replaceLive gives the proxy a new content of a file that it has in memory, under whatever names and as whatever it is
// there: all of them, or none.
func (s *Server) replaceLive(path string, old, data []byte) ladder.Live {
	return func(ctx context.Context, c *runtime.Client) error {
		text, _, err := s.Store.Text()
		if err != nil {
			return err
		}
		places, err := s.heldIn(ctx, c, path, loadsOf(config.Parse(s.Store.Path, text)))
		if err != nil {
			return err
		}
		if len(places) == 0 {
			return ladder.ErrNotLive
		}
		contents, keyed := make([][]byte, len(places)), false
		for i, p := range places {
			contents[i] = s.withKey(p.coded(data), p.keys)
			keyed = keyed || p.keys != nil && len(contents[i]) > len(data)
		}
		if keyed { // the next start has to find the key, too
			if err := s.Ladder.Validate(ctx, text); err != nil {
				return err
			}
		}
		return s.setAll(ctx, c, places, contents, old)
	}
}

// heldIn gives the places where the proxy has the file of that path in its memory.
func (s *Server) heldIn(ctx context.Context, c *runtime.Client, path string, loads map[string]load) ([]held, error) {
	var places []held
	for _, k := range runtime.Kinds {
		names, err := c.NamesSSL(ctx, k)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			p, ok, err := s.heldAs(k, name, path, loads)
			if err != nil {
				return nil, err
			}
			if ok {
				places = append(places, p)
			}
		}
	}
	return places, nil
}

// heldAs tells whether what the proxy has under a name is of the file of that path.
func (s *Server) heldAs(k runtime.Kind, name, path string, loads map[string]load) (p held, ok bool, err error) {
	if strings.HasPrefix(name, "@") && name != "@system-ca" {
		x, ok := loads[name]
		if !ok || slices.ContainsFunc(x.others, func(file string) bool { return s.same(file, path) }) {
			return held{}, false, ladder.ErrNotLive // the proxy alone knows which file it is, or it is a part of it
		}
		return held{k, name, name, x.others}, s.same(x.crt, path), nil
	}
	if s.same(name, path) {
		p := held{kind: k, name: name, of: name}
		if k == runtime.Cert {
			p.keys = keysOf(path)
		}
		return p, true, nil
	}
	if k == runtime.Cert {
		for _, ext := range beside {
			if s.same(name+ext, path) {
				return held{kind: k, name: name + ext, of: name}, true, nil
			}
		}
	}
	return held{}, false, nil
}

// setAll gives the proxy the content of each place. If one is refused, those before it get the old content back.
func (s *Server) setAll(ctx context.Context, c *runtime.Client, places []held, contents [][]byte, old []byte) error {
	for i, p := range places {
		err := c.SetSSL(ctx, p.kind, p.name, p.of, contents[i])
		if err == nil {
			continue
		}
		for _, p := range places[:i] {
			if back := c.SetSSL(ctx, p.kind, p.name, p.of, s.withKey(p.coded(old), p.keys)); back != nil {
				err = errors.Join(err, fmt.Errorf("and %s could not be taken back: %w", p.name, back))
			}
		}
		return err
	}
	return nil
}

// keysOf are the files that may stand beside a certificate with its key.
func keysOf(path string) []string {
	return []string{path + ".key", strings.TrimSuffix(path, ".crt") + ".key"}
}

// withKey adds the key of a certificate that is without one: the proxy has cert and key in memory as one, and would be left
// with none.
func (s *Server) withKey(data []byte, files []string) []byte {
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return data
	}
	for _, file := range files {
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(s.Store.Path), file)
		}
		key, err := store.ReadFile(file)
		if err != nil || !bytes.Contains(key, []byte("PRIVATE KEY-----")) {
			continue
		}
		both := slices.Concat(data, []byte("\n"), key)
		if _, err := certinfo.Describe(both); err == nil {
			return both
		}
	}
	return data
}

// A load is a certificate of a crt-store, by its files.
type load struct {
	crt    string
	others []string // its key, its OCSP response …
}

// loadsOf finds the certificates of the crt-stores by the names that the proxy has for them. What may be one file or another
// is left out.
func loadsOf(f *config.File) map[string]load {
	out, unsure := map[string]load{}, map[string]bool{}
	global := map[string]string{}
	for _, sec := range f.Sections() {
		bases := global
		if sec.Kind == "crt-store" {
			bases = maps.Clone(global)
		}
		for _, l := range sec.Body {
			if len(l.Words) < 2 || sec.Kind != "global" && sec.Kind != "crt-store" {
				continue
			}
			if l.Words[0] != "load" {
				bases[l.Words[0]] = l.Words[1]
				continue
			}
			var x load
			name := ""
			for i := 1; i+1 < len(l.Words); i += 2 {
				base, file := "crt-base", l.Words[i+1]
				switch l.Words[i] {
				case "alias":
					name = file
					continue
				case "crt":
					if name == "" {
						name = file
					}
				case "key":
					base = "key-base"
				case "issuer", "ocsp", "sctl":
				default:
					continue
				}
				if b := bases[base]; b != "" && !filepath.IsAbs(file) {
					file = filepath.Join(b, file)
				}
				if l.Words[i] == "crt" {
					x.crt = file
				} else {
					x.others = append(x.others, file)
				}
			}
			name = "@" + sec.Name + "/" + name
			_, twice := out[name]
			unsure[name] = unsure[name] || twice || strings.Contains(strings.Join(append(x.others, x.crt), ""), "$")
			out[name] = x
		}
	}
	maps.DeleteFunc(out, func(name string, _ load) bool { return unsure[name] })
	return out
}

// same tells whether a name that the proxy has is the file at a path.
func (s *Server) same(name, path string) bool {
	return ladder.Same(name, filepath.Dir(s.Store.Path), path)
}

// entry is an entry of a crt-list as the API has it.
type entry struct {
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line_number,omitempty"`
	Filters []string `json:"sni_filter,omitempty"`
	Options string   `json:"ssl_bind_config,omitempty"`
}

func entryOf(e crtlist.Entry) entry {
	return entry{e.File, e.Line, e.Filters, strings.Join(strings.Fields(e.Options), " ")}
}

func (s *Server) listEntries(_ context.Context, r *request) (int, any, error) {
	path, data, err := s.crtLists().read(r)
	if err != nil {
		return 0, nil, err
	}
	list, err := crtlist.Parse(data)
	if err != nil {
		return 0, nil, fail(http.StatusBadRequest, "%s: %v", filepath.Base(path), err)
	}
	out := []entry{}
	for _, e := range list.Entries() {
		out = append(out, entryOf(e))
	}
	return http.StatusOK, out, nil
}

// editList changes a crt-list. change tells how the proxy takes the change over.
func (s *Server) editList(ctx context.Context, r *request, status int, obj *entry, change func(path string, l *crtlist.List) (ladder.Live, error)) (int, any, error) {
	st := s.crtLists()
	path, err := st.path(r.params["name"])
	if err != nil {
		return 0, nil, err
	}
	var body any
	if obj != nil {
		body = obj
	}
	return s.file(ctx, r, path, status, body, func(old []byte) ([]byte, ladder.Live, error) {
		if old == nil {
			return nil, nil, st.missing(path)
		}
		l, err := crtlist.Parse(old)
		if err != nil {
			return nil, nil, fail(http.StatusBadRequest, "%s: %v", filepath.Base(path), err)
		}
		live, err := change(path, l)
		if err != nil {
			return nil, nil, err
		}
		data := l.Bytes()
		if data == nil {
			data = []byte{}
		}
		return data, live, nil
	})
}

func (s *Server) addEntry(ctx context.Context, r *request) (int, any, error) {
	var obj entry
	if err := json.Unmarshal(r.body, &obj); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	e := crtlist.Entry{File: obj.File, Options: obj.Options, Filters: obj.Filters}
	if err := e.Check(); err != nil {
		return 0, nil, &resource.FieldError{Field: "file", Text: err.Error()}
	}
	return s.editList(ctx, r, http.StatusCreated, &obj, func(path string, l *crtlist.List) (ladder.Live, error) {
		for _, have := range l.Entries() {
			if have.Same(e) {
				return nil, fail(http.StatusConflict, "the entry exists already, on line %d", have.Line)
			}
		}
		added := l.Add(e)
		obj = entryOf(added)
		return func(ctx context.Context, c *runtime.Client) error { return s.addLive(ctx, c, path, added) }, nil
	})
}

// inMemory finds the name under which the proxy has a crt-list that it could also start with: what the list names may be in
// its memory and nowhere else.
func (s *Server) inMemory(ctx context.Context, c *runtime.Client, path string) (string, error) {
	reply, err := c.Do(ctx, "show ssl crt-list", nil)
	if err != nil {
		return "", err
	}
	for _, name := range runtime.ParseLists(reply) {
		if s.same(name, path) {
			text, _, err := s.Store.Text()
			if err == nil {
				err = s.Ladder.Validate(ctx, text)
			}
			return name, err
		}
	}
	return "", ladder.ErrNotLive
}

// addLive adds an entry to the running proxy's list, and its certificate to the memory when it is not there.
func (s *Server) addLive(ctx context.Context, c *runtime.Client, path string, e crtlist.Entry) error {
	list, err := s.inMemory(ctx, c, path)
	if err != nil {
		return err
	}
	names, err := c.NamesSSL(ctx, runtime.Cert)
	if err != nil {
		return err
	}
	loaded := slices.Contains(names, e.File)
	if !loaded {
		if !filepath.IsAbs(e.File) { // crt-base has a say
			return ladder.ErrNotLive
		}
		data, err := store.Read(e.File)
		if err != nil {
			return err
		}
		if err := c.NewSSL(ctx, runtime.Cert, e.File, s.withKey(data, keysOf(e.File))); err != nil {
			return err
		}
	}
	err = c.AddEntry(ctx, list, e.String())
	if err != nil && !loaded {
		c.DelSSL(ctx, runtime.Cert, e.File)
	}
	return err
}

func (s *Server) deleteEntry(ctx context.Context, r *request) (int, any, error) {
	file := r.query.Get("certificate")
	line, _ := strconv.Atoi(r.query.Get("line_number"))
	return s.editList(ctx, r, http.StatusNoContent, nil, func(path string, l *crtlist.List) (ladder.Live, error) {
		same := 0
		for _, e := range l.Entries() {
			if e.File == file {
				same++
			}
		}
		if _, err := l.Remove(file, line); err != nil {
			if errors.Is(err, crtlist.ErrNotFound) {
				return nil, fail(http.StatusNotFound, "%v", err)
			}
			return nil, fail(http.StatusBadRequest, "%v", err)
		}
		if same > 1 {
			return nil, nil // the lines of the file are not those in the proxy's memory
		}
		return func(ctx context.Context, c *runtime.Client) error {
			list, err := s.inMemory(ctx, c, path)
			if err == nil {
				err = c.DelEntry(ctx, list, file)
			}
			return err
		}, nil
	})
}
