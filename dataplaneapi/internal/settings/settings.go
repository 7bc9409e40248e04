package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"go.yaml.in/yaml/v3"
)

// User may use the API.
type User struct {
	Name     string `yaml:"name"`
	Password string `yaml:"password"`
	Insecure bool   `yaml:"insecure"` // the password is plain text
}

// Settings is everything that the command line and the file can say.
type Settings struct {
	ConfigVersion int    `yaml:"config_version"`
	Name          string `yaml:"name"`
	API           struct {
		Scheme         []string      `yaml:"scheme"` // http, https, unix
		Host           string        `yaml:"host"`
		Port           int           `yaml:"port"`
		SocketPath     string        `yaml:"socket_path"`
		ReadTimeout    time.Duration `yaml:"read_timeout"`
		WriteTimeout   time.Duration `yaml:"write_timeout"`
		Cleanup        time.Duration `yaml:"cleanup_timeout"`
		Graceful       time.Duration `yaml:"graceful_timeout"`
		MaxHeader      Size          `yaml:"max_header_size"`
		MaxBody        Size          `yaml:"max_body_size"`
		ListenLimit    int           `yaml:"listen_limit"`
		KeepAlive      time.Duration `yaml:"keep_alive"`
		PIDFile        string        `yaml:"pid_file"`
		UID            int           `yaml:"uid"`
		GID            int           `yaml:"gid"`
		DisableInotify bool          `yaml:"disable_inotify"`
		ShowSystemInfo bool          `yaml:"show_system_info"`
		TLS            struct {
			Host         string        `yaml:"tls_host"`
			Port         int           `yaml:"tls_port"`
			Certificate  string        `yaml:"tls_certificate"`
			Key          string        `yaml:"tls_key"`
			CA           string        `yaml:"tls_ca"`
			ListenLimit  int           `yaml:"tls_listen_limit"` // the zero values of these are those of http
			KeepAlive    time.Duration `yaml:"tls_keep_alive"`
			ReadTimeout  time.Duration `yaml:"tls_read_timeout"`
			WriteTimeout time.Duration `yaml:"tls_write_timeout"`
		} `yaml:"tls"`
		Users    []User `yaml:"user"`
		Userlist struct {
			Name       string `yaml:"userlist"`
			File       string `yaml:"userlist_file"`
			AllowEmpty bool   `yaml:"allow_empty"` // a change may leave nobody who can use the API
		} `yaml:"userlist"`
		Transaction struct {
			Dir        string `yaml:"transaction_dir"`
			Backups    int    `yaml:"backups_number"`
			BackupsDir string `yaml:"backups_dir"`
			MaxOpen    int    `yaml:"max_open_transactions"`
		} `yaml:"transaction"`
		Resources Resources `yaml:"resources"`
	} `yaml:"dataplaneapi"`
	Proxy struct {
		ConfigFile    string   `yaml:"config_file"`
		ConfigFiles   []string `yaml:"config_files"` // all -f files of the proxy, when there is more than one
		Binary        string   `yaml:"haproxy_bin"`
		MasterSocket  string   `yaml:"master_runtime"`
		MasterWorker  bool     `yaml:"master_worker_mode"`
		RuntimeSocket string   `yaml:"runtime_socket"`
		Reload        struct {
			Delay       int      `yaml:"reload_delay"` // seconds
			Cmd         string   `yaml:"reload_cmd"`
			Strategy    string   `yaml:"reload_strategy"`
			Service     string   `yaml:"service_name"`
			ValidateCmd string   `yaml:"validate_cmd"`
			FilesBefore []string `yaml:"validate_files_before"`
			FilesAfter  []string `yaml:"validate_files_after"`
			Retention   int      `yaml:"reload_retention"` // days
			NotifyURL   string   `yaml:"notify_url"`
		} `yaml:"reload"`
	} `yaml:"haproxy"`
	Resources  Resources   `yaml:"resources"` // the older place of dataplaneapi.resources
	LogTargets []LogTarget `yaml:"log_targets"`
	Log        *LogTarget  `yaml:"log"` // the older form of log_targets

	ShowVersion bool     `yaml:"-"`
	Warnings    []string `yaml:"-"`
}

// Resources are the folders of the storage.
type Resources struct {
	SSLCerts string `yaml:"ssl_certs_dir"`       // default: the folder "ssl" beside the configuration file
	CrtLists string `yaml:"ssl_crt_lists_dir"`   // default: the folder "crt-lists" beside it
	Maps     string `yaml:"maps_dir"`            // default: the folder "maps" beside it
	General  string `yaml:"general_storage_dir"` // default: the folder "general" beside it

	UpdateMaps       bool `yaml:"update_map_files"`        // write what the proxy has of maps to their files
	UpdateMapsPeriod int  `yaml:"update_map_files_period"` // seconds
}

func (s *Settings) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// Size is a number of bytes, which may be written with a unit: 1MiB, 64k.
type Size int64

var sizeUnits = map[string]float64{"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1e3, "m": 1 << 20, "mib": 1 << 20, "mb": 1e6, "g": 1 << 30, "gib": 1 << 30, "gb": 1e9}

// UnmarshalText reads a size.
func (z *Size) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := strings.TrimRight(s, "bBkKmMgGiI ")
	n, err := strconv.ParseFloat(digits, 64)
	unit, ok := sizeUnits[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	if err != nil || !ok || n < 0 || n*unit > 1<<40 {
		return fmt.Errorf("%q is no size", s)
	}
	*z = Size(n * unit)
	return nil
}

// UnmarshalFlag reads a size of the command line.
func (z *Size) UnmarshalFlag(s string) error { return z.UnmarshalText([]byte(s)) }

// LogTarget says where this program's own log goes.
type LogTarget struct {
	To             string   `yaml:"log_to"`     // stdout, stderr, file, syslog
	File           string   `yaml:"log_file"`   // for file
	Level          string   `yaml:"log_level"`  // trace, debug, info, warning, error
	Format         string   `yaml:"log_format"` // text, json
	Types          LogTypes `yaml:"log_types"`
	SyslogAddress  string   `yaml:"syslog_address"`
	SyslogPort     int      `yaml:"syslog_port"`
	SyslogProtocol string   `yaml:"syslog_protocol"`
	SyslogTag      string   `yaml:"syslog_tag"`
	SyslogLevel    string   `yaml:"syslog_level"`
	SyslogFacility string   `yaml:"syslog_facility"`
}

// LogTypes says what goes to a target: what the program does (app), the requests (access). Neither is both.
type LogTypes struct{ App, Access bool }

// UnmarshalYAML reads a list of types.
func (t *LogTypes) UnmarshalYAML(n *yaml.Node) error {
	var list []string
	if err := n.Decode(&list); err != nil {
		return err
	}
	for _, v := range list {
		switch v {
		case "app":
			t.App = true
		case "access":
			t.Access = true
		default:
			return fmt.Errorf("line %d: log_types %q: app or access", n.Line, v)
		}
	}
	return nil
}

// Parse reads the command line (without the program's name) and the file that it names. The command line wins.
func Parse(args []string, out io.Writer) (*Settings, error) {
	s := &Settings{}
	s.defaults()
	file := ""
	if err := newParser(s, &file).parse(s, args, out); err != nil {
		return nil, err
	}
	if s.ShowVersion {
		return s, nil
	}
	if file != "" {
		from := &Settings{}
		from.defaults()
		if err := from.read(file); err != nil {
			return nil, err
		}
		// What the command line says replaces what the file says.
		if err := newParser(from, &file).parse(from, args, io.Discard); err != nil {
			return nil, err
		}
		s = from
	}
	return s, s.check()
}

func (s *Settings) defaults() {
	s.API.Scheme = []string{"http"}
	s.API.Host, s.API.Port = "localhost", 5555
	s.API.ReadTimeout, s.API.WriteTimeout = 30*time.Second, 120*time.Second
	s.API.KeepAlive = 3 * time.Minute
	s.API.Cleanup, s.API.Graceful = 3*time.Minute, 30*time.Second
	s.API.MaxHeader = 64 << 10
	s.API.SocketPath = "/var/run/data-plane.sock"
	s.API.ListenLimit = 1024
	s.API.TLS.Host, s.API.TLS.Port = "localhost", 5556
	s.API.Transaction.Dir = "/var/lib/dataplaneapi"
	s.API.Transaction.Backups = 10
	s.API.Transaction.MaxOpen = 20
	s.Proxy.ConfigFile = "/etc/haproxy/haproxy.cfg"
	s.Proxy.Binary = "forebay"
	s.Proxy.Reload.Delay = 5
	s.Proxy.Reload.Retention = 1
	s.Proxy.Reload.Strategy, s.Proxy.Reload.Service = "custom", "haproxy"
}

func (s *Settings) read(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	dec.KnownFields(true)
	err = dec.Decode(s)
	var te *yaml.TypeError
	if errors.As(err, &te) {
		// Keys of the original that mean nothing here are named, but no reason not to start.
		for _, e := range te.Errors {
			if !strings.Contains(e, "not found in type") {
				return fmt.Errorf("%s: %s", file, e)
			}
			before, _, _ := strings.Cut(e, " not found in type")
			line, key, _ := strings.Cut(before, ": field ")
			if why, known := needlessKey(key); known {
				s.warn("%s: %s: %s has no effect: %s", file, line, key, why)
			} else {
				s.warn("%s: %s is not known and ignored", file, before)
			}
		}
		return nil
	}
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (s *Settings) check() error {
	if s.ConfigVersion > 2 {
		return fmt.Errorf("config_version %d is not known", s.ConfigVersion)
	}
	for _, part := range []func() error{s.checkListeners, s.checkReload, s.checkFiles} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// checkListeners looks at where the API is served, and for whom.
func (s *Settings) checkListeners() error {
	for _, sch := range s.API.Scheme {
		switch sch {
		case "http", "unix":
		case "https":
			if s.API.TLS.Certificate == "" || s.API.TLS.Key == "" {
				return errors.New("scheme https needs tls_certificate and tls_key")
			}
		default:
			return fmt.Errorf("scheme %q: http, https or unix", sch)
		}
	}
	if len(s.API.Scheme) == 0 {
		return errors.New("scheme: nothing is served")
	}
	for name, v := range map[string]int{"port": s.API.Port, "tls_port": s.API.TLS.Port} {
		if v < 0 || v > 65535 {
			return fmt.Errorf("%s %d is not a port", name, v)
		}
	}
	t := &s.API.TLS
	if t.ListenLimit == 0 {
		t.ListenLimit = s.API.ListenLimit
	}
	for mine, http := range map[*time.Duration]time.Duration{&t.KeepAlive: s.API.KeepAlive, &t.ReadTimeout: s.API.ReadTimeout, &t.WriteTimeout: s.API.WriteTimeout} {
		if *mine == 0 {
			*mine = http
		}
	}
	if s.Proxy.Reload.Delay < 0 || s.API.Transaction.Backups < 0 || s.API.Transaction.MaxOpen < 0 || s.API.ListenLimit < 1 || t.ListenLimit < 1 {
		return errors.New("reload_delay, backups_number, max_open_transactions and listen_limit cannot be negative")
	}
	if s.API.UID < 0 || s.API.GID < 0 {
		return errors.New("uid and gid cannot be negative")
	}
	return nil
}

// checkReload looks at the files of the configuration, and at how it is reloaded.
func (s *Settings) checkReload() error {
	r := &s.Proxy.Reload
	if len(s.Proxy.ConfigFiles) == 0 && len(r.FilesBefore)+len(r.FilesAfter) > 0 {
		s.Proxy.ConfigFiles = slices.Concat(r.FilesBefore, []string{s.Proxy.ConfigFile}, r.FilesAfter)
	}
	if len(s.Proxy.ConfigFiles) > 0 && !slices.Contains(s.Proxy.ConfigFiles, s.Proxy.ConfigFile) {
		return fmt.Errorf("config_files does not have config_file %q in it", s.Proxy.ConfigFile)
	}
	switch {
	case !slices.Contains([]string{"custom", "systemd", "s6"}, r.Strategy):
		return fmt.Errorf("reload_strategy %q: custom, systemd or s6", r.Strategy)
	case r.Cmd != "" || r.Strategy == "custom":
	case r.Strategy == "systemd":
		r.Cmd = "systemctl reload " + config.Quote(r.Service)
	default:
		r.Cmd = "s6-svc -2 " + config.Quote(r.Service)
	}
	if s.Proxy.MasterWorker && s.Proxy.MasterSocket == "" {
		// The master tells those that it starts: "unix@/run/m.sock;ipv4@127.0.0.1:1999".
		s.Proxy.MasterSocket, _, _ = strings.Cut(os.Getenv("HAPROXY_MASTER_CLI"), ";")
		if s.Proxy.MasterSocket == "" {
			return errors.New("master_worker_mode: HAPROXY_MASTER_CLI is not set, the proxy's master did not start this program (or has no socket: -S)")
		}
	}
	if s.Log != nil && len(s.LogTargets) == 0 {
		s.LogTargets = []LogTarget{*s.Log}
	}
	return nil
}

// checkFiles makes paths absolute, and gives folders of files their defaults.
func (s *Settings) checkFiles() error {
	abs, err := filepath.Abs(s.Proxy.ConfigFile)
	if err != nil {
		return err
	}
	if i := slices.Index(s.Proxy.ConfigFiles, s.Proxy.ConfigFile); i >= 0 {
		s.Proxy.ConfigFiles[i] = abs
	}
	s.Proxy.ConfigFile = abs
	in := &s.API.Resources
	in.UpdateMaps = in.UpdateMaps || s.Resources.UpdateMaps
	if in.UpdateMapsPeriod == 0 {
		in.UpdateMapsPeriod = s.Resources.UpdateMapsPeriod
	}
	if in.UpdateMapsPeriod == 0 {
		in.UpdateMapsPeriod = 10
	}
	if in.UpdateMapsPeriod < 0 {
		return errors.New("update_map_files_period: a number of seconds is expected")
	}
	for _, x := range []struct {
		dir        *string
		older, def string
	}{{&in.SSLCerts, s.Resources.SSLCerts, "ssl"}, {&in.CrtLists, s.Resources.CrtLists, "crt-lists"}, {&in.Maps, s.Resources.Maps, "maps"}, {&in.General, s.Resources.General, "general"}} {
		if *x.dir == "" {
			*x.dir = x.older
		}
		if *x.dir == "" {
			*x.dir = filepath.Join(filepath.Dir(abs), x.def)
		}
		if *x.dir, err = filepath.Abs(*x.dir); err != nil {
			return err
		}
	}
	return nil
}
