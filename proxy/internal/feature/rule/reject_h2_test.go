package rule_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/forebay-lb/forebay/proxy/internal/testing/oracle"
)

// rejected has a client send two requests, of which a rule rejects the second, and
// gives what the client is told of that one and of the connection, until it ends.
func rejected(t *testing.T, s *oracle.Side) (told []string) {
	c, err := net.Dial("tcp", s.Addr("h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&out, c)
	f.WriteSettings()
	for i, path := range []string{"/waits", "/no"} {
		var head bytes.Buffer
		enc := hpack.NewEncoder(&head)
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "a"}} {
			enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
	}
	c.Write(out.Bytes())
	for {
		x, err := f.ReadFrame()
		if err != nil {
			if err != io.EOF {
				told = append(told, err.Error())
			}
			return told
		}
		switch x := x.(type) {
		case *http2.RSTStreamFrame:
			if x.StreamID == 3 {
				told = append(told, "RST_STREAM "+x.ErrCode.String())
			}
		case *http2.GoAwayFrame:
			told = append(told, fmt.Sprintf("GOAWAY %d %s", x.LastStreamID, x.ErrCode))
		case *http2.HeadersFrame, *http2.DataFrame:
			told = append(told, x.Header().String())
		}
	}
}

// Whose request the rules on contents reject is told so over HTTP/2, and loses the
// connection, as with HAProxy.
func TestContentRejectOverH2(t *testing.T) {
	both := oracle.Run(t, oracle.Head+`
frontend ready
  bind {ready}
frontend f
  bind {h2} proto h2
  timeout tarpit 60s
  tcp-request inspect-delay 10s
  tcp-request content reject if { path /no }
  http-request tarpit if { path /waits }
`)
	ours, theirs := rejected(t, both[0]), rejected(t, both[1])
	if want := []string{"RST_STREAM ENHANCE_YOUR_CALM", "GOAWAY 3 ENHANCE_YOUR_CALM"}; !slices.Equal(ours, want) || !slices.Equal(theirs, want) {
		t.Errorf("we say %q, HAProxy %q", ours, theirs)
	}
}
