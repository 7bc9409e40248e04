package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/auth"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
)

// Bounds of a request's body, in bytes.
const (
	maxJSON = 4 << 20
	maxRaw  = store.MaxFile
)

// Server is the API.
type Server struct {
	API    *resource.API
	Store  *store.Store
	Ladder *ladder.Ladder
	// The folders of the storage: certificates, lists of them, maps, and files of any kind.
	Certs, CrtLists, Maps, General store.Folder
	Log                            *slog.Logger
	Access                         *slog.Logger // of requests; nil: they are in Log, for those who debug
	Users                          func() []auth.User
	UsersIn                        func(text []byte) []auth.User // who could use the API with another configuration; nil: that makes no difference
	Welcome                        func(ctx context.Context)     // somebody has logged in on the connection of a request; may be nil
	MaxBody                        int64                         // bytes; 0: only the bounds of each operation
	SystemInfo                     bool                          // show the machine in /info
	Version                        string
	Build                          time.Time

	doc     *openapi3.T
	spec    []byte
	routes  map[string]resource.Route // by operation
	checker *auth.Checker
	guard   auth.Guard
	models  models
	tx      sync.Mutex // held while the text of a transaction is read, changed and written
	lists   sync.Mutex // held while an entry of a list of patterns is looked for and added
	started time.Time
}

// A request is one call of an operation, validated.
type request struct {
	*http.Request
	params map[string]string // of the path
	query  url.Values
	route  resource.Route
	body   []byte
	file   *upload     // of a body of multipart/form-data
	header http.Header // of the answer
}

func (r *request) flag(name string) bool {
	v, _ := strconv.ParseBool(r.query.Get(name))
	return v
}

func (r *request) index() int {
	n, err := strconv.Atoi(r.params["index"])
	if err != nil {
		return -1
	}
	return n
}

// Answers that are not JSON: a text, and a file as it is.
type (
	text   []byte
	binary []byte
)

type handler func(ctx context.Context, r *request) (status int, body any, err error)

// An Error is an answer that says no.
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return e.Message }

func fail(code int, format string, args ...any) error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Handler builds the routes. An error is a mistake in the descriptions.
func (s *Server) Handler() (http.Handler, error) {
	doc, routes, err := s.API.Document()
	if err != nil {
		return nil, err
	}
	s.doc = doc
	if s.spec, err = doc.MarshalJSON(); err != nil {
		return nil, err
	}
	s.checker = auth.NewChecker()
	s.started = time.Now()
	s.routes = map[string]resource.Route{}
	fixed := s.fixed()
	maps.Copy(fixed, s.runtimeSSL())
	maps.Copy(fixed, s.runtimePatterns())
	router := chi.NewRouter()
	mux := chi.NewRouter()
	for _, r := range routes {
		s.routes[r.Method+" "+r.Path] = r
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			h := fixed[op.OperationID]
			route, ok := s.routes[method+" "+path]
			if ok {
				h = s.configuration(route)
			}
			if h == nil {
				return nil, fmt.Errorf("operation %s has no handler", op.OperationID)
			}
			def := &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}
			mux.Method(method, path, s.serve(def, route, h))
		}
	}
	notFound := func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, 0, nil, fail(http.StatusNotFound, "path %s was not found", r.URL.Path))
	}
	notAllowed := func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, 0, nil, fail(http.StatusMethodNotAllowed, "method %s is not allowed here", r.Method))
	}
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notAllowed)
	router.NotFound(notFound)
	router.Use(s.protect)
	router.Mount("/v3", mux)
	return router, nil
}

// protect is in front of everything: it survives a mistake in a handler, and asks who it is.
func (s *Server) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.Error("a request failed inside", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				s.answer(w, r, 0, nil, fail(http.StatusInternalServerError, "internal error"))
			}
		}()
		if err := s.logIn(w, r); err != nil {
			s.answer(w, r, 0, nil, err)
			return
		}
		if s.Welcome != nil {
			s.Welcome(r.Context())
		}
		// What a handler knows better replaces it.
		if _, version, err := s.Store.Text(); err == nil {
			w.Header().Set("Configuration-Version", strconv.FormatInt(version, 10))
		}
		next.ServeHTTP(w, r)
	})
}

// logIn asks who it is. Who tries passwords has to wait, more and more.
func (s *Server) logIn(w http.ResponseWriter, r *http.Request) error {
	name, password, ok := r.BasicAuth()
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if ok {
		if pause := s.guard.Pause(address, name); pause > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((pause+time.Second-1)/time.Second)))
			return fail(http.StatusTooManyRequests, "too many failed log-ins")
		}
		if s.checker.Check(s.Users(), name, password) {
			s.guard.Succeeded(address, name)
			return nil
		}
		s.guard.Failed(address, name)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="dataplaneapi"`)
	return fail(http.StatusUnauthorized, "unauthorized")
}

func (s *Server) serve(def *routers.Route, route resource.Route, h handler) http.HandlerFunc {
	takes := "application/json"
	if b := def.Operation.RequestBody; b != nil {
		switch {
		case b.Value.Content.Get(takes) != nil:
		case b.Value.Content["multipart/form-data"] != nil:
			takes = "multipart/form-data"
		default:
			takes = "text/plain"
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		req := &request{Request: r, params: map[string]string{}, query: r.URL.Query(), route: route, header: w.Header()}
		rc := chi.RouteContext(r.Context())
		for i, k := range rc.URLParams.Keys {
			if k == "*" {
				continue
			}
			v := rc.URLParams.Values[i]
			if r.URL.RawPath != "" { // chi took the path as it was sent
				var err error
				if v, err = url.PathUnescape(v); err != nil {
					s.answer(w, r, 0, nil, fail(http.StatusBadRequest, "%s: %v", k, err))
					return
				}
			}
			req.params[k] = v
		}
		if err := s.validate(w, def, req, takes); err != nil {
			s.answer(w, r, 0, nil, err)
			return
		}
		status, body, err := h(r.Context(), req)
		s.answer(w, r, status, body, err)
	}
}

// validate checks a request against the document. takes is the type of the body.
func (s *Server) validate(w http.ResponseWriter, def *routers.Route, r *request, takes string) error {
	limit := map[string]int64{"application/json": maxJSON, "multipart/form-data": maxUpload, "text/plain": maxRaw}[takes]
	if s.MaxBody > 0 {
		limit = min(limit, s.MaxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return fail(http.StatusRequestEntityTooLarge, "body is larger than %d bytes", tooLarge.Limit)
		}
		return fail(http.StatusBadRequest, "body: %v", err)
	}
	r.body = body
	if def.Operation.RequestBody == nil {
		r.Body = http.NoBody
	} else {
		r.Body = io.NopCloser(bytes.NewReader(body))
		// curl -d says "form" when it is not told otherwise: a body is what the operation takes.
		switch ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); {
		case takes == "text/plain":
			if strings.EqualFold(strings.TrimSpace(ct), "multipart/form-data") { // an upload is more than its file
				return fail(http.StatusUnsupportedMediaType, "body: Content-Type must be text/plain, not %q", ct)
			}
			r.Header.Set("Content-Type", takes)
		case takes == "multipart/form-data":
			if r.file, err = readUpload(r.Header.Get("Content-Type"), body); err != nil {
				return err
			}
		case ct == "" || ct == "application/x-www-form-urlencoded":
			r.Header.Set("Content-Type", "application/json")
		}
		if takes == "application/json" {
			s.prune(r, def.Operation.RequestBody.Value.Content.Get(takes).Schema)
		}
	}
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r.Request, PathParams: r.params, QueryParams: r.query, Route: def,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, ExcludeReadOnlyValidations: true, SkipSettingDefaults: true, ExcludeRequestBody: r.file != nil},
	})
	if err == nil {
		return nil
	}
	var re *openapi3filter.RequestError
	if !errors.As(err, &re) {
		return fail(http.StatusBadRequest, "%v", err)
	}
	var se *openapi3.SchemaError
	if errors.As(err, &se) {
		field := strings.Join(se.JSONPointer(), ".")
		if re.Parameter != nil {
			field = re.Parameter.Name
		}
		if field == "" {
			field = "body"
		}
		if se.SchemaField == "type" || field == "index" && re.Parameter != nil {
			return fail(http.StatusBadRequest, "%s: %s", field, se.Reason)
		}
		return fail(http.StatusUnprocessableEntity, "%s: %s", field, se.Reason)
	}
	field := "body"
	if re.Parameter != nil {
		field = re.Parameter.Name
	}
	reason := re.Reason
	if re.Err != nil && re.Err.Error() != reason {
		reason = strings.TrimPrefix(reason+": "+re.Err.Error(), ": ")
	}
	if strings.Contains(reason, "Content-Type") {
		return fail(http.StatusUnsupportedMediaType, "%s: %s", field, reason)
	}
	return fail(http.StatusBadRequest, "%s: %s", field, reason)
}

// answer writes the answer, or the error as {"code","message"}.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	if err != nil {
		e := s.translate(r, err)
		level := slog.LevelInfo
		if e.Code >= 500 {
			level = slog.LevelError
		}
		s.Log.Log(r.Context(), level, "request refused", "method", r.Method, "path", r.URL.Path, "status", e.Code, "cause", err)
		status, body = e.Code, map[string]any{"code": e.Code, "message": e.Message}
	} else if s.Access == nil {
		s.Log.Debug("request", "method", r.Method, "path", r.URL.Path, "status", status)
	}
	if s.Access != nil {
		name, _, _ := r.BasicAuth()
		s.Access.Info("request", "address", r.RemoteAddr, "user", name, "method", r.Method, "path", r.URL.Path, "status", status)
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch b := body.(type) {
	case nil:
		w.WriteHeader(status)
		return
	case text:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		w.Write(b)
		return
	case binary:
		h.Set("Content-Type", "application/octet-stream")
		w.WriteHeader(status)
		w.Write(b)
		return
	case rawJSON:
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(b)+1))
		w.WriteHeader(status)
		w.Write(b) // it is kept and not changed
		io.WriteString(w, "\n")
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		s.Log.Error("an answer cannot be written", "error", err)
		status, data = 500, []byte(`{"code":500,"message":"internal error"}`)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}
