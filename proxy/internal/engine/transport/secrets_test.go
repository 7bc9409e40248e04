package transport

import (
	"bytes"
	"testing"
)

// record makes one of a ServerHello.
func record(random, session []byte) []byte {
	b := append([]byte{helloType, 0, 0, byte(2 + 32 + 1 + len(session)), 3, 3}, random...)
	b = append(append(b, byte(len(session))), session...)
	return append([]byte{handshakeType, 3, 3, 0, byte(len(b))}, b...)
}

func TestServerHello(t *testing.T) {
	random, id := bytes.Repeat([]byte{7}, 32), []byte("session")
	hello := record(random, id)
	change := []byte{20, 3, 3, 0, 1, 1}
	for what, k := range map[string]struct {
		said    []byte
		session string
		none    bool
	}{
		"usual":       {append(hello, 22, 3, 3), "session", false},
		"after retry": {bytes.Join([][]byte{record(retry[:], nil), change, hello}, nil), "session", false},
		"no session":  {record(random, nil), "", false},
		"cut":         {hello[:len(hello)-3], "sess", false},
		"only retry":  {record(retry[:], id), "", true},
		"an alert":    {[]byte{21, 3, 3, 0, 2, 2, 40}, "", true},
		"too short":   {hello[:40], "", true},
		"nothing":     {nil, "", true},
	} {
		s := new(secrets)
		s.keepHello(k.said)
		r, session := s.serverHello()
		if (r == nil) != k.none || !k.none && !bytes.Equal(r, random) || string(session) != k.session {
			t.Errorf("%s: %x, %q", what, r, session)
		}
	}
	s := new(secrets)
	for range 10 {
		s.keepHello(make([]byte, 100))
	}
	if len(s.hello) != maxServerHello {
		t.Errorf("%d bytes are kept", len(s.hello))
	}
}

func FuzzServerHello(f *testing.F) {
	f.Add(record(make([]byte, 32), []byte("session")))
	f.Add(append(record(retry[:], nil), record(make([]byte, 32), nil)...))
	f.Fuzz(func(t *testing.T, said []byte) {
		s := new(secrets)
		s.keepHello(said)
		if r, session := s.serverHello(); len(r) != 0 && len(r) != 32 || len(session) > 255 || r == nil && session != nil {
			t.Errorf("%x, %x", r, session)
		}
	})
}
