package httpapi

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// A version of the configuration is read once, whoever asks for what, and another one is seen at once.
func TestModels(t *testing.T) {
	s, h := apiOf(t, house)
	const servers = "/v3/services/haproxy/configuration/backends/b/servers"
	get := func(path, want string) {
		t.Helper()
		if w := ask(h, "GET", path, "alice", "one"); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	get(servers, `"name":"s"`)
	first := s.models.file.model
	get(servers, `"name":"s"`)
	get(servers+"/s", `"name":"s"`)
	get("/v3/services/haproxy/configuration/frontends?full_section=true", `"binds"`)
	if _, err := s.current(); err != nil || s.models.file.model != first {
		t.Error("the file was read again", err)
	}
	// By the API.
	r := httptest.NewRequest("POST", servers+"?version=1", strings.NewReader(`{"name":"s2","address":"h"}`))
	r.SetBasicAuth("alice", "one")
	w := httptest.NewRecorder()
	s.Ladder.RuntimeSocket = t.TempDir() + "/nobody" // the proxy does not run
	h.ServeHTTP(w, r)
	if w.Code != 201 {
		t.Fatal(w.Code, w.Body)
	}
	get(servers, `"name":"s2"`)
	// By hand.
	data, err := os.ReadFile(s.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Store.Path, []byte(strings.Replace(string(data), "server s2 h", "server s33 h", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	get(servers, `"name":"s33"`)
	// In transactions, of which some are kept.
	for i := range 5 {
		tx, err := s.Store.Begin()
		if err != nil {
			t.Fatal(err)
		}
		in := "?transaction_id=" + tx.ID
		get(servers+in, `"name":"s33"`)
		kept := s.models.open[len(s.models.open)-1].model
		get(servers+in, `"name":"s33"`)
		if s.models.open[len(s.models.open)-1].model != kept || len(s.models.open) > maxModels {
			t.Errorf("%d models are kept", len(s.models.open))
		}
		_, text, err := s.Store.Transaction(tx.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Store.Update(tx, []byte(strings.Replace(string(text), "server s33 h", fmt.Sprintf("server t%d h", i), 1))); err != nil {
			t.Fatal(err)
		}
		get(servers+in, fmt.Sprintf(`"name":"t%d"`, i))
	}
	get(servers, `"name":"s33"`)
}

// The largest body of the settings holds for every operation.
func TestMaxBody(t *testing.T) {
	s, h := apiOf(t, house)
	s.MaxBody = 20
	for body, want := range map[string]int{strings.Repeat(" ", 21): 413, `{"name":"x"}`: 409} {
		r := httptest.NewRequest("POST", "/v3/services/haproxy/configuration/backends?version=9", strings.NewReader(body))
		r.SetBasicAuth("alice", "one")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), w.Code, want)
		}
	}
}
