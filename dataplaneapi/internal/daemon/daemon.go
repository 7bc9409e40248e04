package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	log, access, closeLog, err := loggers(s.LogTargets)
	if err != nil {
		return err
	}
	defer closeLog()
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	listeners, err := listen(s)
	if err != nil {
		return err
	}
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	removePID, err := writePID(s.API.PIDFile)
	if err != nil {
		return err
	}
	defer removePID()
	if err := become(s.API.UID, s.API.GID); err != nil {
		return err
	}
	d := &daemon{settings: s, log: log, access: access}
	defer d.close()
	handler, err := d.start(ctx)
	if err != nil {
		return err
	}
	var addrs []net.Addr
	for _, ln := range listeners {
		addrs = append(addrs, ln.Addr())
	}
	log.Info("serving the API", "name", s.Name, "addresses", fmt.Sprint(addrs), "configuration", d.store.Path, "version", Version)
	if ready != nil {
		ready(addrs)
	}
	return serve(ctx, listeners, handler, log, s.API.Graceful)
}

// daemon is what serves the API, and what it made so far that has to end with it.
type daemon struct {
	settings    *settings.Settings
	log, access *slog.Logger
	store       *store.Store
	ends        []func() // in the order in which they were begun
}

func (d *daemon) close() {
	for _, end := range slices.Backward(d.ends) {
		end()
	}
}

// start opens the configuration, brings the proxy to it and gives what answers requests.
func (d *daemon) start(ctx context.Context) (http.Handler, error) {
	s := d.settings
	api, err := resource.Load(apispec.Files)
	if err != nil {
		return nil, err
	}
	names, err := resource.LoadNames(apispec.Files)
	if err != nil {
		return nil, err
	}
	d.store, err = store.Open(&store.Store{
		Path: s.Proxy.ConfigFile, Dir: s.API.Transaction.Dir, Backups: s.API.Transaction.Backups, BackupsDir: s.API.Transaction.BackupsDir,
		MaxOpen: s.API.Transaction.MaxOpen, Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	lad := d.ladder(api, names)
	users, in := userSource(s, d.store, d.log)
	if len(users()) == 0 {
		return nil, errors.New("nobody may use the API: no user in the settings, and no userlist with one")
	}
	server := &httpapi.Server{
		API: api, Store: d.store, Ladder: lad, Log: d.log, Access: d.access, Users: users, UsersIn: in, Welcome: welcome,
		MaxBody: int64(s.API.MaxBody), SystemInfo: s.API.ShowSystemInfo, Version: Version, Build: buildTime(),
		Certs: store.Folder{Dir: s.API.Resources.SSLCerts}, CrtLists: store.Folder{Dir: s.API.Resources.CrtLists},
		Maps: store.Folder{Dir: s.API.Resources.Maps}, General: store.Folder{Dir: s.API.Resources.General},
	}
	handler, err := server.Handler()
	if err != nil {
		return nil, err
	}
	if err := lad.Reconcile(ctx); err != nil {
		return nil, err
	}
	d.ends = append(d.ends, lad.Close)
	if r := s.API.Resources; r.UpdateMaps {
		ctx, stop := context.WithCancel(ctx)
		var syncing sync.WaitGroup
		syncing.Go(func() { server.SyncMaps(ctx, time.Duration(r.UpdateMapsPeriod)*time.Second) })
		d.ends = append(d.ends, func() { stop(); syncing.Wait() })
	}
	return handler, d.watch(ctx)
}

// ladder makes what brings the proxy to a new configuration.
func (d *daemon) ladder(api *resource.API, names *resource.Names) *ladder.Ladder {
	s := d.settings
	l := &ladder.Ladder{
		API: api, Names: names, Store: d.store, Log: d.log,
		ValidateCmd: commandLine(s.Proxy.Reload.ValidateCmd), ReloadCmd: commandLine(s.Proxy.Reload.Cmd),
		MasterSocket: s.Proxy.MasterSocket, RuntimeSocket: s.Proxy.RuntimeSocket,
		ReloadDelay: time.Duration(s.Proxy.Reload.Delay) * time.Second,
		CommandTime: 60 * time.Second, Retention: time.Duration(s.Proxy.Reload.Retention) * 24 * time.Hour,
	}
	for _, f := range s.Proxy.ConfigFiles {
		if f == s.Proxy.ConfigFile {
			f = d.store.Path
		}
		l.Files = append(l.Files, f)
	}
	if len(l.ValidateCmd) == 0 {
		l.ValidateCmd = []string{s.Proxy.Binary, "-c", "-f", "{file}"}
	}
	if s.Proxy.Reload.NotifyURL != "" {
		n := ladder.NewNotifier(s.Proxy.Reload.NotifyURL, d.log)
		d.ends = append(d.ends, n.Close)
		l.Notify = n.Send
	}
	return l
}

// watch has changes of the configuration by others noticed, unless that is switched off.
func (d *daemon) watch(ctx context.Context) error {
	if d.settings.API.DisableInotify {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	watched, err := d.store.Watch(ctx)
	if err != nil {
		stop()
		return err
	}
	d.ends = append(d.ends, func() { stop(); <-watched })
	return nil
}

// writePID writes the number of the process to a file, if one is wanted.
func writePID(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, err
	}
	return func() { os.Remove(path) }, nil
}

// become gives up what the program was started as.
func become(uid, gid int) error {
	if gid != 0 {
		if err := syscall.Setgroups([]int{gid}); err != nil {
			return fmt.Errorf("gid %d: %w", gid, err)
		}
		if err := syscall.Setgid(gid); err != nil {
			return fmt.Errorf("gid %d: %w", gid, err)
		}
	}
	if uid != 0 {
		if err := syscall.Setuid(uid); err != nil {
			return fmt.Errorf("uid %d: %w", uid, err)
		}
	}
	return nil
}

// commandLine divides a command into words, with the quoting of the configuration language.
func commandLine(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	f := config.Parse("", []byte("x "+s+"\n"))
	return f.Lines[0].Words[1:]
}

// userSource returns the users that may use the API: those of the settings, else a userlist, read again when its file
// changes. in tells who could use it with another configuration, and is nil where that makes no difference.
func userSource(s *settings.Settings, st *store.Store, log *slog.Logger) (users func() []auth.User, in func(text []byte) []auth.User) {
	if len(s.API.Users) > 0 {
		var users []auth.User
		for _, u := range s.API.Users {
			users = append(users, auth.User{Name: u.Name, Password: u.Password, Plain: u.Insecure})
		}
		warnHashes(users, log)
		return func() []auth.User { return users }, nil
	}
	name := s.API.Userlist.Name
	if name == "" {
		name = "controller"
	}
	if s.API.Userlist.File == "" && !s.API.Userlist.AllowEmpty {
		in = func(text []byte) []auth.User {
			list, _ := auth.FromUserlist(config.Parse("", text), name)
			return list
		}
	}
	var mu sync.Mutex
	var last []byte
	var now []auth.User
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
			now, _ = auth.FromUserlist(config.Parse("", data), name)
			warnHashes(now, log)
		}
		return now
	}, in
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
