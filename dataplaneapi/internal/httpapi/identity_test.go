package httpapi

import (
	"encoding/csv"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/auth"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

const house = `userlist controller
    user alice insecure-password one
    user bob password $5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.
userlist other
    user eve insecure-password three
    user alice insecure-password other
crt-store x
    load crt a
defaults d
    mode http
frontend f
    bind :1 name b
    declare capture request len 5
backend b
    server s h:1
ring r
    server s h:514
log-profile p
    on accept drop
`

// apiOf is the API over a configuration, without a proxy.
func apiOf(t *testing.T, text string) (*Server, http.Handler) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "h.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	api, err := resource.Load(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	names, err := resource.LoadNames(apispec.Files)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(&store.Store{Path: file, Dir: filepath.Join(dir, "state"), MaxOpen: 5, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	users := func(text []byte) []auth.User {
		list, _ := auth.FromUserlist(config.Parse("", text), "controller")
		return list
	}
	s := &Server{
		API: api, Store: st, Log: log, UsersIn: users,
		Ladder: &ladder.Ladder{API: api, Names: names, Store: st, Log: log, CommandTime: time.Minute},
		Users: func() []auth.User {
			data, _, err := st.Text()
			if err != nil {
				t.Error(err)
			}
			return users(data)
		},
		Certs: store.Folder{Dir: filepath.Join(dir, "certs")}, CrtLists: store.Folder{Dir: filepath.Join(dir, "lists")},
	}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

func ask(h http.Handler, method, path, name, password string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(""))
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every operation of the document asks who it is, and serves those who may use the API: all of them, with their own
// passwords. testdata/operations.tsv names the operations, with a request of each and its status for those.
func TestIdentities(t *testing.T) {
	data, err := os.ReadFile("testdata/operations.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rd := csv.NewReader(strings.NewReader(string(data)))
	rd.Comma, rd.Comment = '\t', '#'
	rows, err := rd.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	s, h := apiOf(t, house)
	missing := map[string]bool{}
	for _, item := range s.doc.Paths.Map() {
		for method, op := range item.Operations() {
			missing[method+" "+op.OperationID] = true
		}
	}
	for _, row := range rows {
		op, method, path, status := row[0], row[1], "/v3"+row[2], row[3]
		if !missing[method+" "+op] {
			t.Errorf("%s %s is in the table, and not in the document (or twice in the table)", method, op)
		}
		delete(missing, method+" "+op)
		if at := strings.SplitN(path, "?", 2)[0]; !s.routed(method, at, op) {
			t.Errorf("%s %s is not %s", method, at, op)
		}
		for _, c := range []struct {
			name, password string
			may            bool
		}{
			{"", "", false}, {"alice", "", false}, {"alice", "password", false}, {"bob", "one", false}, {"alice", "other", false}, {"eve", "three", false}, {"nobody", "one", false},
			{"alice", "one", true}, {"bob", "password", true},
		} {
			s.guard = auth.Guard{}
			before, err := os.ReadFile(s.Store.Path)
			if err != nil {
				t.Fatal(err)
			}
			w := ask(h, method, path, c.name, c.password)
			got, want := fmt.Sprint(w.Code), "401"
			if c.may {
				want = status
			}
			if got != want {
				t.Errorf("%s %s as %q with %q: %s, want %s\n%s", method, path, c.name, c.password, got, want, w.Body)
			}
			if (w.Header().Get("Configuration-Version") == "") == c.may {
				t.Errorf("%s %s as %q: version %q", method, path, c.name, w.Header().Get("Configuration-Version"))
			}
			if after, err := os.ReadFile(s.Store.Path); err != nil || !c.may && string(before) != string(after) {
				t.Errorf("%s %s as %q: the file has changed", method, path, c.name)
			}
		}
	}
	for op := range missing {
		t.Errorf("%s is not in the table", op)
	}
}

// routed tells whether a path is one of an operation.
func (s *Server) routed(method, path, op string) bool {
	for tmpl, item := range s.doc.Paths.Map() {
		o := item.GetOperation(method)
		if o == nil || o.OperationID != op {
			continue
		}
		a, b := strings.Split("/v3"+tmpl, "/"), strings.Split(path, "/")
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i] != b[i] && !strings.HasPrefix(a[i], "{") {
				return false
			}
		}
		return true
	}
	return false
}

// Who guesses passwords has to wait; others do not.
func TestGuessing(t *testing.T) {
	s, h := apiOf(t, house)
	now := time.Unix(1_000_000, 0)
	s.guard.Now = func() time.Time { return now }
	const path = "/v3/services/haproxy/configuration/version"
	held := 0
	for range 100 {
		w := ask(h, "GET", path, "alice", "wrong")
		switch {
		case w.Code == 429 && w.Header().Get("Retry-After") != "":
			held++
		case w.Code != 401 || held > 0:
			t.Fatalf("%d %v", w.Code, w.Header())
		}
	}
	if held < 90 {
		t.Errorf("only %d of 100 were held up", held)
	}
	if w := ask(h, "GET", path, "alice", "one"); w.Code != 429 {
		t.Errorf("the right password tells that it is right: %d", w.Code)
	}
	if w := ask(h, "GET", path, "bob", "password"); w.Code != 200 {
		t.Errorf("another user: %d", w.Code)
	}
	if w := ask(h, "GET", path, "", ""); w.Code != 401 {
		t.Errorf("nobody: %d", w.Code)
	}
	now = now.Add(time.Minute)
	if w := ask(h, "GET", path, "alice", "one"); w.Code != 200 {
		t.Errorf("later: %d", w.Code)
	}
}

// A configuration that locks everybody out is refused.
func TestLockedOut(t *testing.T) {
	s, h := apiOf(t, house)
	post := func(path, body string) int {
		r := httptest.NewRequest("POST", "/v3/services/haproxy/configuration/raw"+path, strings.NewReader(body))
		r.SetBasicAuth("alice", "one")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	without := strings.Replace(house, "userlist controller", "userlist elsewhere", 1)
	if code := post("?version=1&skip_reload=true", without); code != 400 {
		t.Errorf("raw: %d", code)
	}
	if code := post("?version=1&only_validate=true", without); code != 400 {
		t.Errorf("only validated: %d", code)
	}
	if code := post("?version=1&skip_reload=true", house+"# more\n"); code != 201 {
		t.Errorf("raw with users: %d", code)
	}
	// A transaction that was filled in some other way.
	tx, err := s.Store.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Update(tx, []byte(without)); err != nil {
		t.Fatal(err)
	}
	if w := ask(h, "PUT", "/v3/services/haproxy/transactions/"+tx.ID, "alice", "one"); w.Code != 400 {
		t.Errorf("commit: %d", w.Code)
	}
	// When the users are elsewhere, or the settings say so.
	s.UsersIn = nil
	if code := post("?version=2&skip_reload=true", without); code != 201 {
		t.Errorf("raw, allowed: %d", code)
	}
}
