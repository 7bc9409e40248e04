package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/ladder"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtimetest"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
)

// A file that the proxy has in memory as more than one thing is replaced everywhere, or nowhere.
func TestReplaceLive(t *testing.T) {
	const file = "/etc/lb/site.pem"
	const stores = "global\n crt-base /etc/lb\n key-base /etc/lb\ncrt-store web\n load crt other.pem\n load crt site.pem alias site key site.key\n" +
		"crt-store\n crt-base /elsewhere\n load crt site.pem\ncrt-store twice\n load crt site.pem\n load crt $SITE alias site.pem\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(stores), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := store.Open(&store.Store{Path: filepath.Join(dir, "haproxy.cfg"), Dir: filepath.Join(dir, "state"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		certs string // in the proxy's memory
		cas   string
		path  string
		no    string // the commit that is refused, with its new content
		want  []string
		err   bool
	}{
		{name: "certificate", certs: file, path: file, want: []string{"cert " + file + " new"}},
		{name: "relative", certs: "site.pem", path: filepath.Join(config.Path, "..", "site.pem"), want: []string{"cert site.pem new"}},
		{name: "key beside", certs: file, path: file + ".key", want: []string{"cert " + file + ".key new"}},
		{name: "both", certs: file, cas: file, path: file, want: []string{"cert " + file + " new", "ca-file " + file + " new"}},
		{name: "second refused", certs: file, cas: file, path: file, no: "ca-file", err: true, want: []string{"cert " + file + " new", "cert " + file + " old"}},
		{name: "first refused", certs: file, cas: file, path: file, no: "cert", err: true},
		{name: "another file", certs: "/etc/lb/other.pem", path: file, err: true},
		{name: "of a store", certs: "@web/site", path: file, want: []string{"cert @web/site new"}},
		{name: "of a store and alone", certs: "@web/other.pem\n@web/site\n" + file, path: file, want: []string{"cert @web/site new", "cert " + file + " new"}},
		{name: "another of a store", certs: "@web/other.pem\n" + file, path: file, want: []string{"cert " + file + " new"}},
		{name: "base of the store", certs: "@/site.pem", path: file, err: true},
		{name: "file at the base of the store", certs: "@/site.pem", path: "/elsewhere/site.pem", want: []string{"cert @/site.pem new"}},
		{name: "key of a store", certs: "@web/site", path: "/etc/lb/site.key", err: true},
		{name: "not told by the configuration", certs: "@twice/site.pem\n" + file, path: file, err: true},
		{name: "of an unknown store", certs: "@nowhere/site\n" + file, path: file, err: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var open, content string
			var got []string
			sock := runtimetest.New(t, func(command, payload string) string {
				w := append(strings.Fields(command), "", "")
				names := map[string]string{"cert": c.certs, "ca-file": c.cas}[w[2]]
				switch w[0] {
				case "show":
					if w[2] == "ca-file" && names != "" {
						names += " - 1 certificate(s)"
					}
					return "# transaction\n# filename\n" + names
				case "set":
					open, content = w[3], strings.TrimSpace(payload)
					of := strings.TrimSuffix(open, ".key")
					return fmt.Sprintf("Transaction created for certificate %s!", of)
				case "commit":
					if w[2] == c.no && content == "new" {
						return "no!\nFailed!"
					}
					got = append(got, w[2]+" "+open+" "+content)
					return "Committing " + w[3] + ".\nSuccess!"
				}
				return ""
			})
			s := &Server{Store: config, Ladder: &ladder.Ladder{}}
			err := s.replaceLive(c.path, []byte("old\n"), []byte("new\n"))(t.Context(), runtime.At(sock.Path))
			if (err != nil) != c.err {
				t.Error(err)
			}
			if c.err && c.no == "" && !errors.Is(err, ladder.ErrNotLive) {
				t.Errorf("%v is not that there are no commands", err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("committed %q, want %q", got, c.want)
			}
		})
	}
}
