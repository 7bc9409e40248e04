package balance

import "github.com/forebay-lb/forebay/proxy/internal/engine/server"

// bound is the bounded load of "hash-balance-factor".
type bound struct {
	factor int   // percent, 0: no bound
	total  int64 // of all weights
}

// slots is how many streams the servers may have together once one more has come,
// 0: any number.
func (b *bound) slots(list []*server.Server) int64 {
	if b.factor == 0 {
		return 0
	}
	n := int64(1)
	for _, s := range list {
		n += s.Cur.Load()
	}
	return (n*int64(b.factor) + 99) / 100
}

// share is how many of the slots are a server's, of which the servers before it
// have the weight before.
func (b *bound) share(slots, before, weight int64) int64 {
	rest := slots % b.total
	return max(weight*(slots/b.total)+(before+weight)*rest/b.total-before*rest/b.total, 1)
}
