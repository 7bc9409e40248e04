package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/auth"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/httpapi"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

// Version of the program. The build sets it.
var Version = "0.1.0"

// Banner is what --version prints.
func Banner() string {
	return "Forebay Data Plane API " + Version + " (compatible with the Data Plane API v3)"
}

// Run serves until the context ends. ready, when not nil, is called with the addresses that are listened on.
func Run(ctx context.Context, s *settings.Settings, ready func([]net.Addr)) error {
	log, closeLog, err := logger(s.LogTargets)
	if err != nil {
		return err
	}
	defer closeLog()
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	api, err := resource.Load(apispec.Files)
	if err != nil {
		return err
	}
	names, err := resource.LoadNames(apispec.Files)
	if err != nil {
		return err
	}
	st, err := store.Open(&store.Store{
		Path: s.Proxy.ConfigFile, Dir: s.API.Transaction.Dir, Backups: s.API.Transaction.Backups,
		MaxOpen: s.API.Transaction.MaxOpen, Log: log,
	})
	if err != nil {
		return err
	}
	lad := &ladder.Ladder{
		API: api, Names: names, Store: st, Log: log,
		ValidateCmd: commandLine(s.Proxy.Reload.ValidateCmd), ReloadCmd: commandLine(s.Proxy.Reload.Cmd),
		MasterSocket: s.Proxy.MasterSocket, RuntimeSocket: s.Proxy.RuntimeSocket,
		ReloadDelay: time.Duration(s.Proxy.Reload.Delay) * time.Second,
		CommandTime: 60 * time.Second, Retention: time.Duration(s.Proxy.Reload.Retention) * 24 * time.Hour,
	}
	for _, f := range s.Proxy.ConfigFiles {
		if f == s.Proxy.ConfigFile {
			f = st.Path
		}
		lad.Files = append(lad.Files, f)
	}
	if len(lad.ValidateCmd) == 0 {
		lad.ValidateCmd = []string{s.Proxy.Binary, "-c", "-f", "{file}"}
	}
	if s.Proxy.Reload.NotifyURL != "" {
		n := ladder.NewNotifier(s.Proxy.Reload.NotifyURL, log)
		defer n.Close()
		lad.Notify = n.Send
	}
	users := userSource(s, st, log)
	if len(users()) == 0 {
		return errors.New("nobody may use the API: no user in the settings, and no userlist with one")
	}
	api3 := &httpapi.Server{API: api, Store: st, Ladder: lad, Log: log, Users: users, Version: Version, Build: buildTime(),
		Certs: store.Folder{Dir: s.Resources.SSLCerts}, CrtLists: store.Folder{Dir: s.Resources.CrtLists}}
	handler, err := api3.Handler()
	if err != nil {
		return err
	}
	if s.API.PIDFile != "" {
		if err := os.WriteFile(s.API.PIDFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return err
		}
		defer os.Remove(s.API.PIDFile)
	}
	listeners, err := listen(s)
	if err != nil {
		return err
	}
	if err := lad.Reconcile(ctx); err != nil {
		return err
	}
	defer lad.Close()
	watchCtx, stopWatch := context.WithCancel(ctx)
	watched, err := st.Watch(watchCtx)
	if err != nil {
		stopWatch()
		return err
	}
	defer func() { stopWatch(); <-watched }()
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: s.API.ReadTimeout, WriteTimeout: s.API.WriteTimeout,
		IdleTimeout: s.API.KeepAlive, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}
	failed := make(chan error, len(listeners))
	var addrs []net.Addr
	for _, ln := range listeners {
		addrs = append(addrs, ln.Addr())
		go func() { failed <- srv.Serve(ln) }()
	}
	log.Info("serving the API", "addresses", fmt.Sprint(addrs), "configuration", st.Path, "version", Version)
	if ready != nil {
		ready(addrs)
	}
	select {
	case err := <-failed:
		srv.Close()
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	end, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return srv.Shutdown(end)
}

// commandLine divides a command into words, with the quoting of the configuration language.
func commandLine(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	f := config.Parse("", []byte("x "+s+"\n"))
	return f.Lines[0].Words[1:]
}

func listen(s *settings.Settings) (out []net.Listener, err error) {
	for _, scheme := range s.API.Scheme {
		host, port := s.API.Host, s.API.Port
		if scheme == "https" {
			host, port = s.API.TLS.Host, s.API.TLS.Port
		}
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, err
		}
		ln = &limited{Listener: ln, slots: make(chan struct{}, s.API.ListenLimit)}
		if scheme == "https" {
			cert, err := tls.LoadX509KeyPair(s.API.TLS.Certificate, s.API.TLS.Key)
			if err != nil {
				return nil, err
			}
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		}
		out = append(out, ln)
	}
	return out, nil
}

// limited bounds how many connections are open at the same time.
type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: c, done: sync.OnceFunc(func() { <-l.slots })}, nil
}

type counted struct {
	net.Conn
	done func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.done()
	return err
}

// userSource returns the users that may use the API: those of the settings, else a userlist, read again when its file
// changes.
func userSource(s *settings.Settings, st *store.Store, log *slog.Logger) func() []auth.User {
	if len(s.API.Users) > 0 {
		var users []auth.User
		for _, u := range s.API.Users {
			users = append(users, auth.User{Name: u.Name, Password: u.Password, Plain: u.Insecure})
		}
		warnHashes(users, log)
		return func() []auth.User { return users }
	}
	name := s.API.Userlist.Name
	if name == "" {
		name = "controller"
	}
	var mu sync.Mutex
	var last []byte
	var users []auth.User
	return func() []auth.User {
		mu.Lock()
		defer mu.Unlock()
		var data []byte
		var err error
		if s.API.Userlist.File != "" {
			data, err = os.ReadFile(s.API.Userlist.File)
		} else {
			data, _, err = st.Text()
		}
		if err != nil {
			log.Error("the userlist cannot be read", "error", err)
			return nil
		}
		if last == nil || !bytes.Equal(last, data) {
			last = data
			users, _ = auth.FromUserlist(config.Parse("", data), name)
			warnHashes(users, log)
		}
		return users
	}
}

func warnHashes(users []auth.User, log *slog.Logger) {
	for _, u := range users {
		if !u.Plain && !auth.Supported(u.Password) {
			log.Warn("the password of a user has a form that cannot be checked", "user", u.Name)
		}
	}
}

func buildTime() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, kv := range info.Settings {
			if kv.Key == "vcs.time" {
				if t, err := time.Parse(time.RFC3339, kv.Value); err == nil {
					return t
				}
			}
		}
	}
	if exe, err := os.Executable(); err == nil {
		if fi, err := os.Stat(exe); err == nil {
			return fi.ModTime()
		}
	}
	return time.Time{}
}

// logger builds the program's own log: standard error when nothing is configured.
func logger(targets []settings.LogTarget) (*slog.Logger, func(), error) {
	if len(targets) == 0 {
		targets = []settings.LogTarget{{To: "stderr"}}
	}
	var handlers []slog.Handler
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, t := range targets {
		var w io.Writer
		switch t.To {
		case "", "stdout":
			w = os.Stdout
		case "stderr":
			w = os.Stderr
		case "file":
			f, err := os.OpenFile(filepath.Clean(t.File), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
			if err != nil {
				closeAll()
				return nil, nil, err
			}
			files = append(files, f)
			w = f
		default:
			closeAll()
			return nil, nil, fmt.Errorf("log_to %q: stdout, stderr or file", t.To)
		}
		var level slog.Level
		switch t.Level {
		case "", "info":
		case "trace", "debug":
			level = slog.LevelDebug
		case "warning", "warn":
			level = slog.LevelWarn
		case "error":
			level = slog.LevelError
		default:
			closeAll()
			return nil, nil, fmt.Errorf("log_level %q: debug, info, warning or error", t.Level)
		}
		opt := &slog.HandlerOptions{Level: level}
		switch t.Format {
		case "", "text":
			handlers = append(handlers, slog.NewTextHandler(w, opt))
		case "json", "JSON":
			handlers = append(handlers, slog.NewJSONHandler(w, opt))
		default:
			closeAll()
			return nil, nil, fmt.Errorf("log_format %q: text or json", t.Format)
		}
	}
	return slog.New(slog.NewMultiHandler(handlers...)), closeAll, nil
}
