package cookie

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// exchange is one with a backend that has a server a of cookie c1.
func exchange() *stream.Stream {
	set := &server.Settings{Weight: 1, Addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: 1}}
	servers.Set(set, "c1")
	be := stream.NewBackState("b", 1, time.Unix(1e9, 0))
	s := server.New("b", "a", 1, 1, set, time.Unix(1e9, 0))
	be.SetServers([]*server.Server{s})
	st := new(stream.Stream)
	st.BE = &stream.Proxy{BE: be}
	st.Srv = s
	return st
}

// others are the pairs of a value that are not ours, or all of them.
func others(v []byte, ours string) (list []string) {
	first := true
	for prev := 0; prev < len(v); first = false {
		p := pairAt(v, prev, first, true)
		prev = p.next
		name, value := v[p.name:p.nameEnd], v[p.value:p.valueEnd]
		if p.bare() && len(name) == 0 || len(name) > 0 && name[0] == '$' || !p.bare() && string(name) == ours {
			continue
		}
		list = append(list, fmt.Sprintf("%q %t %q", name, p.bare(), value))
	}
	return list
}

// Whatever a client sends, the cookies of others stay, in their order, and ours goes if
// it is to go. What was edited is not edited again.
func FuzzCookie(f *testing.F) {
	for _, v := range []string{
		"", "SRV=c1", "a=1; SRV=c1; b=2", "SRV=c1;a=1;SRV=c2", `$Version="1"; SRV=c1; $Path=/; a="x;y"`, ";SRV=c1", "; ;", "SRV", " a = 1 ; SRV = c1 ,b", "SRV=c1~app", "SRV=~", "SRV=c1|ZVPxA|ZVPxA", "a=\"\\\";SRV=c1",
	} {
		f.Add([]byte(v), uint8(0))
		f.Add([]byte(v), uint8(3))
	}
	f.Fuzz(func(t *testing.T, v []byte, how uint8) {
		l := &line{name: "SRV", mode: mode(how % 4), indirect: how&4 != 0, maxIdle: int64(how & 8), maxLife: int64(how & 16)}
		st := exchange()
		st.Req.Add([]byte("cookie"), bytes.Clone(v))
		l.request(st)
		got := st.Req.Get("cookie")
		hides := l.mode == insert && l.indirect
		ours := ""
		if l.mode == prefix || hides {
			ours = "SRV"
		}
		if a, b := fmt.Sprint(others(v, ours)), fmt.Sprint(others(got, ours)); a != b {
			t.Fatalf("%q became %q: %s and not %s", v, got, b, a)
		}
		if len(got) > len(v) {
			t.Fatalf("%q became longer: %q", v, got)
		}
		if hides {
			first := true
			for prev := 0; prev < len(got); first = false {
				p := pairAt(got, prev, first, true)
				if prev = p.next; !p.bare() && string(got[p.name:p.nameEnd]) == "SRV" {
					t.Fatalf("%q became %q", v, got)
				}
			}
		}
		if l.mode != prefix {
			before := string(got)
			l.request(st)
			if again := st.Req.Get("cookie"); string(again) != before {
				t.Fatalf("%q became %q, and then %q", v, before, again)
			}
		}
	})
}

// Whatever a server sends, cookies of others stay as they are, and the client learns of
// ours what it is to.
func FuzzSetCookie(f *testing.F) {
	for _, v := range []string{"", "SRV=app; Path=/", " SRV = app ; Path=/", `SRV="a;b"; Path=/`, "SRV", "SRV=", "a=1; SRV=app", ";SRV=app", "SRV=a, SRV=b; x=\"c,d\", o=1"} {
		f.Add([]byte(v), uint8(2))
		f.Add([]byte(v), uint8(3))
	}
	f.Fuzz(func(t *testing.T, v []byte, how uint8) {
		l := &line{name: "SRV", mode: mode(how % 4), indirect: how&4 != 0, preserve: how&8 != 0, begin: "SRV=", end: "; path=/"}
		st := exchange()
		name := "set-cookie"
		if how&16 != 0 {
			name = "set-cookie2"
		}
		st.Res.Add([]byte(name), bytes.Clone(v))
		st.Res.Add([]byte("set-cookie"), []byte("other=1; Path=/"))
		l.response(st)
		if got := st.Res.Fields[1].Value; string(got) != "other=1; Path=/" {
			t.Fatalf("%q", got)
		}
		ours := 0
		for _, field := range st.Res.Fields {
			if p := pairAt(field.Value, 0, true, false); !p.bare() && string(field.Value[p.name:p.nameEnd]) == "SRV" {
				ours++
				value := field.Value[p.value:p.valueEnd]
				switch {
				case l.mode == insert && !l.preserve && string(value) != "c1",
					l.mode == rewrite && !l.preserve && string(value) != "c1",
					l.mode == prefix && !l.preserve && !bytes.HasPrefix(value, []byte("c1~")):
					t.Fatalf("%q became %q", v, field.Value)
				}
			}
		}
		if ours > 1 && l.mode == insert && !l.preserve {
			t.Fatalf("%d of ours: %q", ours, st.Res.Fields)
		}
	})
}
