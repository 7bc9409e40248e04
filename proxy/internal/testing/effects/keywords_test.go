package effects_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"        // the keywords
	_ "github.com/forebay-lb/forebay/proxy/internal/process/master" // and those of processes
	"github.com/forebay-lb/forebay/proxy/internal/testing/certtest"
)

// linesText has a line for each keyword of HAProxy 3.4: kind, keyword, line.
//
//go:embed testdata/lines.tsv
var linesText string

// lines are ours, for keywords where the one above is no use: it says what holds
// anyway, or names what there is not. After two sharps stands what to compare with,
// if that is not the absence of the line.
var lines = map[string]string{
	"bind":                                        "bind 127.0.0.1:36900 ## #",
	"http-response capture":                       "declare capture response len 5\n http-response capture res.hdr(x) id 0 ## declare capture response len 5",
	"http-after-response capture":                 "declare capture response len 5\n http-after-response capture res.hdr(x) id 0 ## declare capture response len 5",
	"tcp-request content capture":                 "tcp-request content capture src len 5",
	"bind alpn":                                   "bind * alpn h2",
	"bind ca-ignore-err":                          "bind * ca-ignore-err all",
	"bind ca-sign-pass":                           "bind * ca-sign-file c ca-sign-pass x generate-certificates ## bind * ca-sign-file c generate-certificates",
	"bind ca-verify-file":                         "bind * ca-file a ca-verify-file c verify required ## bind * ca-file a verify required",
	"bind ca-file":                                "bind * ca-file c verify optional ## bind * verify none",
	"bind ciphers":                                "bind * ciphers ECDHE-RSA-AES128-GCM-SHA256",
	"bind ciphersuites":                           "bind * ciphersuites TLS_AES_128_GCM_SHA256",
	"bind client-sigalgs":                         "bind * ca-file c verify optional client-sigalgs ECDSA+SHA256 ## bind * ca-file c verify optional",
	"bind ssl":                                    "bind 127.0.0.1:36900 ssl crt any ## bind 127.0.0.1:36900",
	"tcp-check send-binary-lf":                    "tcp-check send-binary-lf %[srv_name]",
	"filter-sequence":                             "filter bwlim-in i default-limit 1k default-period 1s\n filter-sequence request bwlim-in ## filter bwlim-in i default-limit 1k default-period 1s",
	"tcp-check send-lf":                           "tcp-check send-lf %[srv_name]",
	"server enabled":                              "server s1 127.0.0.1:36920 disabled enabled ## server s1 127.0.0.1:36920 disabled",
	"server hash-key":                             "server s1 127.0.0.1:36920 hash-key addr",
	"server rise":                                 "server s1 127.0.0.1:36920 rise 7",
	"server ws":                                   "server s1 127.0.0.1:36920 ws h1",
	"server fall":                                 "server s1 127.0.0.1:36920 fall 7",
	"bind crl-file":                               "bind * ca-file c verify optional crl-file crl ## bind * ca-file c verify optional",
	"bind crt":                                    "bind * crt other",
	"bind crt-ignore-err":                         "bind * crt-ignore-err all",
	"bind crt-list":                               "bind * crt-list list",
	"bind curves":                                 "bind * curves P-256",
	"bind default-crt":                            "bind * default-crt other",
	"bind ecdhe":                                  "bind * ecdhe secp384r1",
	"bind ech":                                    "bind * ech dir",
	"bind generate-certificates":                  "bind * ca-sign-file c generate-certificates ## bind * ca-sign-file c",
	"bind ca-sign-file":                           "bind * ca-sign-file c generate-certificates ## bind *",
	"bind ktls":                                   "bind * ktls on",
	"bind no-alpn":                                "bind * alpn h2 no-alpn ## bind * alpn h2",
	"bind no-strict-sni":                          "bind * strict-sni no-strict-sni ## bind * strict-sni",
	"bind npn":                                    "bind * npn h2",
	"bind shards":                                 "bind * shards by-thread",
	"bind sigalgs":                                "bind * sigalgs ECDSA+SHA256",
	"bind ssl-max-ver":                            "bind * ssl-max-ver TLSv1.2",
	"bind ssl-min-ver":                            "bind * ssl-min-ver TLSv1.3",
	"bind tls-ticket-keys":                        "bind * tls-ticket-keys tickets",
	"bind verify":                                 "bind * ca-file c verify required ## bind * ca-file c verify optional",
	"cookie":                                      "cookie C insert",
	"dynamic-cookie-key":                          "dynamic-cookie-key k",
	"default_backend":                             "default_backend b1",
	"enabled":                                     "disabled\n enabled ## disabled",
	"errorfile":                                   "errorfile 503 page",
	"global maxcompcpuusage":                      "maxcompcpuusage 50",
	"global maxcomprate":                          "maxcomprate 100",
	"global maxzlibmem":                           "maxzlibmem 100",
	"global cpu-map":                              "nbthread 1\n cpu-map auto:1/1 0 ## nbthread 1",
	"global default-path":                         "default-path origin /other",
	"global fd-hard-limit":                        "fd-hard-limit 500",
	"global strict-limits":                        "no strict-limits",
	"global thread-hard-limit":                    "thread-hard-limit 1",
	"global ulimit-n":                             "ulimit-n 500",
	"global gid":                                  "gid 5",
	"global group":                                "group root",
	"global issuers-chain-path":                   "issuers-chain-path dir",
	"global log":                                  "log 127.0.0.1 local0",
	"global max-spread-checks":                    "max-spread-checks 5s",
	"global maxsslrate":                           "maxsslrate 5",
	"global nbthread":                             "nbthread 7",
	"global node":                                 "node n",
	"global spread-checks":                        "spread-checks 5",
	"global ssl-dh-param-file":                    "ssl-dh-param-file dh",
	"global ssl-server-verify":                    "ssl-server-verify none",
	"global stats maxconn":                        "stats maxconn 5",
	"global stats socket":                         "stats socket /tmp/x",
	"global stats timeout":                        "stats timeout 5s",
	"global tune.bufsize":                         "tune.bufsize 32768",
	"global tune.maxrewrite":                      "tune.maxrewrite 2048",
	"global uid":                                  "uid 5",
	"global user":                                 "user root",
	"hash-preserve-affinity":                      "hash-preserve-affinity maxconn",
	"http-reuse":                                  "http-reuse always",
	"max-session-srv-conns":                       "max-session-srv-conns 3",
	"monitor fail":                                "monitor fail if TRUE",
	"rate-limit sessions":                         "rate-limit sessions 5",
	"tcp-request connection":                      "tcp-request connection accept",
	"timeout client":                              "timeout client 2s",
	"timeout connect":                             "timeout connect 2s",
	"timeout server":                              "timeout server 2s",
	"use_backend":                                 "use_backend b1 if TRUE",
	"global tune.h2.header-table-size":            "tune.h2.header-table-size 8192",
	"global tune.h2.max-concurrent-streams":       "tune.h2.max-concurrent-streams 7",
	"global tune.h2.max-frame-size":               "tune.bufsize 32768\n tune.h2.max-frame-size 20000 ## tune.bufsize 32768",
	"global tune.h2.be.max-concurrent-streams":    "tune.h2.be.max-concurrent-streams 7",
	"global tune.h2.fe.max-concurrent-streams":    "tune.h2.fe.max-concurrent-streams 7",
	"tcp-request connection expect-proxy":         "tcp-request connection expect-proxy layer4",
	"http-request set-bandwidth-limit":            "filter bwlim-in l1 default-limit 10k default-period 1s\n http-request set-bandwidth-limit l1 ## filter bwlim-in l1 default-limit 10k default-period 1s",
	"http-response set-bandwidth-limit":           "filter bwlim-out l1 default-limit 10k default-period 1s\n http-response set-bandwidth-limit l1 ## filter bwlim-out l1 default-limit 10k default-period 1s",
	"tcp-request content set-bandwidth-limit":     "filter bwlim-in l1 default-limit 10k default-period 1s\n tcp-request content set-bandwidth-limit l1 ## filter bwlim-in l1 default-limit 10k default-period 1s",
	"tcp-response content set-bandwidth-limit":    "filter bwlim-out l1 default-limit 10k default-period 1s\n tcp-response content set-bandwidth-limit l1 ## filter bwlim-out l1 default-limit 10k default-period 1s",
	"tcp-request content":                         "tcp-request content accept",
	"tcp-request session":                         "tcp-request session accept",
	"tcp-request inspect-delay":                   "tcp-request inspect-delay 5s",
	"tcp-response inspect-delay":                  "tcp-response inspect-delay 5s",
	"tcp-response content":                        "tcp-response content accept",
	"tcp-request connection expect-netscaler-cip": "tcp-request connection expect-netscaler-cip layer4",
}

// inert are keywords that leave the configuration as it is, and why. Whoever adds
// to this list has to have a reason that a user can read on the keyword's page.
var inert = map[string]string{
	"global cpu-policy":                 "only 'none' is taken: the kernel places threads, or 'cpu-map' does",
	"global default-path":               "it changes where files are found, and nothing else",
	"global thread-group":               "groups are counted and numbered; threads serve all alike, whatever their group",
	"global thread-groups":              "the same",
	"global tune.h2.zero-copy-fwd-send": "what it speaks of is always so: frames are gathered into one send",
	"bind shards":                       "only 'by-thread' is taken, which is how listeners are",
}

// anyFile opens whatever a line names: there is a key and a certificate in it.
type anyFile struct{ fstest.MapFS }

func (f anyFile) Open(name string) (fs.File, error) {
	switch name = strings.TrimPrefix(name, "/"); path.Ext(name) {
	case ".key", ".ocsp", ".issuer", ".sctl", ".rsa", ".ecdsa", ".dsa":
		return nil, fs.ErrNotExist
	}
	if _, err := f.MapFS.Open(name); err != nil {
		name = "any"
	}
	return f.MapFS.Open(name)
}

// dh are small parameters.
const dh = `-----BEGIN DH PARAMETERS-----
MEYCQQCu4ADjWHyVVFHdHT1KGVQfvaHV0SJ5NrT3Ndy1flJsummtgGYxSOKRNmh+
7n9+VTUfybeqqQriWxgCzZ3f9s6/AgEC
-----END DH PARAMETERS-----
`

// TestKeywordsChangeSomething: a keyword that is registered changes the graph that
// is served by. One that is accepted and does nothing is the worst of all.
func TestKeywordsChangeSomething(t *testing.T) {
	known := map[string]string{}
	for l := range strings.Lines(linesText) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		if name := bare(f[1]); known[name] == "" {
			known[name] = f[2]
		}
	}
	var registry bytes.Buffer
	if err := conf.DumpKeywords(&registry, "cfg"); err != nil {
		t.Fatal(err)
	}
	files := anyFile{fstest.MapFS{"any": {Data: []byte("")}}}
	pair := certtest.SelfSigned(t, "h.example")
	files.MapFS["any"].Data = append(pair.CertPEM(), pair.KeyPEM(t)...)
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n", "list": "any\n", "dir/a.pem": string(files.MapFS["any"].Data),
		"page": "HTTP/1.0 503 No\r\n\r\nno", "tickets": strings.Repeat(strings.Repeat("A", 64)+"\n", 3), "dh": dh,
		"crl": string(certtest.NewCA(t, "ca").CRL(t)),
	} {
		files.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	}
	kind := ""
	for l := range strings.Lines(registry.String()) {
		l = strings.TrimSuffix(l, "\n")
		if l[0] != '\t' {
			kind = l
			continue
		}
		if kind != "global" && kind != "listen" {
			continue
		}
		name := bare(strings.TrimPrefix(l, "\t"))
		key := name
		if kind == "global" {
			key = "global " + name
		}
		line := lines[key]
		if line == "" {
			line = known[name]
		}
		if line == "" {
			line = strings.Replace(name, "bind ", "bind * ", 1) // a word that says it all
		}
		changes, refused := false, ""
		if positive := strings.Replace(name, " no-", " ", 1); positive != name && known[positive] != "" && lines[key] == "" {
			line = known[positive] + strings.TrimPrefix(name, "server") + " ## " + known[positive] // it takes that back
		}
		tries := contexts[strings.Fields(name)[0]]
		if tries == nil || strings.Contains(line, "\n") {
			tries = []string{""}
		}
		for _, context := range tries {
			with, without, both := strings.Cut(strings.NewReplacer("{i}", "7", "{id}", "7").Replace(line), " ## ")
			if !both {
				without = bareLine(with)
			}
			fill := strings.NewReplacer("bind *", "bind 127.0.0.1:36900"+context, " 127.0.0.1:36900", " 127.0.0.1:36900"+context, " 127.0.0.1:36920", " 127.0.0.1:36920"+context)
			was, _ := describe(files, kind, fill.Replace(without))
			is, messages := describe(files, kind, fill.Replace(with))
			if is == "" {
				refused = messages
			} else if changes = was != is; changes {
				break
			}
		}
		switch reason := inert[key]; {
		case changes && reason != "":
			t.Errorf("%s: it does change something", key)
		case !changes && reason == "" && refused != "":
			if !strings.Contains(refused, "not available") && !strings.Contains(refused, "not supported") {
				t.Errorf("%s: %q: %s", key, line, refused)
			}
		case !changes && reason == "":
			t.Errorf("%s: %q changes nothing", key, line)
		}
	}
}

// contexts are what stands before the words of a line, some of which say nothing
// by themselves.
var contexts = map[string][]string{
	"bind":   {"", " ssl crt any"},
	"server": {"", " ssl verify none", " check", " ssl verify none check"},
}

// bare is the name in a line of the registry.
func bare(l string) string {
	l, _, _ = strings.Cut(l, " [")
	if i := strings.LastIndex(l, " +"); i > 0 {
		l = l[:i]
	}
	l = strings.TrimSuffix(l, "*")
	l = strings.Replace(l, "server <name> <addr> ", "server ", 1)
	return strings.TrimSpace(strings.Replace(l, "bind <addr> ", "bind ", 1))
}

// bareLine is a line without what it is to show.
func bareLine(line string) string {
	w := strings.Fields(line)
	switch {
	case w[0] == "bind":
		return "bind *"
	case w[0] == "server" && len(w) > 3:
		return strings.Join(w[:3], " ")
	}
	return "#"
}

// describe loads a configuration with a line in it, and writes down all that came
// of it. It is "" if the line is refused.
func describe(files fs.FS, kind, line string) (text, messages string) {
	global, listen := "#", "#"
	if kind == "global" {
		global = line
	} else {
		listen = line
	}
	cfg := "global\n " + global + "\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend b1\n" +
		"listen l\n bind 127.0.0.1:36901\n " + listen + "\n server one 127.0.0.1:1\n"
	snap, d := conf.Load(conf.Input{Sources: []*config.File{config.Parse("t.cfg", []byte(cfg))}, Files: files})
	for _, m := range d.All() {
		messages += m.Text + "; "
	}
	if snap == nil {
		return "", messages
	}
	w := &writer{seen: map[uintptr]int{}}
	w.value(reflect.ValueOf(snap), 0)
	return w.String() + messages, messages
}

// writer writes values down, whatever they are, without addresses.
type writer struct {
	strings.Builder
	seen map[uintptr]int
	// apart writes what several refer to each time, but for circles, and leaves out
	// positions that only the messages of a load are about.
	apart bool
}

func (w *writer) value(v reflect.Value, depth int) {
	if !v.IsValid() || depth > 60 {
		w.WriteString("nil")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			w.WriteString("nil")
			return
		}
		if n, was := w.seen[v.Pointer()]; was {
			fmt.Fprintf(w, "&%d", n)
			return
		}
		w.seen[v.Pointer()] = len(w.seen)
		w.value(v.Elem(), depth+1)
		if w.apart {
			delete(w.seen, v.Pointer())
		}
	case reflect.Interface:
		if v.IsNil() {
			w.WriteString("nil")
			return
		}
		w.WriteString(v.Elem().Type().String())
		w.value(v.Elem(), depth+1)
	case reflect.Struct:
		if p := v.Type().PkgPath(); p == "sync" || p == "crypto/x509" {
			return
		}
		if s := v.Type().String(); s == "conf.record" || s == "conf.Loading" {
			return // for the next load; of no effect
		}
		for i := range v.NumField() {
			if w.apart && v.Type().Field(i).Type == reflect.TypeFor[config.Pos]() {
				if s := v.Type().String(); s != "stream.Proxy" && s != "stream.Bind" && s != "stream.ServerLine" {
					continue
				}
			}
			switch v.Type().String() + "." + v.Type().Field(i).Name {
			case "stream.Proxy.Made", "pattern.store.lastID", "pattern.Entry.id":
				continue // other numbers each time
			}
			w.WriteString(v.Type().Field(i).Name + ":")
			w.value(v.Field(i), depth+1)
			w.WriteByte(' ')
		}
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(w, "[%d ", v.Len())
		for i := range v.Len() {
			w.value(v.Index(i), depth+1)
			w.WriteByte(',')
		}
		w.WriteByte(']')
	case reflect.Map:
		items := map[string]reflect.Value{}
		for it := v.MapRange(); it.Next(); {
			key := &writer{seen: map[uintptr]int{}, apart: w.apart}
			key.value(it.Key(), depth+1)
			items[key.String()] = it.Value()
		}
		for _, k := range slices.Sorted(maps.Keys(items)) {
			w.WriteString(k + "=")
			w.value(items[k], depth+1)
		}
	case reflect.Func:
		fmt.Fprintf(w, "func%x", v.Pointer())
	case reflect.String:
		fmt.Fprintf(w, "%q", v.String())
	case reflect.Bool:
		fmt.Fprint(w, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprint(w, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		fmt.Fprint(w, v.Uint())
	case reflect.Float32, reflect.Float64:
		fmt.Fprint(w, v.Float())
	}
}
