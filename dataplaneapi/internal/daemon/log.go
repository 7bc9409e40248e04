package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
)

// loggers are the program's own log, and that of the requests; access is nil when no target is for requests alone: they are
// in the log then, for those who debug.
func loggers(targets []settings.LogTarget) (app, access *slog.Logger, closeAll func(), err error) {
	if len(targets) == 0 {
		targets = []settings.LogTarget{{To: "stderr"}}
	}
	var apps, accesses []slog.Handler
	var files []io.Closer
	closeAll = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, t := range targets {
		h, f, err := target(t)
		if err != nil {
			closeAll()
			return nil, nil, nil, err
		}
		if f != nil {
			files = append(files, f)
		}
		if t.Types.App || !t.Types.Access {
			apps = append(apps, h)
		}
		if t.Types.Access {
			accesses = append(accesses, h)
		}
	}
	if len(accesses) > 0 {
		access = slog.New(slog.NewMultiHandler(accesses...))
	}
	return slog.New(slog.NewMultiHandler(apps...)), access, closeAll, nil
}

func target(t settings.LogTarget) (slog.Handler, io.Closer, error) {
	level := t.Level
	if t.To == "syslog" && t.SyslogLevel != "" {
		level = t.SyslogLevel
	}
	opt := &slog.HandlerOptions{}
	switch level {
	case "", "info":
		opt.Level = slog.LevelInfo
	case "trace", "debug":
		opt.Level = slog.LevelDebug
	case "warning", "warn":
		opt.Level = slog.LevelWarn
	case "error":
		opt.Level = slog.LevelError
	default:
		return nil, nil, fmt.Errorf("log_level %q: trace, debug, info, warning or error", level)
	}
	form := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, opt) }
	switch t.Format {
	case "", "text":
	case "json", "JSON":
		form = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, opt) }
	default:
		return nil, nil, fmt.Errorf("log_format %q: text or json", t.Format)
	}
	switch t.To {
	case "", "stdout":
		return form(os.Stdout), nil, nil
	case "stderr":
		return form(os.Stderr), nil, nil
	case "file":
		f, err := os.OpenFile(filepath.Clean(t.File), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, nil, err
		}
		return form(f), f, nil
	case "syslog":
		return toSyslog(t, opt, form)
	}
	return nil, nil, fmt.Errorf("log_to %q: stdout, stderr, file or syslog", t.To)
}

var facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "", "",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

// toSyslog sends each record with its level as the severity.
func toSyslog(t settings.LogTarget, opt *slog.HandlerOptions, form func(io.Writer) slog.Handler) (slog.Handler, io.Closer, error) {
	facility := 16 // local0
	if t.SyslogFacility != "" {
		facility = -1
		for i, name := range facilities {
			if name == strings.ToLower(t.SyslogFacility) {
				facility = i
			}
		}
		if facility < 0 {
			return nil, nil, fmt.Errorf("syslog_facility %q: kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, authpriv, ftp, or local0 to local7", t.SyslogFacility)
		}
	}
	tag, proto, address := t.SyslogTag, t.SyslogProtocol, t.SyslogAddress
	if tag == "" {
		tag = "dataplaneapi"
	}
	if address != "" && !strings.HasPrefix(proto, "unix") {
		port := t.SyslogPort
		if port == 0 {
			port = 514
		}
		if proto == "" {
			proto = "udp"
		}
		address = net.JoinHostPort(address, strconv.Itoa(port))
	}
	if address == "" {
		proto = ""
	}
	w, err := syslog.Dial(proto, address, syslog.Priority(facility<<3)|syslog.LOG_INFO, tag)
	if err != nil {
		return nil, nil, fmt.Errorf("log_to syslog: %w", err)
	}
	s := &toSys{w: w}
	s.Handler, s.lines = form(&s.buf), &sync.Mutex{}
	return s, w, nil
}

// toSys formats a record, and sends it by its level.
type toSys struct {
	slog.Handler
	lines *sync.Mutex
	buf   bytes.Buffer
	w     *syslog.Writer
}

func (s *toSys) Handle(ctx context.Context, r slog.Record) error {
	s.lines.Lock()
	defer s.lines.Unlock()
	s.buf.Reset()
	if err := s.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := strings.TrimSpace(s.buf.String())
	switch {
	case r.Level >= slog.LevelError:
		return s.w.Err(line)
	case r.Level >= slog.LevelWarn:
		return s.w.Warning(line)
	case r.Level >= slog.LevelInfo:
		return s.w.Info(line)
	}
	return s.w.Debug(line)
}

// WithAttrs and WithGroup are not used by this program: its loggers are used as they are.
func (s *toSys) WithAttrs([]slog.Attr) slog.Handler { return s }

// WithGroup does nothing.
func (s *toSys) WithGroup(string) slog.Handler { return s }
