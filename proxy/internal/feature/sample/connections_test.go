package sample

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// What is no text becomes bytes for converters of those, as in HAProxy.
func TestBytesOfNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"int(10),hex":    "000000000000000A",
		"int(-1),hex":    "FFFFFFFFFFFFFFFF",
		"bool(true),hex": "0000000000000001",
		"int(3),base64":  "AAAAAAAAAAM=",
		"str(ab),hex":    "6162",
	} {
		e, err := Parse(&conf.Ctx{}, text)
		if err != nil {
			t.Fatal(err)
		}
		var v Value
		sc := new(stream.Scope)
		if ok := e.Eval(sc, &v); !ok || string(v.Text(sc)) != want {
			t.Errorf("%s: %q, want %q", text, v.Text(sc), want)
		}
	}
}

func TestConnErrors(t *testing.T) {
	for id, want := range map[int]string{0: "Success", 15: "Received something which does not look like a PROXY protocol header", 34: "SSL handshake failure", 56: "EPIPE returned by OS", 57: "", -1: ""} {
		if got := ConnErrorText(id); got != want {
			t.Errorf("%d: %q", id, got)
		}
	}
	if len(connErrors) != 57 {
		t.Error("the table is not the manual's")
	}
}
