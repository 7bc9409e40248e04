package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// A ring and its servers come, change and go by the API, and their values are
// judged.
func TestRings(t *testing.T) {
	s, h := apiOf(t, "userlist controller\n    user alice insecure-password one\n")
	s.Ladder.RuntimeSocket = t.TempDir() + "/nobody" // the proxy does not run
	const rings = "/v3/services/haproxy/configuration/rings"
	for i, c := range []struct {
		method, path, body string
		status             int
		want               string // in the answer
	}{
		{"GET", rings, "", 200, "[]"},
		{"POST", rings + "?version=1", `{"name":"r","format":"nosuch"}`, 422, "format"},
		{"POST", rings + "?version=1", `{"name":"r","format":"rfc5424","size":-1}`, 422, "size"},
		{"POST", rings + "?version=1", `{"format":"rfc5424"}`, 422, "name"},
		{"POST", rings + "?version=1", `{"name":"r","format":"rfc5424","size":32764,"timeout_connect":5000,"description":"hello"}`, 201, `"timeout_connect":5000`},
		{"POST", rings + "?version=2", `{"name":"r"}`, 409, ""},
		{"GET", rings + "/r", "", 200, `"size":32764`},
		{"GET", rings + "/nosuch", "", 404, ""},
		{"POST", rings + "/r/servers?version=2", `{"name":"s","address":"127.0.0.1","port":6514,"log_proto":"octet-count"}`, 201, `"log_proto":"octet-count"`},
		{"POST", rings + "/nosuch/servers?version=3", `{"name":"s","address":"127.0.0.1","port":6514}`, 400, ""},
		{"POST", rings + "/r/servers?version=3", `{"name":"t","address":"127.0.0.1","log_proto":"udp"}`, 422, "log_proto"},
		{"PUT", rings + "/r/servers/s?version=3", `{"name":"s","address":"127.0.0.2","port":6514,"log_proto":"legacy"}`, 200, `127.0.0.2`},
		{"GET", rings + "?full_section=true", "", 200, `"servers":{"s":`},
		{"PUT", rings + "/r?version=4", `{"name":"r","maxlen":1200}`, 200, `"maxlen":1200`},
		{"GET", rings + "/r/servers/s", "", 200, `"log_proto":"legacy"`},
		{"DELETE", rings + "/r/servers/s?version=5", "", 204, ""},
		{"GET", rings + "/r/servers", "", 200, "[]"},
		{"DELETE", rings + "/r?version=6", "", 204, ""},
		{"GET", rings + "/r", "", 404, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.SetBasicAuth("alice", "one")
		if c.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%d: %s %s %s: %d %s, want %d with %q", i, c.method, c.path, c.body, w.Code, w.Body, c.status, c.want)
		}
	}
}
