package pattern

import (
	"fmt"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// million is a file of n lines of two columns.
func million(n int, key func(i int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s backend%d\n", key(i), i%100)
	}
	return b.String()
}

func hostname(i int) string { return fmt.Sprintf("host%d.zone%d.example.com", i, i%977) }
func prefix(i int) string {
	return fmt.Sprintf("/app%d/%d/", i%9973, i)
}
func address(i int) string { return fmt.Sprintf("%d.%d.%d.0/24", 1+i>>16&0xff, i>>8&0xff, i&0xff) }

// listOf gives a list of two columns of what lives of the one of x, the only matcher.
func listOf(x *Matcher) *List { return &List{live: x.list, Pairs: true, Matchers: []*Matcher{x}} }

func loaded(m Method, content string) *Matcher {
	l := &List{live: new(live), Name: "test", Pairs: true, content: content}
	x := l.matcher(Use{Method: m, Fold: false, Out: OutStr})
	l.ready()
	return x
}

// BenchmarkLoad reads a file of a million entries.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		method Method
		key    func(int) string
	}{{Str, hostname}, {Beg, prefix}, {IP, address}} {
		content := million(1e6, c.key)
		b.Run(string(c.method), func(b *testing.B) {
			for b.Loop() {
				loaded(c.method, content)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	for _, c := range []struct {
		method Method
		key    func(int) string
		more   string // behind the key, in what is looked up
	}{{Str, hostname, ""}, {Beg, prefix, "index.html?x=1"}, {IP, func(i int) string { return strings.TrimSuffix(address(i), "/24") }, ""}, {End, hostname, ""}, {Dom, hostname, ":8080"}} {
		for _, n := range []int{10, 10_000, 1_000_000} {
			x := loaded(c.method, million(n, c.key))
			var values []*sample.Value
			for i := range 1 << 12 {
				values = append(values, str(c.key(i*7919%n)+c.more))
			}
			b.Run(fmt.Sprintf("%s/%d", c.method, n), func(b *testing.B) {
				i := 0
				for b.Loop() {
					if x.Find(values[i&(1<<12-1)]) == nil {
						b.Fatal("not found")
					}
					i++
				}
			})
		}
	}
}

// BenchmarkChange adds an entry to a million, changes it, and takes it out.
func BenchmarkChange(b *testing.B) {
	x := loaded(Str, million(1e6, hostname))
	i := 0
	for b.Loop() {
		key := "new" + hostname(i)
		listOf(x).Put(key, "a")
		listOf(x).Put(key, "b")
		listOf(x).Delete(key)
		i++
	}
}
