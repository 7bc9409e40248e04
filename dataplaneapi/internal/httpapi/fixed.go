package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"golang.org/x/sys/unix"
)

// fixed are the operations that are not resources of the configuration, by their name in the document.
func (s *Server) fixed() map[string]handler {
	all := map[string]handler{
		"getAPIEndpoints":           s.endpoints,
		"getServicesEndpoints":      s.endpoints,
		"getHaproxyEndpoints":       s.endpoints,
		"getHAProxyEndpoints":       s.endpoints,
		"getConfigurationEndpoints": s.endpoints,
		"getRuntimeEndpoints":       s.endpoints,
		"getStatsEndpoints":         s.endpoints,
		"getHealth":                 s.health,
		"getInfo":                   s.info,
		"getSpecification":          s.specification,
		"getOpenapiv3Specification": s.specification,
		"getHAProxyConfiguration":   s.getRaw,
		"postHAProxyConfiguration":  s.postRaw,
		"getConfigurationVersion":   s.version,
		"getTransactions":           s.transactions,
		"startTransaction":          s.startTransaction,
		"getTransaction":            s.transaction,
		"deleteTransaction":         s.deleteTransaction,
		"commitTransaction":         s.commitTransaction,
		"getReloads":                s.reloads,
		"getReload":                 s.reload,
		"getHaproxyProcessInfo":     s.processInfo,
		"getStats":                  s.stats,
		"getAllRuntimeServer":       s.runtimeServers,
		"getRuntimeServer":          s.runtimeServer,
		"addRuntimeServer":          s.addRuntimeServer,
		"replaceRuntimeServer":      s.replaceRuntimeServer,
		"deleteRuntimeServer":       s.deleteRuntimeServer,
	}
	maps.Copy(all, s.storage())
	return all
}

func (s *Server) specification(context.Context, *request) (int, any, error) {
	return http.StatusOK, rawJSON(s.spec), nil
}

// rawJSON is JSON already.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// endpoints lists what is directly below a path.
func (s *Server) endpoints(_ context.Context, r *request) (int, any, error) {
	here := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v3"), "/")
	out := []map[string]string{}
	for path, item := range s.doc.Paths.Map() {
		rest, ok := strings.CutPrefix(path, here+"/")
		if !ok || rest == "" || strings.Contains(rest, "/") || strings.Contains(rest, "{") {
			continue
		}
		e := map[string]string{"url": "/v3" + path, "title": rest}
		if item.Get != nil {
			e["description"] = item.Get.Summary
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b map[string]string) int { return strings.Compare(a["url"], b["url"]) })
	return http.StatusOK, out, nil
}

func (s *Server) info(context.Context, *request) (int, any, error) {
	out := map[string]any{"api": map[string]any{"version": s.Version, "build_date": s.Build.UTC().Format(time.RFC3339)}, "system": map[string]any{}}
	if !s.SystemInfo {
		return http.StatusOK, out, nil
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return 0, nil, err
	}
	var sys unix.Sysinfo_t
	if err := unix.Sysinfo(&sys); err != nil {
		return 0, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return 0, nil, err
	}
	var mem goruntime.MemStats
	goruntime.ReadMemStats(&mem)
	str := func(b []byte) string { return string(b[:max(bytes.IndexByte(b, 0), 0)]) }
	unit := uint64(max(sys.Unit, 1))
	out["system"] = map[string]any{
		"hostname":  host,
		"os_string": str(uname.Sysname[:]) + " " + str(uname.Release[:]) + " " + str(uname.Version[:]),
		"time":      time.Now().UnixMilli(),
		"uptime":    sys.Uptime,
		"cpu_info":  map[string]any{"model": cpuModel(), "num_cpus": goruntime.NumCPU()},
		"mem_info":  map[string]any{"dataplaneapi_memory": mem.Sys, "free_memory": uint64(sys.Freeram) * unit, "total_memory": uint64(sys.Totalram) * unit},
	}
	return http.StatusOK, out, nil
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func checksum(data []byte) string { return fmt.Sprintf("%x", md5.Sum(data)) }

func (s *Server) getRaw(_ context.Context, r *request) (int, any, error) {
	data, version, err := s.base(r)
	if err != nil {
		return 0, nil, err
	}
	r.header.Set("Configuration-Version", strconv.FormatInt(version, 10))
	r.header.Set("Configuration-Checksum", checksum(data))
	return http.StatusOK, text(data), nil
}

func (s *Server) postRaw(ctx context.Context, r *request) (int, any, error) {
	if len(bytes.TrimSpace(r.body)) == 0 {
		return 0, nil, fail(http.StatusBadRequest, "body is empty")
	}
	if !bytes.HasSuffix(r.body, []byte("\n")) {
		r.body = append(r.body, '\n') // the proxy takes a last line without one for a file that is cut off
	}
	if err := s.mayUse(r.body); err != nil {
		return 0, nil, err
	}
	if r.flag("only_validate") {
		err := s.Ladder.Validate(ctx, r.body)
		return http.StatusCreated, text(r.body), err
	}
	check := func(int64) error { return nil }
	if !r.flag("skip_version") {
		version := r.query.Get("version")
		if version == "" {
			return 0, nil, fail(http.StatusBadRequest, "version or skip_version is required")
		}
		check = checkVersion(version)
	}
	opt := ladder.Options{ForceReload: r.flag("force_reload"), SkipReload: r.flag("skip_reload")}
	if opt.ForceReload && opt.SkipReload {
		return 0, nil, fail(http.StatusBadRequest, "force_reload and skip_reload cannot be used together")
	}
	result, err := s.Ladder.Do(ctx, opt, check, func([]byte) ([]byte, error) { return r.body, nil })
	if result.Version != 0 {
		r.header.Set("Configuration-Version", strconv.FormatInt(result.Version, 10))
	}
	if err != nil {
		return 0, nil, err
	}
	r.header.Set("Configuration-Checksum", checksum(result.Text))
	status := http.StatusCreated
	if result.ReloadID != "" {
		r.header.Set("Reload-ID", result.ReloadID)
		status = http.StatusAccepted
	}
	return status, text(result.Text), nil
}

// mayUse refuses a configuration with which nobody could use the API any more.
func (s *Server) mayUse(text []byte) error {
	if s.UsersIn != nil && len(s.UsersIn(text)) == 0 {
		return fail(http.StatusBadRequest, "with this configuration nobody may use the API: its userlist has no user (the setting userlist.allow_empty takes it all the same)")
	}
	return nil
}

func (s *Server) version(_ context.Context, r *request) (int, any, error) {
	_, version, err := s.base(r)
	r.header.Set("Configuration-Version", strconv.FormatInt(version, 10))
	return http.StatusOK, version, err
}

func (s *Server) transactions(_ context.Context, r *request) (int, any, error) {
	list, err := s.Store.Transactions(r.query.Get("status"))
	return http.StatusOK, list, err
}

func (s *Server) startTransaction(_ context.Context, r *request) (int, any, error) {
	_, version, err := s.Store.Text()
	if err != nil {
		return 0, nil, err
	}
	if err := checkVersion(r.query.Get("version"))(version); err != nil {
		return 0, nil, err
	}
	t, err := s.Store.Begin()
	if err != nil {
		return 0, nil, err
	}
	if t.Version != version { // the file changed in between
		s.Store.Drop(t.ID)
		return 0, nil, checkVersion(r.query.Get("version"))(t.Version)
	}
	r.header.Set("Configuration-Version", strconv.FormatInt(version, 10))
	return http.StatusCreated, t, nil
}

func (s *Server) transaction(_ context.Context, r *request) (int, any, error) {
	t, _, err := s.Store.Transaction(r.params["id"])
	r.header.Set("Configuration-Version", strconv.FormatInt(t.Version, 10))
	return http.StatusOK, t, err
}

func (s *Server) deleteTransaction(_ context.Context, r *request) (int, any, error) {
	s.tx.Lock()
	defer s.tx.Unlock()
	return http.StatusNoContent, nil, s.Store.Drop(r.params["id"])
}

func (s *Server) commitTransaction(ctx context.Context, r *request) (int, any, error) {
	s.tx.Lock()
	defer s.tx.Unlock()
	t, data, err := s.Store.Transaction(r.params["id"])
	if err != nil {
		return 0, nil, err
	}
	if t.Status != store.InProgress {
		return 0, nil, fail(http.StatusNotAcceptable, "transaction %s is %s and cannot be committed", t.ID, t.Status)
	}
	if err := s.mayUse(data); err != nil {
		return 0, nil, err
	}
	check := checkVersion(strconv.FormatInt(t.Version, 10))
	status, _, err := s.apply(ctx, r, ladder.Options{ForceReload: r.flag("force_reload")}, check, func([]byte) ([]byte, error) { return data, nil }, http.StatusOK, nil)
	end := store.Success
	var refused *ladder.Refused
	switch {
	case errors.Is(err, ladder.ErrVersion):
		end = store.Outdated
	case errors.As(err, &refused):
		end = store.Failed
	case err != nil:
		return 0, nil, err
	}
	if e := s.Store.End(t, end); e != nil {
		s.Log.Error("a transaction could not be closed", "transaction", t.ID, "error", e)
	}
	t.Status = end
	return status, t, err
}

func (s *Server) reloads(context.Context, *request) (int, any, error) {
	return http.StatusOK, s.Ladder.Reloads(), nil
}

func (s *Server) reload(_ context.Context, r *request) (int, any, error) {
	for _, x := range s.Ladder.Reloads() {
		if x.ID == r.params["id"] {
			return http.StatusOK, x, nil
		}
	}
	return 0, nil, fail(http.StatusNotFound, "reload %s does not exist", r.params["id"])
}
