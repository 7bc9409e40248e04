package settings

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const full = `
config_version: 2
name: famous_condor
dataplaneapi:
  scheme: [http]
  host: 0.0.0.0
  port: 5550
  read_timeout: 10s
  user:
    - {name: admin, password: adminpwd, insecure: true}
  userlist: {userlist: controller, userlist_file: /etc/u.cfg}
  transaction: {transaction_dir: /tmp/x, backups_number: 3, max_open_transactions: 7}
  resources: {maps_dir: /etc/maps}
haproxy:
  config_file: /etc/h.cfg
  haproxy_bin: /usr/sbin/haproxy
  master_runtime: /run/m.sock
  reload: {reload_delay: 9, reload_cmd: systemctl reload haproxy, reload_strategy: systemd}
log_targets:
  - {log_to: file, log_file: /tmp/l, log_level: debug}
`

func TestFile(t *testing.T) {
	s, err := Parse([]string{"-f", file(t, full), "--port", "5551", "-b", "forebay"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.API.Port != 5551 || s.API.Host != "0.0.0.0" || s.Proxy.Binary != "forebay" || s.Proxy.Reload.Delay != 9 || s.API.ReadTimeout != 10*time.Second ||
		s.API.Users[0].Name != "admin" || s.API.Transaction.MaxOpen != 7 || s.API.Transaction.Backups != 3 || s.Proxy.MasterSocket != "/run/m.sock" ||
		s.LogTargets[0].Level != "debug" || s.API.Userlist.File != "/etc/u.cfg" {
		t.Errorf("%+v", s)
	}
	// A key of the original that means nothing here is named, with its line.
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "resources") || !strings.Contains(s.Warnings[0], "line 13") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

func TestDefaults(t *testing.T) {
	s, err := Parse(nil, io.Discard)
	if err != nil || s.API.Port != 5555 || s.Proxy.ConfigFile != "/etc/haproxy/haproxy.cfg" || s.API.Transaction.MaxOpen != 20 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = Parse([]string{"--version"}, io.Discard); err != nil || !s.ShowVersion {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--zork"}, "zork"},
		{[]string{"stray"}, "stray"},
		{[]string{"--port", "70000"}, "70000"},
		{[]string{"--scheme", "ftp"}, "ftp"},
		{[]string{"--scheme", "https"}, "tls_certificate"},
		{[]string{"--reload-delay", "-1"}, "reload_delay"},
		{[]string{"-f", "/does/not/exist"}, "/does/not/exist"},
		{[]string{"-f", file(t, "dataplaneapi:\n  port: many\n")}, "line 2"},
		{[]string{"-f", file(t, "a: [\n")}, "yaml"},
		{[]string{"-f", file(t, "config_version: 9\n")}, "config_version 9"},
		{[]string{"-f", file(t, "haproxy: {config_file: /a, config_files: [/b]}\n")}, "config_files"},
	} {
		if _, err := Parse(c.args, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want one about %s", c.args, err, c.want)
		}
	}
}
