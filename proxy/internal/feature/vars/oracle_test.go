package vars_test

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// exchange is the scope of an exchange in a worker of its own.
func exchange(t testing.TB, g *stream.Global) *stream.Scope {
	r, err := reactor.New(0, reactor.Linux, reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	st := &stream.Stream{Scope: stream.Scope{W: stream.NewWorker([]*reactor.Reactor{r}), R: r, Snap: &stream.Snapshot{Global: g}, Sess: &stream.Session{}}}
	st.Stream = st
	return &st.Scope
}

func ctx(g *stream.Global) *conf.Ctx {
	return &conf.Ctx{Loading: &conf.Loading{Diags: new(config.Diagnostics), Snap: &stream.Snapshot{Global: g}}}
}

func put(t testing.TB, sc *stream.Scope, name string, v *variable.Value) {
	n, err := variable.Parse(name)
	if err != nil || !sc.SetVar(n, v, nil) {
		t.Fatal(name, err)
	}
}

// unescape reads the file's C-like notation.
func unescape(s string) string {
	s = strings.ReplaceAll(s, `"`, `\"`)
	out, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		return s
	}
	return out
}

// rowsOtherwise are answered otherwise on purpose.
var rowsOtherwise = map[string]string{
	"int(7),add": forgotten, "int(7),sub": forgotten, "int(7),mul": forgotten, "int(7),div": forgotten, "int(7),mod": forgotten,
	"bool(true),and(3)": number, "bool(true),or(3)": number, "bool(true),xor(3)": number,
	"str(abcdef),bytes(4,3)": length, "str(abcdef),bytes(txn.two,txn.nine)": length,
}

const (
	forgotten = "an argument that was forgotten is no zero"
	number    = "the result is a number, as the manual says"
	length    = "what there is behind the offset, as the manual says"
)

// Converters that take variables make the same of them as HAProxy 3.4.
func TestConvertersOfVariables(t *testing.T) {
	data, err := os.ReadFile("testdata/converters.tsv")
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for no, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		f := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || rowsOtherwise[f[1]] != "" {
			continue
		}
		for len(f) < 5 {
			f = append(f, "")
		}
		g := &stream.Global{}
		sc := exchange(t, g)
		put(t, sc, "txn.two", &variable.Value{Type: uint8(sample.Int), Int: 2})
		put(t, sc, "txn.nine", &variable.Value{Type: uint8(sample.Int), Int: 9})
		put(t, sc, "txn.word", &variable.Value{Type: uint8(sample.Str), Bytes: []byte("word")})
		put(t, sc, "txn.empty", &variable.Value{Type: uint8(sample.Str), Bytes: []byte{}})
		put(t, sc, "txn.ip4", &variable.Value{Type: uint8(sample.Addr), Addr: netip.MustParseAddr("192.0.2.7")})
		put(t, sc, "txn.bin", &variable.Value{Type: uint8(sample.Bin), Bytes: []byte{0, 0xff, 0x41}})
		put(t, sc, "txn.bool", &variable.Value{Type: uint8(sample.Bool), Bool: true})
		e, err := sample.Parse(ctx(g), unescape(f[1]))
		if conf.IsNotYet(err) {
			continue
		}
		if f[2] == "E" || err != nil {
			if f[2] != "E" || err == nil {
				t.Errorf("%d: %s: %v, want %s %s", no+1, f[1], err, f[2], f[3])
			} else if want := strings.TrimSuffix(f[3], "."); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%d: %s: %v, want %s", no+1, f[1], err, want)
			}
			continue
		}
		v := sample.Borrow(sc)
		found := e.Eval(sc, v)
		got := v.Append(nil)
		if v.Type == sample.Bin {
			got = v.Bytes
		}
		switch {
		case found != (f[2] == "1"):
			t.Errorf("%d: %s: found %v, want %s", no+1, f[1], found, f[2])
		case found && (string(got) != unescape(f[3]) || v.Type.String() != f[4]):
			t.Errorf("%d: %s: %q (%s), want %q (%s)", no+1, f[1], got, v.Type, unescape(f[3]), f[4])
		default:
			same++
		}
		v.Return(sc)
	}
	t.Logf("%d rows are the same", same)
	if same < 120 {
		t.Errorf("only %d rows were compared", same)
	}
}
