package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// TestVariablesByREST: rules and lines that set variables come by REST, are read
// back as they were said, and reach the process, which goes on.
func TestVariablesByREST(t *testing.T) {
	t.Parallel()
	one, web := newOrigin(t, "s1"), address(t)
	p := serve(t, restShop(web, one.addr), "-W")
	r := control(t, p)
	pid := p.worker()
	mustGet(t, web, "/", "s1")

	rules := configuration + "/frontends/web/http_request_rules"
	for i, rule := range []string{
		`{"type":"set-var","var_scope":"txn","var_name":"word","var_expr":"str(Hello),lower"}`,
		`{"type":"set-var-fmt","var_scope":"txn","var_name":"both","var_format":"%[var(txn.word)]-%[var(proc.color)]"}`,
		`{"type":"set-var","var_scope":"txn","var_name":"gone","var_expr":"str(here)"}`,
		`{"type":"unset-var","var_scope":"txn","var_name":"gone"}`,
		`{"type":"return","return_status_code":200,"return_hdrs":[{"name":"X-Shown","fmt":"%[var(txn.both)].%[var(txn.gone)]"}],"cond":"if","cond_test":"{ path /shown }"}`,
	} {
		r.must("POST", fmt.Sprintf("%s/%d?version=%d", rules, i, r.version()), rule, 201, 202)
		if i < 4 {
			if got := r.must("GET", fmt.Sprintf("%s/%d", rules, i), "", 200); !equalJSON(got, rule) {
				t.Errorf("rule %d reads %s, was %s", i, got, rule)
			}
		}
	}
	global := strings.Replace(r.must("GET", configuration+"/global", "", 200), "{", `{"set_var":[{"name":"proc.color","expr":"str(blue)"}],`, 1)
	r.must("PUT", fmt.Sprintf("%s/global?version=%d", configuration, r.version()), global, 200, 202)
	if got := r.must("GET", configuration+"/global", "", 200); !strings.Contains(got, "proc.color") {
		t.Errorf("global reads %s", got)
	}
	until(t, "the variables are seen", func() bool {
		a, err := http.Get("http://" + web + "/shown")
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.Header.Get("X-Shown") == "hello-blue."
	})
	if now := p.worker(); now != pid {
		t.Errorf("worker %s replaced %s", now, pid)
	}
	if file := read(t, p.file); !strings.Contains(file, "set-var proc.color str(blue)") || !strings.Contains(file, "http-request unset-var(txn.gone)") {
		t.Errorf("the lines are not in the file:\n%s", file)
	}
}

// equalJSON tells whether two texts say the same.
func equalJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
