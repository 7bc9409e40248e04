package httpapi

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/getkin/kin-openapi/openapi3"
)

// client finds the Runtime socket of the proxy.
func (s *Server) client() (*runtime.Client, error) {
	f, err := s.current()
	if err != nil {
		return nil, err
	}
	if c := s.Ladder.Runtime(f); c != nil {
		return c, nil
	}
	return nil, fail(http.StatusServiceUnavailable, "the configuration has no stats socket with level admin, and master_runtime is not set")
}

// command sends one command and returns its reply.
func (s *Server) command(ctx context.Context, command string) (string, error) {
	c, err := s.client()
	if err != nil {
		return "", err
	}
	return c.Do(ctx, command, nil)
}

// replyError finds the status of a reply that says no.
func replyError(e *runtime.Error) *Error {
	low := strings.ToLower(e.Reply)
	code := http.StatusBadRequest
	switch {
	case runtime.Unknown(e.Reply):
		line, _, _ := strings.Cut(e.Reply, "\n")
		return &Error{http.StatusNotImplemented, fmt.Sprintf("%q: %s", e.Command, line)}
	case strings.Contains(low, "no such file"): // that a command names, not the path
	case strings.Contains(low, "no such"), strings.Contains(low, "can't find"), strings.Contains(low, "not found"), strings.Contains(low, "didn't find"), strings.Contains(low, "can't be found"),
		strings.Contains(low, "doesn't exist"), strings.Contains(low, "does not exist"), strings.Contains(low, "not referenced by the configuration"):
		code = http.StatusNotFound
	case strings.Contains(low, "already exists"), strings.Contains(low, "ongoing transaction is about"), strings.Contains(low, "currently locked"):
		code = http.StatusConflict
	}
	return &Error{code, strings.TrimSpace(e.Reply)}
}

func (s *Server) health(ctx context.Context, _ *request) (int, any, error) {
	state := "down"
	c, err := s.client()
	switch {
	case err != nil:
		state = "unknown"
	default:
		if reply, err := c.Do(ctx, "show info", nil); err == nil && strings.Contains(reply, "Pid:") {
			state = "up"
		}
	}
	return http.StatusOK, map[string]any{"haproxy": state}, nil
}

func (s *Server) processInfo(ctx context.Context, _ *request) (int, any, error) {
	c, err := s.client()
	if err != nil {
		return 0, nil, err
	}
	reply, err := c.Do(ctx, "show info", nil)
	if err != nil {
		return 0, nil, err
	}
	said := map[string]string{}
	for line := range strings.Lines(reply) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			said[k] = v
			if _, taken := said[squeeze(k)]; !taken {
				said[squeeze(k)] = v
			}
		}
	}
	info := map[string]any{}
	for name, schema := range s.doc.Components.Schemas["process_info_item"].Value.Properties {
		v, ok := said[squeeze(name)]
		if from, has := schema.Value.Extensions["x-from"].(string); has {
			v, ok = said[from]
		}
		if !ok {
			continue
		}
		if schema.Value.Format == "date" {
			v = strings.ReplaceAll(v, "/", "-")
		}
		if x := typed(schema, v); x != nil {
			info[name] = x
		}
	}
	return http.StatusOK, map[string]any{"info": info, "runtimeAPI": c.Address}, nil
}

// squeeze makes "Memmax_MB" and "mem_max_mb" the same.
func squeeze(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

// typed reads a value as its schema has it, nil when it is not one: an answer has nothing that its document does not allow,
// as clients that are made from it may refuse all of the answer. The mark of a check that is being made ("* L4OK", chapter
// 9.1 of the management manual) is no part of the statuses that a schema lists.
func typed(schema *openapi3.SchemaRef, text string) any {
	s := schema.Value
	if s.Enum != nil {
		text = strings.TrimPrefix(text, "* ")
	}
	var v any = text
	if s.Type.Is("integer") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil
		}
		v = n
	}
	if (s.Enum != nil || s.Min != nil || s.Max != nil || s.Pattern != "") && s.VisitJSON(v) != nil {
		return nil
	}
	return v
}

func (s *Server) stats(ctx context.Context, r *request) (int, any, error) {
	c, err := s.client()
	if err != nil {
		return 0, nil, err
	}
	want, name, parent := r.query.Get("type"), r.query.Get("name"), r.query.Get("parent")
	if parent != "" && want != "server" {
		return 0, nil, fail(http.StatusBadRequest, "parent goes with type=server only")
	}
	reply, err := c.Do(ctx, "show stat", nil)
	if err != nil {
		return 0, nil, err
	}
	rd := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(reply), "# ")))
	rd.FieldsPerRecord = -1
	rows, err := rd.ReadAll()
	if err != nil || len(rows) == 0 {
		return 0, nil, fmt.Errorf("show stat: %w: %.80q", err, reply)
	}
	props := s.doc.Components.Schemas["native_stat_stats"].Value.Properties
	kinds := map[string]string{"0": "frontend", "1": "backend", "2": "server"}
	list := []any{}
	for _, row := range rows[1:] {
		at := map[string]string{}
		for i, v := range row {
			if i < len(rows[0]) {
				at[rows[0][i]] = v
			}
		}
		kind, ok := kinds[at["type"]]
		if !ok || want != "" && want != kind {
			continue
		}
		item := map[string]any{"type": kind, "name": at["pxname"]}
		if kind == "server" {
			item["name"], item["backend_name"] = at["svname"], at["pxname"]
		}
		if name != "" && item["name"] != name || parent != "" && at["pxname"] != parent {
			continue
		}
		values := map[string]any{}
		for k, schema := range props {
			if v := at[k]; v != "" {
				if x := typed(schema, v); x != nil {
					values[k] = x
				}
			}
		}
		item["stats"] = values
		list = append(list, item)
	}
	return http.StatusOK, map[string]any{"runtimeAPI": c.Address, "stats": list}, nil
}

// word refuses a name that would be more than one word of a Runtime command.
func word(field, v string) error {
	if _, ok := config.ValidName(v); v == "" || len(v) > resource.MaxName || !ok {
		return fail(http.StatusUnprocessableEntity, "%s: %q is not a name", field, v)
	}
	return nil
}

// servers reads "show servers state" of a backend.
func (s *Server) servers(ctx context.Context, backend string) ([]map[string]any, error) {
	if err := word("parent_name", backend); err != nil {
		return nil, err
	}
	reply, err := s.command(ctx, "show servers state "+backend)
	if err != nil {
		return nil, err
	}
	var names []string
	list := []map[string]any{}
	for line := range strings.Lines(reply) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "# "):
			names = strings.Fields(line[2:])
		case line == "" || names == nil && line == "1":
		case names == nil:
			return nil, &runtime.Error{Command: "show servers state", Reply: line}
		default:
			at := map[string]string{}
			for i, v := range strings.Fields(line) {
				if i < len(names) {
					at[names[i]] = v
				}
			}
			list = append(list, s.runtimeObject(at))
		}
	}
	if names == nil {
		return nil, &runtime.Error{Command: "show servers state", Reply: strings.TrimSpace(reply)}
	}
	return list, nil
}

// The columns of "show servers state" by the names that the API gives them (chapter 9.3 of the management manual).
var columns = map[string]string{
	"id": "srv_id", "name": "srv_name", "address": "srv_addr", "port": "srv_port", "backend_id": "be_id", "backend_name": "be_name",
	"weight": "srv_uweight", "uweight": "srv_uweight", "iweight": "srv_iweight", "last_time_change": "srv_time_since_last_change",
	"check_status": "srv_check_status", "check_result": "srv_check_result", "check_health": "srv_check_health", "check_state": "srv_check_state",
	"agent_state": "srv_agent_state", "backend_forced_id": "bk_f_forced_id", "forced_id": "srv_f_forced_id", "fqdn": "srv_fqdn",
	"srvrecord": "srvrecord", "check_port": "srv_check_port", "check_addr": "srv_check_addr", "agent_addr": "srv_agent_addr", "agent_port": "srv_agent_port",
}

func (s *Server) runtimeObject(at map[string]string) map[string]any {
	obj := map[string]any{}
	props := s.doc.Components.Schemas["runtime_server"].Value.Properties
	for name, column := range columns {
		if v, ok := at[column]; ok && props[name] != nil {
			if x := typed(props[name], v); x != nil {
				obj[name] = x
			}
		}
	}
	if v, ok := at["srv_use_ssl"]; ok {
		obj["use_ssl"] = v == "1"
	}
	admin, _ := strconv.Atoi(at["srv_admin_state"])
	switch {
	case admin&(0x01|0x02|0x04|0x20) != 0: // forced, inherited, from the configuration, by the resolver
		obj["admin_state"] = "maint"
	case admin&(0x08|0x10) != 0:
		obj["admin_state"] = "drain"
	default:
		obj["admin_state"] = "ready"
	}
	if state, ok := map[string]string{"0": "down", "1": "up", "2": "up", "3": "stopping"}[at["srv_op_state"]]; ok {
		obj["operational_state"] = state
	}
	return obj
}

func (s *Server) runtimeServers(ctx context.Context, r *request) (int, any, error) {
	list, err := s.servers(ctx, r.params["parent_name"])
	return http.StatusOK, list, err
}

func (s *Server) oneServer(ctx context.Context, r *request) (map[string]any, error) {
	list, err := s.servers(ctx, r.params["parent_name"])
	if err != nil {
		return nil, err
	}
	for _, obj := range list {
		if obj["name"] == r.params["name"] {
			return obj, nil
		}
	}
	return nil, fail(http.StatusNotFound, "server %q of backend %q does not exist", r.params["name"], r.params["parent_name"])
}

func (s *Server) runtimeServer(ctx context.Context, r *request) (int, any, error) {
	obj, err := s.oneServer(ctx, r)
	return http.StatusOK, obj, err
}

func (s *Server) addRuntimeServer(ctx context.Context, r *request) (int, any, error) {
	var obj map[string]any
	if err := json.Unmarshal(r.body, &obj); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	if err := word("parent_name", r.params["parent_name"]); err != nil {
		return 0, nil, err
	}
	name, _ := obj["name"].(string)
	if err := word("name", name); err != nil {
		return 0, nil, err
	}
	commands, err := s.API.ByName["server"].Commands(r.params["parent_name"], obj, true)
	if err == nil {
		err = s.send(ctx, commands)
	}
	return http.StatusCreated, rawJSON(s.API.ByName["server"].JSON(obj)), err
}

func (s *Server) deleteRuntimeServer(ctx context.Context, r *request) (int, any, error) {
	obj, err := s.oneServer(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	commands, err := s.API.ByName["server"].Commands(r.params["parent_name"], obj, false)
	if err == nil {
		err = s.send(ctx, commands)
	}
	return http.StatusNoContent, nil, err
}

// states are the commands for what a running server has and its configuration has not.
var states = []struct{ field, command string }{
	{"admin_state", "set server %s/%s state %s"},
	{"operational_state", "set server %s/%s health %s"},
}

func (s *Server) replaceRuntimeServer(ctx context.Context, r *request) (int, any, error) {
	old, err := s.oneServer(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	var obj map[string]any
	if err := json.Unmarshal(r.body, &obj); err != nil {
		return 0, nil, fail(http.StatusBadRequest, "body: %v", err)
	}
	backend, name := r.params["parent_name"], r.params["name"]
	changed := map[string]any{}
	for _, k := range []string{"address", "port", "weight"} {
		v := obj[k]
		if address, ok := v.(string); ok {
			v = resource.Unbracket(address)
		}
		if v != nil && fmt.Sprint(v) != fmt.Sprint(old[k]) {
			changed[k] = v
		}
	}
	if changed["address"] != nil || changed["port"] != nil {
		for _, k := range []string{"address", "port"} { // one command sets both
			changed[k] = old[k]
			if address, ok := obj[k].(string); ok {
				changed[k] = resource.Unbracket(address)
			} else if obj[k] != nil {
				changed[k] = obj[k]
			}
		}
	}
	server := s.API.ByName["server"]
	commands, err := server.ChangeCommands(backend, name, changed)
	if err != nil {
		return 0, nil, err
	}
	for _, st := range states {
		if v, ok := obj[st.field].(string); ok && v != old[st.field] {
			commands = append(commands, resource.Command{Text: fmt.Sprintf(st.command, backend, name, v)})
		}
	}
	if err := s.send(ctx, commands); err != nil {
		return 0, nil, err
	}
	now, err := s.oneServer(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	answer := maps.Clone(now)
	return http.StatusOK, answer, nil
}

func (s *Server) send(ctx context.Context, commands []resource.Command) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return s.Ladder.Send(ctx, c, commands)
}
