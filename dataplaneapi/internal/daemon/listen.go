package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/settings"
)

// endpoint is one place where the API is served.
type endpoint struct {
	net.Listener
	server *http.Server
}

// listen opens the places that the settings name.
func listen(s *settings.Settings) (out []endpoint, err error) {
	defer func() {
		if err != nil {
			for _, e := range out {
				e.Close()
			}
		}
	}()
	for _, scheme := range s.API.Scheme {
		limit, keep, read, write := s.API.ListenLimit, s.API.KeepAlive, s.API.ReadTimeout, s.API.WriteTimeout
		host, port, over := s.API.Host, s.API.Port, (*tls.Config)(nil)
		if t := s.API.TLS; scheme == "https" {
			limit, keep, read, write, host, port = t.ListenLimit, t.KeepAlive, t.ReadTimeout, t.WriteTimeout, t.Host, t.Port
			if over, err = secure(t.Certificate, t.Key, t.CA); err != nil {
				return out, err
			}
		}
		if keep == 0 {
			keep = -1
		}
		var l net.Listener
		if scheme == "unix" {
			l, err = listenUnix(s.API.SocketPath)
		} else {
			lc := net.ListenConfig{KeepAlive: keep}
			l, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		}
		if err != nil {
			return out, err
		}
		l = newGate(l, limit)
		if over != nil {
			l = tls.NewListener(l, over)
		}
		out = append(out, endpoint{l, &http.Server{
			ReadHeaderTimeout: 10 * time.Second, ReadTimeout: read, WriteTimeout: write, IdleTimeout: s.API.Cleanup,
			MaxHeaderBytes: int(s.API.MaxHeader), ConnState: state, ConnContext: withGuest,
		}})
	}
	return out, nil
}

func secure(cert, key, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if ca == "" {
		return c, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate of an authority", ca)
	}
	return c, nil
}

// listenUnix opens a socket. One that nobody listens on is left over from before.
func listenUnix(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err == nil {
		return l, nil
	}
	if fi, e := os.Lstat(path); e != nil || fi.Mode().Type() != fs.ModeSocket {
		return nil, err
	}
	if c, e := net.Dial("unix", path); e == nil {
		c.Close()
		return nil, err
	}
	if e := os.Remove(path); e != nil {
		return nil, errors.Join(err, e)
	}
	return net.Listen("unix", path)
}

// serve answers until the context ends.
func serve(ctx context.Context, all []endpoint, handler http.Handler, log *slog.Logger, grace time.Duration) error {
	failed := make(chan error, len(all))
	for _, e := range all {
		e.server.Handler, e.server.ErrorLog = handler, slog.NewLogLogger(log.Handler(), slog.LevelInfo)
		go func() { failed <- e.server.Serve(e.Listener) }()
	}
	select {
	case err := <-failed:
		for _, e := range all {
			e.server.Close()
		}
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	end, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var err error
	for _, e := range all {
		err = errors.Join(err, e.server.Shutdown(end))
	}
	return err
}
