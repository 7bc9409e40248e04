package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
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
  resources: {spoe_dir: /etc/spoe}
haproxy:
  config_file: /etc/h.cfg
  haproxy_bin: /usr/sbin/haproxy
  master_runtime: /run/m.sock
  reload: {reload_delay: 9, reload_cmd: systemctl reload haproxy, reload_strategy: systemd}
log_targets:
  - {log_to: file, log_file: /tmp/l, log_level: debug}

zork: 1
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
	// A key of the original that means nothing here is named, with its line, and so is one that nobody knows.
	if len(s.Warnings) != 2 || !strings.Contains(s.Warnings[0], "line 13: spoe_dir has no effect: SPOE") || !strings.Contains(s.Warnings[1], "line 22: field zork is not known") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

// Every key of the original's file is known. Those that have no effect say why.
func TestOriginalFile(t *testing.T) {
	s, err := Parse([]string{"-f", "testdata/dataplaneapi.yaml"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Warnings {
		if !strings.Contains(w, "has no effect: ") {
			t.Errorf("%s", w)
		}
	}
	want := &Settings{}
	want.defaults()
	want.ConfigVersion, want.Name = 2, "famous_condor"
	a := &want.API
	a.Host, a.Scheme, a.Cleanup, a.Graceful, a.MaxHeader, a.MaxBody = "0.0.0.0", []string{"http", "https"}, 10*time.Second, 15*time.Second, 1<<20, 32<<20
	a.KeepAlive, a.WriteTimeout, a.PIDFile = 3*time.Minute, time.Minute, "/tmp/dataplane.pid"
	a.TLS.Port, a.TLS.Certificate, a.TLS.Key, a.TLS.CA = 6443, "/etc/ssl/certs/dataplane.crt", "/etc/ssl/private/dataplane.key", "/etc/ssl/certs/ca.crt"
	a.TLS.ListenLimit, a.TLS.KeepAlive, a.TLS.ReadTimeout, a.TLS.WriteTimeout = 10, time.Minute, 10*time.Second, 11*time.Second
	a.Users = []User{{"dataplaneapi", "adminpwd", true}, {"hashed", "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.", false}}
	a.Userlist.Name = "controller"
	a.Transaction.Dir, a.Transaction.Backups, a.Transaction.BackupsDir = "/tmp/haproxy", 3, "/tmp/backups"
	a.Resources = Resources{SSLCerts: "/etc/haproxy/ssl", CrtLists: "/etc/haproxy/crt-lists", Maps: "/etc/haproxy/maps", General: "/etc/haproxy/general", UpdateMapsPeriod: 10}
	p := &want.Proxy
	p.Binary, p.MasterSocket, p.ConfigFiles = "haproxy", "/var/run/haproxy-master.sock", []string{"/etc/haproxy/before.cfg", "/etc/haproxy/haproxy.cfg", "/etc/haproxy/after.cfg"}
	p.Reload.Cmd, p.Reload.Service = "systemctl reload haproxy", "haproxy.service"
	p.Reload.FilesBefore, p.Reload.FilesAfter = []string{"/etc/haproxy/before.cfg"}, []string{"/etc/haproxy/after.cfg"}
	want.LogTargets = []LogTarget{
		{To: "stdout", Level: "debug", Format: "json", Types: LogTypes{true, true}}, {To: "file", File: "/var/log/dataplaneapi.log", Level: "info", Format: "text", Types: LogTypes{App: true}},
		{To: "syslog", Level: "debug", SyslogAddress: "127.0.0.1", SyslogPort: 514, SyslogProtocol: "udp", SyslogTag: "dataplaneapi", SyslogLevel: "warning", SyslogFacility: "local0"},
	}
	want.Warnings = s.Warnings
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

// Every flag of the original is known, in both of its spellings, and so is every one of ours.
func TestFlags(t *testing.T) {
	t.Setenv("HAPROXY_MASTER_CLI", "unix@/run/m.sock;ipv4@127.0.0.1:1999")
	for _, c := range []struct {
		args []string
		got  func(s *Settings) any
		want any
	}{
		{[]string{"--scheme", "https", "--scheme=unix", "--tls-certificate=c", "--tls-key=k"}, func(s *Settings) any { return strings.Join(s.API.Scheme, " ") + s.API.TLS.Certificate + s.API.TLS.Key }, "https unixck"},
		{[]string{"--host=h", "--port=1"}, func(s *Settings) any { return s.API.Host + strconv.Itoa(s.API.Port) }, "h1"},
		{[]string{"-host", "h", "-port=2"}, func(s *Settings) any { return s.API.Host + strconv.Itoa(s.API.Port) }, "h2"},
		{[]string{"--socket-path=/s"}, func(s *Settings) any { return s.API.SocketPath }, "/s"},
		{[]string{"--listen-limit=3"}, func(s *Settings) any { return s.API.ListenLimit + s.API.TLS.ListenLimit }, 6},
		{[]string{"--tls-host=t", "--tls-port=3", "--tls-ca=ca"}, func(s *Settings) any { return s.API.TLS.Host + strconv.Itoa(s.API.TLS.Port) + s.API.TLS.CA }, "t3ca"},
		{[]string{"--tls-listen-limit=3", "--tls-keep-alive=4s", "--tls-read-timeout=5s", "--tls-write-timeout=6s"}, func(s *Settings) any {
			return time.Duration(s.API.TLS.ListenLimit)*time.Hour + s.API.TLS.KeepAlive + s.API.TLS.ReadTimeout + s.API.TLS.WriteTimeout
		}, 3*time.Hour + 15*time.Second},
		{[]string{"--keep-alive=1s", "--read-timeout=2s", "--write-timeout=3s", "--cleanup-timeout=4s", "--graceful-timeout=5s"}, func(s *Settings) any {
			return s.API.KeepAlive + s.API.ReadTimeout + s.API.WriteTimeout + s.API.Cleanup + s.API.Graceful
		}, 15 * time.Second},
		{[]string{"--max-header-size=2k", "--max-body-size=1MiB"}, func(s *Settings) any { return int64(s.API.MaxHeader + s.API.MaxBody) }, int64(2048 + 1<<20)},
		{[]string{"--pid-file=p", "--uid=1", "--gid=2"}, func(s *Settings) any { return s.API.PIDFile + strconv.Itoa(s.API.UID) + strconv.Itoa(s.API.GID) }, "p12"},
		{[]string{"-P", "p"}, func(s *Settings) any { return s.API.PIDFile }, "p"},
		{[]string{"--disable-inotify", "-i"}, func(s *Settings) any { return s.API.DisableInotify && s.API.ShowSystemInfo }, true},
		{[]string{"--show-system-info"}, func(s *Settings) any { return s.API.ShowSystemInfo }, true},
		{[]string{"-u", "l", "--userlist-file=f"}, func(s *Settings) any { return s.API.Userlist.Name + s.API.Userlist.File }, "lf"},
		{[]string{"--userlist", "l"}, func(s *Settings) any { return s.API.Userlist.Name }, "l"},
		{[]string{"-t/t", "-n4", "--backups-dir=/b", "--max-open-transactions=5"}, func(s *Settings) any {
			return s.API.Transaction.Dir + s.API.Transaction.BackupsDir + strconv.Itoa(s.API.Transaction.Backups+s.API.Transaction.MaxOpen)
		}, "/t/b9"},
		{[]string{"--transaction-dir=/t", "--backups-number=4"}, func(s *Settings) any { return s.API.Transaction.Dir + strconv.Itoa(s.API.Transaction.Backups) }, "/t4"},
		{[]string{"--ssl-certs-dir=/c", "--ssl-crt-lists-dir=/l"}, func(s *Settings) any { return s.API.Resources.SSLCerts + s.API.Resources.CrtLists }, "/c/l"},
		{[]string{"-c", "/h.cfg", "-b", "bin", "-m", "m"}, func(s *Settings) any { return s.Proxy.ConfigFile + s.Proxy.Binary + s.Proxy.MasterSocket }, "/h.cfgbinm"},
		{[]string{"--config-file=/h.cfg", "--haproxy-bin=bin", "--master-runtime=m", "--runtime-socket=r"}, func(s *Settings) any {
			return s.Proxy.ConfigFile + s.Proxy.Binary + s.Proxy.MasterSocket + s.Proxy.RuntimeSocket
		}, "/h.cfgbinmr"},
		{[]string{"--master-worker-mode"}, func(s *Settings) any { return s.Proxy.MasterSocket }, "unix@/run/m.sock"},
		{[]string{"-d", "7", "-r", "cmd x"}, func(s *Settings) any { return s.Proxy.Reload.Cmd + strconv.Itoa(s.Proxy.Reload.Delay) }, "cmd x7"},
		{[]string{"--reload-delay=7", "--reload-cmd=cmd", "--reload-retention=8", "--validate-cmd=v", "--notify-url=n"}, func(s *Settings) any {
			r := s.Proxy.Reload
			return r.Cmd + strconv.Itoa(r.Delay+r.Retention) + r.ValidateCmd + r.NotifyURL
		}, "cmd15vn"},
		{[]string{"--reload-strategy=systemd", "--service=h"}, func(s *Settings) any { return s.Proxy.Reload.Cmd }, "systemctl reload h"},
		{[]string{"--reload-strategy=s6", "--service=/run/h x"}, func(s *Settings) any { return s.Proxy.Reload.Cmd }, `s6-svc -2 "/run/h x"`},
		{[]string{"-c/h", "--validate-files-before=/a", "--validate-files-before=/b", "--validate-files-after=/c"}, func(s *Settings) any { return strings.Join(s.Proxy.ConfigFiles, " ") }, "/a /b /h /c"},
		{[]string{"--name=n"}, func(s *Settings) any { return s.Name }, "n"},
		{[]string{"--log-to=file", "--log-file=/l", "--log-level=debug", "--log-format=json"}, func(s *Settings) any { return s.LogTargets[0] }, LogTarget{To: "file", File: "/l", Level: "debug", Format: "json"}},
		{[]string{"--log-to=syslog", "--syslog-address=a", "--syslog-port=5", "--syslog-protocol=tcp", "--syslog-tag=t", "--syslog-level=error", "--syslog-facility=local1"},
			func(s *Settings) any { return s.LogTargets[0] }, LogTarget{To: "syslog", SyslogAddress: "a", SyslogPort: 5, SyslogProtocol: "tcp", SyslogTag: "t", SyslogLevel: "error", SyslogFacility: "local1"}},
		{[]string{"-p/m", "--general-storage-dir=/g", "--update-map-files", "--update-map-files-period=3"}, func(s *Settings) any {
			in := s.API.Resources
			return fmt.Sprint(in.Maps, in.General, in.UpdateMaps, in.UpdateMapsPeriod)
		}, "/m/gtrue 3"},
		{[]string{"--maps-dir=/m"}, func(s *Settings) any {
			return fmt.Sprint(s.API.Resources.Maps, s.API.Resources.UpdateMaps, s.API.Resources.UpdateMapsPeriod)
		}, "/mfalse 10"},
		{[]string{"--spoe-dir=/s", "--spoe-transaction-dir=/t", "--dataplane-storage-dir=/d", "-s", "x", "--restart-cmd=x", "--status-cmd=x", "--cluster-tls-dir=x",
			"--fid=x", "--api-address=x", "--api-port=1", "--debug-socket-path=x", "--preferred-time-suffix=ms", "--delayed-start-max=1s",
			"--delayed-start-tick=1s", "--apache-common-log-format=x", "--syslog-msgid=x", "--syslog-priority=debug"}, func(s *Settings) any { return len(s.Warnings) }, 16},
	} {
		s, err := Parse(c.args, io.Discard)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if got := c.got(s); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, want %v\n%q", c.args, got, c.want, s.Warnings)
		}
		for _, w := range s.Warnings {
			if !strings.Contains(w, "has no effect: ") {
				t.Error(w)
			}
		}
	}
	var out strings.Builder
	if _, err := Parse([]string{"--help"}, &out); !errors.Is(err, ErrHelp) || !strings.Contains(out.String(), "--maps-dir=") {
		t.Errorf("%v %s", err, out.String())
	}
}

// The folders of the storage may stand where the original has them, and where they stood here.
func TestResources(t *testing.T) {
	for text, want := range map[string]string{
		"dataplaneapi:\n  resources: {ssl_certs_dir: /a, ssl_crt_lists_dir: /b, maps_dir: /m, general_storage_dir: /g}\n": "/a /b /m /g",
		"resources: {ssl_certs_dir: /a, ssl_crt_lists_dir: /b, maps_dir: /m, general_storage_dir: /g}\n":                  "/a /b /m /g",
		"haproxy: {config_file: /x/h.cfg}\n": "/x/ssl /x/crt-lists /x/maps /x/general",
	} {
		s, err := Parse([]string{"-f", file(t, text)}, io.Discard)
		if err != nil || strings.Join([]string{s.API.Resources.SSLCerts, s.API.Resources.CrtLists, s.API.Resources.Maps, s.API.Resources.General}, " ") != want || len(s.Warnings) != 0 {
			t.Errorf("%q: %+v %v", text, s, err)
		}
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
		{[]string{"--max-header-size", "many"}, "many"},
		{[]string{"--reload-strategy", "zork"}, "zork"},
		{[]string{"--uid", "-1"}, "uid"},
		{[]string{"--master-worker-mode"}, "HAPROXY_MASTER_CLI"},
		{[]string{"-f", file(t, "log_targets: [{log_types: [zork]}]\n")}, "zork"},
		{[]string{"-f", file(t, "dataplaneapi: {max_body_size: 1 zork}\n")}, "1 zork"},
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
