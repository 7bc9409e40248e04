package conf_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// helloFilter is all that a filter needs: what a line makes of it, its part in a
// stream, and the source that it puts in the way.
type helloFilter struct{ greeting string }

func init() {
	conf.RegisterFilter(conf.FilterKind{Name: "hello", Class: "HELLO", Parse: func(c *conf.Ctx, args []string) (stream.Filter, error) {
		if len(args) != 1 {
			return nil, fmt.Errorf("'hello' : a greeting is expected as argument")
		}
		return &helloFilter{args[0]}, nil
	}})
	conf.RegisterFilter(conf.FilterKind{Name: "bonjour", Class: "HELLO", Parse: func(c *conf.Ctx, args []string) (stream.Filter, error) {
		return &helloFilter{args[0]}, nil
	}})
	conf.RegisterService(conf.ServiceKind{Name: "hello", Make: func(*conf.Ctx) (stream.Service, error) { return nil, nil }}) // for the list
}

func (f *helloFilter) Attach(*stream.Stream) stream.Link { return &helloLink{f: f} }

// helloLink greets the client in front of each response. All else passes.
type helloLink struct {
	stream.Passing
	f *helloFilter
}

func (l *helloLink) Response(st *stream.Stream, body stream.Source) stream.Source {
	if body == nil {
		return nil // no body, as of HEAD
	}
	h := &st.Res.Header
	h.AddString("x-greeting", l.f.greeting)
	if h.Framing == message.Length {
		h.ContentLength += int64(len(l.f.greeting))
	}
	return &helloSource{Source: body, greeting: []byte(l.f.greeting)}
}

type helloSource struct {
	stream.Source
	greeting []byte
}

func (s *helloSource) Next(max int) ([]byte, bool, error) {
	if len(s.greeting) == 0 {
		return s.Source.Next(max)
	}
	p := s.greeting[:min(max, len(s.greeting))]
	s.greeting = s.greeting[len(p):]
	return p, false, nil
}

func (s *helloSource) Ready() bool { return len(s.greeting) > 0 || s.Source.Ready() }

func TestHelloFilter(t *testing.T) {
	addr := tcptest.Serve(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nworld")
		c.Close()
	})
	front := tcptest.Reserve(t).String()
	bed.Start(t, 1, "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nlisten l\n bind "+front+"\n filter hello one,\n filter hello two,\n server s "+addr+"\n")
	res, err := http.Get("http://" + front)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "two,one,world" || err != nil || res.ContentLength != 13 || len(res.Header["X-Greeting"]) != 2 {
		t.Errorf("%q, %v, %v", body, err, res)
	}
}

// Filters work in the order that is said for the direction, and only those that it
// names. Filters of the other proxy keep theirs.
func TestFilterSequence(t *testing.T) {
	addr := tcptest.Serve(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nworld")
		c.Close()
	})
	for lines, want := range map[string]string{
		"":                                       "four,three,two,one,world",
		"filter-sequence response bonjour,hello": "four,three,one,two,world",
		"filter-sequence response hello":         "four,three,one,world",
		"filter-sequence response bonjour":       "four,three,two,world",
		"filter-sequence request bonjour":        "four,three,two,one,world",
		"filter-sequence request hello\n filter-sequence response hello,bonjour":         "four,three,two,one,world",
		"filter-sequence response bonjour\n filter-sequence response bonjour,hello":      "four,three,one,two,world",
		"filter-sequence response bonjour,hello\n filter-sequence request bonjour,hello": "four,three,one,two,world",
	} {
		front := tcptest.Reserve(t).String()
		bed.Start(t, 1, "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend l\n bind "+front+"\n filter hello one,\n filter bonjour two,\n "+
			lines+"\n default_backend b\nbackend b\n filter hello three,\n filter hello four,\n filter-sequence response hello\n server s "+addr+"\n")
		res, err := http.Get("http://" + front)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != want || err != nil || int(res.ContentLength) != len(want) {
			t.Errorf("%s: %q, %v", lines, body, err)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	for line, want := range map[string]string{
		"filter":        "missing argument for 'filter' in frontend 'f'.",
		"filter nosuch": "'filter' : unknown keyword 'nosuch'. Registered keywords :\n    [HELLO] bonjour\n    [HELLO] hello",
		"filter hello":  "'filter' : 'hello' : a greeting is expected as argument",
		"filter trace":  "filter 'trace' of HAProxy 3.4 is not supported by Forebay yet",

		"filter-sequence":                                       "missing argument for 'filter-sequence' in frontend 'f'.",
		"filter-sequence request":                               "missing argument for 'filter-sequence' in frontend 'f'.",
		"filter-sequence nosuch x":                              "expected either 'request' or 'response' for 'filter-sequence' in frontend 'f'.",
		"filter-sequence request trac":                          "f: error while postparsing request filter-sequence 'trac' : invalid filter name: 'trac' is not defined on the proxy",
		"filter hello a\n filter-sequence response hello,hello": "f: error while postparsing response filter-sequence 'hello,hello' : invalid filter name: 'hello' stands twice",
	} {
		_, d := loadText("frontend f\n bind 127.0.0.1:1\n " + line + "\n")
		text := ""
		for _, x := range d.All() {
			text += x.String() + "\n"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %s", line, text, want)
		}
	}
	if _, d := loadText("defaults\n filter hello a\n"); !d.HasErrors() {
		t.Error("filter is taken in a defaults section")
	}
	var sb strings.Builder
	if conf.DumpKeywords(&sb, "flt,svc"); sb.String() != "# List of registered filter names:\nbonjour [HELLO]\nhello [HELLO]\n# List of registered service names:\nhello\n" {
		t.Error(sb.String())
	}
}
