package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Maps and lists of patterns, in the running proxy and in the storage, in front of either program.
func TestMaps(t *testing.T) {
	for name, bin := range map[string]func(*testing.T) string{"haproxy": haproxy, "forebay": forebay} {
		t.Run(name, func(t *testing.T) { testMaps(t, bin(t), name == "forebay") })
	}
}

// ask is the answer of the proxy to a request with that header.
func (h *house) ask(port int, value string) string {
	h.t.Helper()
	req, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
	req.Header.Set("X-Key", value)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	return fmt.Sprint(resp.StatusCode, resp.Header.Get("X-Value"))
}

func testMaps(t *testing.T, bin string, inPlace bool) {
	port := freePorts(t, 1)[0]
	const first = "# of the house\na one\nb  two\n"
	h := build(t, bin, "  user: [{name: admin, password: adminpwd, insecure: true}]", func(dir string) string {
		for file, data := range map[string]string{"maps/hosts.map": first, "other/elsewhere.map": "x y\n", "blocked.lst": "bad\n"} {
			file = filepath.Join(dir, file)
			os.MkdirAll(filepath.Dir(file), 0o700)
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf(`global
    stats socket %[1]s/stats.sock level admin
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend web
    bind 127.0.0.1:%[2]d
    http-request return status 403 if { req.hdr(x-key) -f %[1]s/blocked.lst }
    http-request return status 200 hdr x-value "%%[req.hdr(x-key),map_str(%[1]s/maps/hosts.map)]" if { req.hdr(x-key),map(%[1]s/maps/hosts.map) -m found }
    http-request return status 200 hdr x-value "%%[req.hdr(x-key),map_str(%[1]s/other/elsewhere.map)]"
`, dir, port)
	}, port)
	worker := h.worker()
	versionBefore := h.version()
	serves := func(key, want string) {
		t.Helper()
		if got := h.ask(port, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	disk := func(want string) {
		t.Helper()
		if got := h.read("maps/hosts.map"); got != want {
			t.Errorf("the file is %q, want %q", got, want)
		}
	}
	type entry struct{ ID, Key, Value string }
	entries := func(path string) (list []entry) {
		t.Helper()
		_, text := h.want(200, "GET", path, "")
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}

	// The maps: those of the storage, and all.
	_, text := h.want(200, "GET", "runtime/maps", "")
	var maps []map[string]string
	json.Unmarshal([]byte(text), &maps)
	if len(maps) != 1 || maps[0]["storage_name"] != "hosts.map" || maps[0]["file"] != filepath.Join(h.dir, "maps/hosts.map") || maps[0]["id"] == "" || maps[0]["description"] == "" {
		t.Error(text)
	}
	_, text = h.want(200, "GET", "runtime/maps?include_unmanaged=true", "")
	if !strings.Contains(text, "elsewhere.map") {
		t.Error(text)
	}
	for _, name := range []string{"hosts.map", url.PathEscape(filepath.Join(h.dir, "maps/hosts.map")), maps[0]["id"]} {
		if _, text = h.want(200, "GET", "runtime/maps/"+name, ""); !strings.Contains(text, `"storage_name":"hosts.map"`) {
			t.Error(text)
		}
	}
	h.want(404, "GET", "runtime/maps/none.map", "")
	h.want(404, "GET", "runtime/maps/none.map/entries", "")

	// Entries: in the proxy only, until the file is asked for.
	const at = "runtime/maps/hosts.map/entries"
	if got := entries(at); len(got) != 2 || got[1].Key != "b" || got[1].Value != "two" || !strings.HasPrefix(got[1].ID, "0x") {
		t.Error(got)
	}
	serves("a", "200one")
	_, text = h.want(201, "POST", at, `{"key":"c","value":"three; and <<four"}`)
	if !strings.Contains(text, `"id":"0x`) {
		t.Error(text)
	}
	serves("c", "200three; and <<four")
	h.want(409, "POST", at, `{"key":"c","value":"again"}`)
	h.want(404, "POST", "runtime/maps/none.map/entries", `{"key":"c","value":"3"}`)
	for _, bad := range []string{`{}`, `{"key":"d"}`, `{"value":"d"}`, `{"key":"d e","value":"x"}`, `{"key":"#d","value":"x"}`, `{"key":"d","value":"x\ny"}`, `{"key":"d","value":" "}`, `{"key":"","value":"x"}`} {
		h.want(422, "POST", at, bad)
	}
	h.want(400, "POST", at, `{"key":1,"value":"x"}`)
	_, text = h.want(200, "PUT", at+"/b", `{"value":"2 and more"}`)
	if !strings.Contains(text, `"key":"b","value":"2 and more"`) {
		t.Error(text)
	}
	serves("b", "2002 and more")
	c := entries(at)[2]
	h.want(200, "PUT", at+"/"+c.ID, `{"value":"three"}`)
	serves("c", "200three")
	h.want(404, "PUT", at+"/zork", `{"value":"x"}`)
	h.want(422, "PUT", at+"/b", `{}`)
	h.want(200, "GET", at+"/"+c.ID, "")
	if _, text = h.want(200, "GET", at+"/c", ""); !strings.Contains(text, `"value":"three"`) {
		t.Error(text)
	}
	h.want(404, "GET", at+"/zork", "")
	disk(first)
	h.want(201, "POST", at+"?force_sync=true", `{"key":"d/e","value":"four"}`)
	disk("# of the house\na one\nb 2 and more\nc three\nd/e four\n")
	h.want(204, "DELETE", at+"/d%2Fe", "")
	serves("d/e", "200")
	h.want(204, "DELETE", at+"/"+c.ID+"?force_sync=true", "")
	h.want(404, "DELETE", at+"/c", "")
	disk("# of the house\na one\nb 2 and more\n")

	// All of it at once. One that is not of the storage keeps its file.
	_, text = h.want(201, "PUT", "runtime/maps/hosts.map?force_sync=true", `[{"key":"b","value":"B"},{"key":"x","value":"X x"}]`)
	if !strings.Contains(text, `"key":"x"`) {
		t.Error(text)
	}
	disk("# of the house\nb B\nx X x\n")
	serves("a", "200")
	serves("x", "200X x")
	if _, text = h.want(422, "PUT", "runtime/maps/hosts.map", `[{"key":"b","value":"B"},{"key":"x"}]`); !strings.Contains(text, "1.value") {
		t.Error(text)
	}
	h.want(201, "PUT", "runtime/maps/elsewhere.map", `[{"key":"y","value":"Y"}]`)
	serves("y", "200Y")
	h.want(400, "POST", "runtime/maps/elsewhere.map/entries?force_sync=true", `{"key":"z","value":"Z"}`)
	if got := h.read("other/elsewhere.map"); got != "x y\n" {
		t.Error(got)
	}

	// More than fits into HAProxy's buffer.
	var big strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&big, `,{"key":"k%d","value":"a value of the key %d"}`, i, i)
	}
	h.want(201, "PUT", "runtime/maps/hosts.map", "["+big.String()[1:]+"]")
	serves("k2999", "200a value of the key 2999")
	if n := len(entries(at)); n != 3000 {
		t.Errorf("%d entries", n)
	}

	// The file of the storage is in the proxy when it is answered for, in the same process.
	h.want(204, "PUT", "storage/maps/hosts.map", "s storage\n# a comment\nt  more words\n")
	serves("s", "200storage")
	serves("t", "200more words")
	serves("k2", "200")
	_, text = h.want(200, "GET", "storage/maps", "")
	if !strings.Contains(text, `"storage_name":"hosts.map"`) || !strings.Contains(text, `"size":36`) || strings.Contains(text, "elsewhere") {
		t.Error(text)
	}
	h.want(409, "DELETE", "storage/maps/hosts.map", "")
	h.want(409, "DELETE", "runtime/maps/hosts.map?forceDelete=true", "")
	serves("s", "200storage")
	h.sendFile(201, "POST", "storage/maps", "new.map", "n 1\n")
	h.sendFile(409, "POST", "storage/maps", "new.map", "n 1\n")
	h.want(400, "PUT", "storage/maps/new.map", "n\x001\n")
	if _, text = h.want(200, "GET", "storage/maps/new.map", ""); text != "n 1\n" {
		t.Errorf("%q", text)
	}
	h.want(204, "DELETE", "storage/maps/new.map", "")
	h.want(404, "DELETE", "storage/maps/new.map", "")
	h.want(404, "PUT", "storage/maps/new.map", "n 1\n")

	// Files of any kind.
	h.sendFile(201, "POST", "storage/general", "503.http", "HTTP/1.0 503 x\r\n\r\n")
	h.sendFile(204, "PUT", "storage/general/503.http", "503.http", "HTTP/1.0 503 y\x00\r\n\r\n")
	if _, text = h.want(200, "GET", "storage/general/503.http", ""); !strings.Contains(text, "y\x00") {
		t.Errorf("%q", text)
	}
	if _, text = h.want(200, "GET", "storage/general", ""); !strings.Contains(text, `"size":19`) {
		t.Error(text)
	}
	h.want(204, "DELETE", "storage/general/503.http", "")

	// Lists of patterns.
	_, text = h.want(200, "GET", "runtime/acls", "")
	if !strings.Contains(text, "blocked.lst") {
		t.Error(text)
	}
	const list = "runtime/acls/blocked.lst/entries"
	if got := entries(list); len(got) != 1 || got[0].Value != "bad" {
		t.Error(got)
	}
	for _, value := range []string{"worse", `b; a\c "d" <<e`, "#no"} {
		status, code := 201, "403"
		if strings.HasPrefix(value, "#") {
			status, code = 422, "200"
		}
		body, _ := json.Marshal(map[string]string{"value": value})
		h.want(status, "POST", list, string(body))
		serves(value, code)
	}
	h.want(409, "POST", list, `{"value":"worse"}`)
	h.want(422, "POST", list, `{}`)
	h.want(200, "GET", list+"/worse", "")
	h.want(204, "DELETE", list+"/worse", "")
	h.want(404, "DELETE", list+"/worse", "")
	serves("worse", "200")
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf(`{"value":"pattern number %d"}`, i))
	}
	h.want(201, "PUT", list, "["+strings.Join(many, ",")+"]")
	if n := len(entries(list)); n != 500 {
		t.Errorf("%d patterns", n)
	}
	serves("bad", "200")
	serves("pattern number 499", "403")
	h.want(404, "GET", "runtime/acls/none/entries", "")

	h.want(204, "DELETE", "runtime/maps/hosts.map?force_sync=true", "")
	disk("# a comment\n")
	serves("s", "200")
	if h.worker() != worker {
		t.Error("there was a reload")
	}
	if v := h.version(); v != versionBefore {
		t.Errorf("version %s became %s", versionBefore, v)
	}

	// What the file says is what the next configuration has.
	h.want(201, "PUT", "runtime/maps/hosts.map?force_sync=true", `[{"key":"q","value":"Q"}]`)
	header, _ := h.want(map[bool]int{true: 201, false: 202}[inPlace], "POST", "configuration/backends?version="+h.version(), `{"name":"more"}`)
	if !inPlace {
		h.reloaded(header)
	}
	serves("q", "200Q")
}

// With update_map_files the files follow what changes in the proxy by themselves.
func TestUpdateMapFiles(t *testing.T) {
	port := freePorts(t, 1)[0]
	h := build(t, haproxy(t), "  user: [{name: admin, password: adminpwd, insecure: true}]\n  resources: {update_map_files: true, update_map_files_period: 1}", func(dir string) string {
		os.MkdirAll(filepath.Join(dir, "maps"), 0o700)
		if err := os.WriteFile(filepath.Join(dir, "maps/h.map"), []byte("a 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("global\n    stats socket %[1]s/stats.sock level admin\ndefaults\n    mode http\n    timeout client 30s\n    timeout server 30s\n    timeout connect 5s\nfrontend web\n    bind 127.0.0.1:%[2]d\n    http-request return status 200 hdr x-value \"%%[req.hdr(x-key),map_str(%[1]s/maps/h.map)]\"\n", dir, port)
	}, port)
	h.want(201, "POST", "runtime/maps/h.map/entries", `{"key":"b","value":"2"}`)
	h.await("the file", func() bool { return h.read("maps/h.map") == "a 1\nb 2\n" })
}
