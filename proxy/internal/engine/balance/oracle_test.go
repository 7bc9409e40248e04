package balance

import (
	_ "embed"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
)

// choices are what HAProxy 3.4 chose of five servers, keys the keys that it was
// given: see the comment at their top.
var (
	//go:embed testdata/choices.tsv
	choices string
	//go:embed testdata/keys.tsv
	keys string
)

// hashType reads the arguments of "hash-type".
func hashType(text string) (h HashType) {
	w := strings.Fields(text)
	if text == "-" {
		return h
	}
	h.Consistent = w[0] == "consistent"
	h.Avalanche = h.Consistent && len(w) == 1 || len(w) == 3
	if len(w) > 1 {
		h.Sum = Functions[w[1]]
	}
	return h
}

// five are the servers of the recorded choices.
func five(weights []int, by HashKey, down string) []*server.Server {
	var list []*server.Server
	for i, w := range weights {
		set := &server.Settings{
			Addr: reactor.Addr{IP: netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), Port: uint16(36101 + i)}, Weight: w, HashKey: by,
			Disabled: strings.Contains(down, "s"+strconv.Itoa(i+1)),
		}
		list = append(list, server.New("b", strconv.Itoa(i+1), i+1, 1, set, time.Now()))
	}
	return list
}

var weightsOf = map[string][]int{"eq": {1, 1, 1, 1, 1}, "inc": {10, 20, 30, 40, 50}, "mix": {1, 256, 3, 0, 100}}

// unescape undoes the escapes of the recorded files.
func unescape(t *testing.T, s string) []byte {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func TestSameServerForTheSameKey(t *testing.T) {
	sets := map[string][][]byte{}
	for l := range strings.Lines(keys) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		sets[f[0]] = append(sets[f[0]], unescape(t, f[2]))
	}
	factors := map[string]int{"hash-balance-factor 125": 125, "hash-balance-factor 200": 200}
	rows := 0
	for l := range strings.Lines(choices) {
		f := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		if strings.HasPrefix(l, "#") || f[0] == "balance" {
			continue
		}
		c := &Config{Hash: hashType(f[1]), Factor: factors[f[3]]}
		by := HashKey(max(slices.Index([]string{"id", "addr", "addr-port"}, f[2]), 0))
		list := five(weightsOf[f[4]], by, f[5])
		p := ByKey(c, Set{list, Active(list, false)}, nil)
		got := ""
		pick := func(q Query) { got += p.Pick(q).Name }
		if f[6] == "seq" { // the header is missing
			for range 30 {
				pick(Query{})
			}
		}
		for _, k := range sets[f[6]] {
			n := c.Hash.Hash(k)
			if f[0] == "source" {
				text, _, _ := strings.Cut(string(k), " ")
				n = c.Hash.Address(netip.MustParseAddr(text))
			}
			pick(Query{Hash: n, Keyed: true})
		}
		if got != f[7] {
			t.Errorf("%s: %s, HAProxy %s", strings.Join(f[:7], " | "), got, f[7])
		}
		rows++
	}
	if rows < 300 {
		t.Errorf("only %d rows", rows)
	}
}
