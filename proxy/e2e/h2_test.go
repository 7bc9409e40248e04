package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// newH2Origin is an origin that speaks HTTP/2 in clear, and HTTP/1. It says
// "hello" and tells the version that it was asked in.
func newH2Origin(t *testing.T) string {
	addr := address(t)
	s := &http.Server{Addr: addr, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", r.Proto)
		fmt.Fprint(w, "hello\n")
	})}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.ListenAndServe()
	t.Cleanup(func() { s.Close() })
	until(t, "the origin listens", func() bool {
		res, err := http.Get("http://" + addr)
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	return addr
}

// h2shop listens in clear and under TLS, in front of servers of both versions.
type h2shop struct {
	*proxy
	clear, secure, toH2 string
	only                string // HTTP/2 and nothing else
}

func newH2Shop(t *testing.T, path string, extra ...string) *h2shop {
	t.Helper()
	o := newH2Origin(t)
	s := &h2shop{clear: address(t), secure: address(t), toH2: address(t), only: address(t)}
	dir := scratch(t)
	pem := certtest.Write(t, dir, "site.pem", certtest.SelfSigned(t, "localhost", certtest.Names("localhost")).PEM(t))
	s.proxy = serveIn(t, path, dir, preface+strings.Join(extra, "\n")+fmt.Sprintf(`
frontend web
    bind %s
    bind %s ssl crt %s alpn h2,http/1.1
    bind %s proto h2
    default_backend app

frontend both
    bind %s
    default_backend app2

backend app
    server s1 %s

backend app2
    server s1 %s proto h2
`, s.clear, s.secure, pem, s.only, s.toH2, o, o))
	return s
}

// TestH2Spec runs the conformance tests of h2spec against a clear and a TLS
// listener.
func TestH2Spec(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-o", bin, "github.com/summerwind/h2spec/cmd/h2spec")
	build.Dir = filepath.Join(root, "proxy")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	s := newH2Shop(t, forebay)
	for _, c := range []struct {
		name, addr string
		flags      []string
	}{{"clear", s.only, nil}, {"tls", s.secure, []string{"-t", "-k"}}} {
		t.Run(c.name, func(t *testing.T) {
			host, port, _ := strings.Cut(c.addr, ":")
			code, out := result(t, bin, append([]string{"-h", host, "-p", port, "-o", "5", "--strict"}, c.flags...)...)
			m := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindStringSubmatch(out)
			if code != 0 || m == nil || m[4] != "0" {
				t.Errorf("h2spec ended with %d:\n%s", code, out[max(0, len(out)-6000):])
			} else {
				t.Log(m[0])
			}
		})
	}
}

// The clients that people have: curl, nghttp, h2load.
func TestH2Clients(t *testing.T) {
	s := newH2Shop(t, forebay)
	curl, nghttp, h2load := tool(t, "curl"), tool(t, "nghttp"), tool(t, "h2load")
	for _, c := range []struct {
		name, url string
		flags     []string
		client    string // version that curl reports
		server    string // version that the origin was asked in
	}{
		{"prior knowledge", "http://" + s.clear, []string{"--http2-prior-knowledge"}, "2", "HTTP/1.1"},
		{"upgrade", "http://" + s.clear, []string{"--http2"}, "1.1", "HTTP/1.1"}, // which is not met
		{"HTTP/1 in clear", "http://" + s.clear, []string{"--http1.1"}, "1.1", "HTTP/1.1"},
		{"ALPN", "https://" + s.secure, []string{"-k", "--http2"}, "2", "HTTP/1.1"},
		{"HTTP/1 by ALPN", "https://" + s.secure, []string{"-k", "--http1.1"}, "1.1", "HTTP/1.1"},
		{"HTTP/1.0", "https://" + s.secure, []string{"-k", "--http1.0"}, "1", "HTTP/1.0"},
		{"to HTTP/2", "http://" + s.toH2, []string{"--http1.1"}, "1.1", "HTTP/2.0"},
		{"HTTP/2 to HTTP/2", "http://" + s.toH2, []string{"--http2-prior-knowledge"}, "2", "HTTP/2.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out := result(t, curl, append(c.flags, "-s", "-S", "-w", "%{http_version} %header{x-version} %{http_code}", c.url+"/")...)
			if want := "hello\n" + c.client + " " + c.server + " 200"; code != 0 || out != want {
				t.Errorf("%d %q, want %q", code, out, want)
			}
		})
	}
	t.Run("nghttp", func(t *testing.T) {
		code, out := result(t, nghttp, "-n", "-v", "-m", "20", "http://"+s.clear+"/a", "http://"+s.clear+"/b")
		if n := strings.Count(out, ":status: 200"); code != 0 || n != 40 {
			t.Errorf("%d, %d answers\n%s", code, n, out)
		}
	})
	t.Run("nghttp upgrade", func(t *testing.T) {
		_, out := result(t, nghttp, "-n", "-v", "-u", "http://"+s.clear+"/a")
		if !strings.Contains(out, "HTTP/1.1 200 OK") || strings.Contains(out, ":status:") {
			t.Errorf("%s", out)
		}
	})
	for name, url := range map[string]string{"clear": "http://" + s.clear, "tls": "https://" + s.secure, "to HTTP/2": "http://" + s.toH2} {
		t.Run("h2load "+name, func(t *testing.T) {
			code, out := result(t, h2load, "-n", "20000", "-c", "10", "-m", "50", url+"/")
			if code != 0 || !strings.Contains(out, "20000 done, 20000 succeeded, 0 failed, 0 errored") {
				t.Errorf("%d\n%s", code, out)
			}
		})
	}
	if p := s.info("CumReq"); p == "0" {
		t.Error("nothing was counted")
	}
	s.noServerErrors()
}
