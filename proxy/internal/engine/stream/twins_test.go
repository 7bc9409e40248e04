package stream

import (
	"fmt"
	"testing"
)

// Sockets of an address that several binds share are handed over in one list.
func TestTwinsTakeTheirShare(t *testing.T) {
	for _, c := range []struct {
		twins int
		fds   []int
		want  string
	}{
		{1, []int{1, 2, 3, 4}, "[[1 2 3 4]]"},
		{2, []int{1, 2, 3, 4}, "[[1 2] [3 4]]"},
		{2, []int{1, 2}, "[[1 2] []]"}, // the second gets new ones
		{2, []int{1, 2, 3, 4, 5}, "[[1 2 3] [4 5]]"},
		{3, []int{1, 2, 3, 4, 5, 6}, "[[1 2] [3 4] [5 6]]"},
		{2, nil, "[[] []]"},
	} {
		b := Bind{FD: -1, Twins: c.twins}
		in := Inherited{b.Key(): c.fds}
		var got [][]int
		for n := range c.twins {
			b := b
			b.Twin = n
			got = append(got, in.take(&b, 2))
		}
		if fmt.Sprint(got) != c.want || len(in) > 0 {
			t.Errorf("%d of %v: %v, want %s; %v is left", c.twins, c.fds, got, c.want, in)
		}
	}
}
