package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
		Scheme       []string      `yaml:"scheme"` // http, https
		Host         string        `yaml:"host"`
		Port         int           `yaml:"port"`
		ReadTimeout  time.Duration `yaml:"read_timeout"`
		WriteTimeout time.Duration `yaml:"write_timeout"`
		MaxHeader    string        `yaml:"max_header_size"`
		ListenLimit  int           `yaml:"listen_limit"`
		KeepAlive    time.Duration `yaml:"keep_alive"`
		PIDFile      string        `yaml:"pid_file"`
		TLS          struct {
			Host        string `yaml:"tls_host"`
			Port        int    `yaml:"tls_port"`
			Certificate string `yaml:"tls_certificate"`
			Key         string `yaml:"tls_key"`
		} `yaml:"tls"`
		Users    []User `yaml:"user"`
		Userlist struct {
			Name string `yaml:"userlist"`
			File string `yaml:"userlist_file"`
		} `yaml:"userlist"`
		Transaction struct {
			Dir     string `yaml:"transaction_dir"`
			Backups int    `yaml:"backups_number"`
			MaxOpen int    `yaml:"max_open_transactions"`
		} `yaml:"transaction"`
		Advertised struct {
			Address string `yaml:"api_address"`
			Port    int    `yaml:"api_port"`
		} `yaml:"advertised"`
	} `yaml:"dataplaneapi"`
	Proxy struct {
		ConfigFile    string   `yaml:"config_file"`
		ConfigFiles   []string `yaml:"config_files"` // all -f files of the proxy, when there is more than one
		Binary        string   `yaml:"haproxy_bin"`
		MasterSocket  string   `yaml:"master_runtime"`
		RuntimeSocket string   `yaml:"runtime_socket"`
		Reload        struct {
			Delay       int    `yaml:"reload_delay"` // seconds
			Cmd         string `yaml:"reload_cmd"`
			RestartCmd  string `yaml:"restart_cmd"`
			Strategy    string `yaml:"reload_strategy"`
			ValidateCmd string `yaml:"validate_cmd"`
			Retention   int    `yaml:"reload_retention"` // days
			NotifyURL   string `yaml:"notify_url"`
		} `yaml:"reload"`
	} `yaml:"haproxy"`
	Resources struct {
		SSLCerts string `yaml:"ssl_certs_dir"`     // default: the folder "ssl" beside the configuration file
		CrtLists string `yaml:"ssl_crt_lists_dir"` // default: the folder "crt-lists" beside it
	} `yaml:"resources"`
	LogTargets []LogTarget `yaml:"log_targets"`

	ShowVersion bool     `yaml:"-"`
	Warnings    []string `yaml:"-"`
}

// LogTarget says where this program's own log goes.
type LogTarget struct {
	To     string `yaml:"log_to"`     // stdout, stderr, file
	File   string `yaml:"log_file"`   // for file
	Level  string `yaml:"log_level"`  // debug, info, warning, error
	Format string `yaml:"log_format"` // text, json
}

// Parse reads the command line (without the program's name) and the file that it names. The command line wins.
func Parse(args []string, out io.Writer) (*Settings, error) {
	s := &Settings{}
	s.defaults()
	file := ""
	fs := flags(s, &file, out)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
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
		again := flags(from, &file, io.Discard)
		if err := again.Parse(args); err != nil {
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
	s.API.ListenLimit = 1024
	s.API.TLS.Host, s.API.TLS.Port = "localhost", 5556
	s.API.Transaction.Dir = "/var/lib/dataplaneapi"
	s.API.Transaction.Backups = 10
	s.API.Transaction.MaxOpen = 20
	s.Proxy.ConfigFile = "/etc/haproxy/haproxy.cfg"
	s.Proxy.Binary = "forebay"
	s.Proxy.Reload.Delay = 5
	s.Proxy.Reload.Retention = 1
	s.Proxy.Reload.Strategy = "custom"
}

func flags(s *Settings, file *string, out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("dataplaneapi", flag.ContinueOnError)
	fs.SetOutput(out)
	str := func(p *string, usage string, names ...string) {
		for _, n := range names {
			fs.StringVar(p, n, *p, usage)
		}
	}
	num := func(p *int, usage string, names ...string) {
		for _, n := range names {
			fs.IntVar(p, n, *p, usage)
		}
	}
	fs.StringVar(file, "f", *file, "`file` with the settings (YAML)")
	str(&s.API.Host, "`address` to listen on for http", "host")
	num(&s.API.Port, "`port` to listen on for http", "port")
	fs.Func("scheme", "`scheme` to serve, http or https; may be given twice", func(v string) error {
		if !slices.Contains(s.API.Scheme, v) {
			s.API.Scheme = append(s.API.Scheme, v)
		}
		return nil
	})
	str(&s.API.TLS.Host, "`address` to listen on for https", "tls-host")
	num(&s.API.TLS.Port, "`port` to listen on for https", "tls-port")
	str(&s.API.TLS.Certificate, "`file` with the certificate for https", "tls-certificate")
	str(&s.API.TLS.Key, "`file` with the key for https", "tls-key")
	fs.DurationVar(&s.API.ReadTimeout, "read-timeout", s.API.ReadTimeout, "longest `time` to read a request")
	fs.DurationVar(&s.API.WriteTimeout, "write-timeout", s.API.WriteTimeout, "longest `time` to answer a request")
	num(&s.API.ListenLimit, "most connections at the same `time`", "listen-limit")
	str(&s.API.PIDFile, "`file` to write the process id to", "pid-file", "P")
	str(&s.API.Userlist.Name, "`name` of the userlist in the proxy's configuration whose users may use the API", "userlist", "u")
	str(&s.API.Userlist.File, "`file` with the userlist, when it is not the proxy's configuration", "userlist-file")
	str(&s.API.Transaction.Dir, "`folder` for transactions, backups and the state", "transaction-dir", "t")
	num(&s.API.Transaction.Backups, "`number` of old versions of the configuration to keep", "backups-number", "n")
	num(&s.API.Transaction.MaxOpen, "most transactions open at the same `time`", "max-open-transactions")
	str(&s.Proxy.ConfigFile, "`file` with the proxy's configuration", "config-file", "c")
	str(&s.Proxy.Binary, "`program` of the proxy, which checks configurations", "haproxy-bin", "b")
	str(&s.Proxy.MasterSocket, "`address` of the master socket", "master-runtime", "m")
	str(&s.Proxy.RuntimeSocket, "`address` of the Runtime socket, when not from the configuration", "runtime-socket")
	str(&s.Resources.SSLCerts, "`folder` of the certificates in the storage", "ssl-certs-dir")
	str(&s.Resources.CrtLists, "`folder` of the crt-lists in the storage", "ssl-crt-lists-dir")
	num(&s.Proxy.Reload.Delay, "`seconds` to collect changes before a reload", "reload-delay", "d")
	str(&s.Proxy.Reload.Cmd, "`command` that reloads the proxy, instead of the master socket", "reload-cmd", "r")
	str(&s.Proxy.Reload.ValidateCmd, "`command` that checks a configuration; {file} stands for it", "validate-cmd")
	num(&s.Proxy.Reload.Retention, "`days` to remember reloads", "reload-retention")
	str(&s.Proxy.Reload.NotifyURL, "`URL` that changes and reloads are posted to", "notify-url")
	fs.BoolVar(&s.ShowVersion, "version", false, "print the version and exit")
	fs.BoolVar(&s.ShowVersion, "v", false, "print the version and exit")
	return fs
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
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s: %s is not known and ignored", file, before))
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
	for _, sch := range s.API.Scheme {
		switch sch {
		case "http":
		case "https":
			if s.API.TLS.Certificate == "" || s.API.TLS.Key == "" {
				return errors.New("scheme https needs tls_certificate and tls_key")
			}
		default:
			return fmt.Errorf("scheme %q: http or https", sch)
		}
	}
	for name, v := range map[string]int{"port": s.API.Port, "tls_port": s.API.TLS.Port} {
		if v < 0 || v > 65535 {
			return fmt.Errorf("%s %d is not a port", name, v)
		}
	}
	if s.Proxy.Reload.Delay < 0 || s.API.Transaction.Backups < 0 || s.API.Transaction.MaxOpen < 0 || s.API.ListenLimit < 1 {
		return errors.New("reload_delay, backups_number, max_open_transactions and listen_limit cannot be negative")
	}
	if len(s.Proxy.ConfigFiles) > 0 && !slices.Contains(s.Proxy.ConfigFiles, s.Proxy.ConfigFile) {
		return fmt.Errorf("config_files does not have config_file %q in it", s.Proxy.ConfigFile)
	}
	if s.Proxy.Reload.RestartCmd != "" {
		s.Warnings = append(s.Warnings, "restart_cmd is not used: every change is applied without a restart")
	}
	abs, err := filepath.Abs(s.Proxy.ConfigFile)
	if err != nil {
		return err
	}
	if i := slices.Index(s.Proxy.ConfigFiles, s.Proxy.ConfigFile); i >= 0 {
		s.Proxy.ConfigFiles[i] = abs
	}
	s.Proxy.ConfigFile = abs
	for dir, name := range map[*string]string{&s.Resources.SSLCerts: "ssl", &s.Resources.CrtLists: "crt-lists"} {
		if *dir == "" {
			*dir = filepath.Join(filepath.Dir(abs), name)
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	return nil
}
