package resource

import (
	"encoding/json"
	"testing"

	apispec "github.com/forebay-lb/forebay/api-spec"
	"github.com/forebay-lb/forebay/proxy/config"
)

// FuzzLine: whatever a line says, what was read can be written, and reads the same again.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"server s1 127.0.0.1:80 check inter 2s weight 10", "bind :80-90 name x ssl crt a crt b", "acl a path_beg /x", "log 1.2.3.4 len 5 local0 info err",
		"http-request return status 200 hdr a b", "http-request set-var(txn.a) src", "use_backend a if { b }", "no log", "option httpchk GET / HTTP/1.1\\r\\nHost:\\ x",
		"balance hdr(x)", "timeout client 5s", "option forwardfor except 1.2.3.4", "cookie a insert indirect", "server s [::1]:80 source 1.2.3.4 usesrc clientip",
	} {
		f.Add(s)
	}
	api, err := Load(apispec.Files)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		file := config.Parse("t", []byte("backend x\n"+s+"\n"))
		for _, l := range file.Lines[1:] {
			for _, r := range api.Resources {
				if r.line == nil {
					r.find(l.Words)
					continue
				}
				obj, ok := r.line.decode(l.Words)
				if !ok {
					continue
				}
				if words, err := r.line.encode(obj, l.Words); err == nil {
					again, ok := r.line.decode(words)
					if !ok || !equal(again, obj) {
						t.Fatalf("%q: %v is written as %q, which is %v", l.Words, obj, words, again)
					}
				}
			}
		}
	})
}

// FuzzObject: whatever a client sends, one line comes out of it, or an error.
func FuzzObject(f *testing.F) {
	f.Add("server", `{"name":"s","address":"h","port":80,"inter":2000,"proxy-v2-options":["ssl"]}`)
	f.Add("http_request_rule", `{"type":"return","return_status_code":200,"return_hdrs":[{"name":"a","fmt":"b"}],"cond":"if","cond_test":"x"}`)
	f.Add("log_target", `{"address":"a","facility":"local0","sample_range":"1","sample_size":2}`)
	f.Add("acl", `{"acl_name":"a","criterion":"b","value":"c d"}`)
	api, err := Load(apispec.Files)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		var obj map[string]any
		r := api.ByName[name]
		if r == nil || r.line == nil || json.Unmarshal([]byte(text), &obj) != nil {
			return
		}
		words, err := r.line.encode(obj, nil)
		if err != nil {
			return
		}
		file := config.Parse("t", []byte("frontend x\n    mode http\nbackend y\n"))
		s := file.Sections()[0]
		s.Append(words...)
		again := config.Parse("t", file.Bytes())
		if n := len(again.Sections()); n != 2 {
			t.Fatalf("%q: %d sections\n%s", words, n, file.Bytes())
		}
		if len(again.Lines) != 4 {
			t.Fatalf("%q: %d lines\n%s", words, len(again.Lines), file.Bytes())
		}
	})
}
