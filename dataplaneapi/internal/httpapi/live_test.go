package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
)

func TestReplyError(t *testing.T) {
	for reply, want := range map[string]int{
		"No such server.":  404,
		"No such backend.": 404,
		"Can't display the certificate: Not found or the certificate is a bundle!":                       404,
		"'ca-file' : unable to load /etc/ca.pem (No such file or directory).":                            400,
		"'server' : unknown keyword 'zork'.":                                                             400,
		"Already exists a server with the same name in backend.":                                         409,
		"Can't replace a certificate which is not referenced by the configuration!\nCan't update a.pem!": 404,
		"The ongoing transaction is about 'a.pem' but you are trying to set 'b.pem'":                     409,
		"Unknown command: 'add ssl ca-file'":                                                             501,
	} {
		if got := replyError(&runtime.Error{Command: "x", Reply: reply}); got.Code != want {
			t.Errorf("%q: %d, want %d", reply, got.Code, want)
		}
	}
}

func TestTyped(t *testing.T) {
	status := &openapi3.SchemaRef{Value: openapi3.NewStringSchema().WithEnum("L4OK", "L7OK")}
	for _, c := range []struct {
		schema *openapi3.SchemaRef
		in     string
		want   any
	}{
		{status, "L4OK", "L4OK"},
		{status, "* L4OK", "L4OK"}, // while the next check is being made
		{status, "PROCERR", nil},
		{openapi3.NewInt64Schema().WithMin(1).WithMax(65535).NewRef(), "0", nil}, // of a server without a port
		{openapi3.NewInt64Schema().WithMin(1).WithMax(65535).NewRef(), "80", int64(80)},
		{openapi3.NewStringSchema().NewRef(), "* any", "* any"},
		{openapi3.NewInt64Schema().NewRef(), "12", int64(12)},
		{openapi3.NewInt64Schema().NewRef(), "-", nil},
	} {
		if got := typed(c.schema, c.in); got != c.want {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}

// Whatever state a server and its checks are in, the answers are those of the document.
func TestLiveStates(t *testing.T) {
	s, h := apiOf(t, house)
	var stat, state string
	socket := runtimetest.New(t, func(command, _ string) string {
		if strings.HasPrefix(command, "show stat") {
			return stat
		}
		return state
	})
	s.Ladder.RuntimeSocket = socket.Path
	conforms := func(path, schema string) string {
		t.Helper()
		w := ask(h, "GET", "/v3/services/haproxy/"+path, "alice", "one")
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		var body any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if err := s.doc.Components.Schemas[schema].Value.VisitJSON(body); err != nil {
			t.Errorf("%s: %v\n%s", path, err, w.Body)
		}
		return w.Body.String()
	}
	statuses := []string{"UNK", "INI", "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7OK", "L7OKC", "L7TOUT", "L7RSP", "L7STS", "PROCERR", "PROCTOUT", "PROCOK", ""}
	for _, status := range []string{"UP", "DOWN", "UP 1/3", "DOWN 1/2", "NOLB", "NOLB 1/2", "DRAIN", "DRAIN (agent)", "MAINT", "MAINT (via b/s)", "MAINT (resolution)", "DOWN (agent)", "no check", "OPEN", "STOP", "FULL"} {
		for _, check := range statuses {
			for _, mark := range []string{"", "* "} {
				stat = "# pxname,svname,type,status,weight,check_status,agent_status,check_code,agent_code,mode,lastchg,\n" + fmt.Sprintf("b,s,2,%s,1,%s,%s,,-1,http,-1,\n", status, mark+check, mark+check)
				if got := conforms("stats/native", "native_stats"); !strings.Contains(got, fmt.Sprintf(`"status":%q`, status)) {
					t.Errorf("%s: %s", status, got)
				}
			}
		}
	}
	names := "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"
	for op := range 5 {
		for admin := range 0x40 {
			for _, port := range []int{0, 80} {
				state = fmt.Sprintf("1\n# %s\n2 b 1 s %s %d %d 1 1 0 %d 3 4 6 0 0 0 - %d - 0 0 - - 0\n", names, []string{"10.0.0.1", "-", "/run/app.sock"}[op%3], op, admin, op+1, port)
				conforms("runtime/backends/b/servers", "runtime_servers")
				conforms("runtime/backends/b/servers/s", "runtime_server")
			}
		}
	}
}
