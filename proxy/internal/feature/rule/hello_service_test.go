package rule_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/testing/bed"
	"github.com/forebay-lb/forebay/proxy/internal/testing/tcptest"
)

// helloService answers inside the proxy.
type helloService struct{}

func init() {
	conf.RegisterService(conf.ServiceKind{Name: "hello", Make: func(*conf.Ctx) (stream.Service, error) { return helloService{}, nil }})
}

// Name is what logs have for a server.
func (helloService) Name() string { return "<HELLO>" }

// Serve makes the head of the answer and gives the source of its body.
func (helloService) Serve(st *stream.Stream) stream.Source {
	st.Res.AddString("content-type", "text/plain")
	return (&stream.Reply{Status: 200, Body: []byte("hello yourself")}).Serve(st)
}

// To add a service.
func TestHelloService(t *testing.T) {
	front := tcptest.Reserve(t).String()
	bed.Start(t, 1, "defaults\n mode http\n timeout client 9s\n timeout server 9s\n timeout connect 9s\nfrontend f\n bind "+front+"\n http-request use-service hello\n")
	res, err := http.Get("http://" + front)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "hello yourself" || err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%q, %v, %v", body, err, res)
	}
}
