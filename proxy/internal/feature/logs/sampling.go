package logs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// ranges are which of so many lines a target gets ("sample 1,3-4:10"), numbered from
// 1, in order.
type ranges struct {
	list []lowHigh
	size uint64
}

type lowHigh struct{ low, high uint64 }

// parseSample reads "<ranges>:<size>".
func parseSample(text string) (*ranges, error) {
	before, size, ok := strings.Cut(text, ":")
	if !ok {
		return nil, errors.New("Missing sample size")
	}
	if before == "" {
		return nil, errors.New("no sampling ranges given")
	}
	r := new(ranges)
	for rest, more := before, true; more; {
		all := rest
		var part string
		part, rest, more = strings.Cut(rest, ",")
		low, high, two := strings.Cut(part, "-")
		if !two {
			high = low
		}
		l, err := strconv.ParseUint(low, 10, 32)
		h, err2 := strconv.ParseUint(high, 10, 32)
		switch {
		case errors.Join(err, err2) != nil && part == "":
			return nil, fmt.Errorf("wrong sample range '%s'", all)
		case errors.Join(err, err2) != nil, l == 0, h < l:
			return nil, fmt.Errorf("wrong sample range '%s'", part)
		}
		r.list = append(r.list, lowHigh{l, h})
	}
	slices.SortFunc(r.list, func(a, b lowHigh) int { return int(a.low) - int(b.low) })
	for i := 1; i < len(r.list); i++ {
		if r.list[i].low <= r.list[i-1].high {
			return nil, errors.New("ranges are overlapping")
		}
	}
	var err error
	if r.size, err = strconv.ParseUint(size, 10, 32); err != nil || r.size == 0 {
		return nil, fmt.Errorf("wrong sample size '%s' for sample range '%s'", size, before)
	}
	if most := r.list[len(r.list)-1].high; most > r.size {
		return nil, fmt.Errorf("sample size %d should be greater or equal to %d the maximum of the high ranges limits", r.size, most)
	}
	return r, nil
}

// sampling counts the lines of a section for a target, whichever reactor has them.
type sampling struct {
	ranges *ranges
	n      atomic.Uint64
}

// samplings are those of targets, nil for one that gets everything.
func samplings(list []*target) []*sampling {
	out := make([]*sampling, len(list))
	for i, t := range list {
		if t.sample != nil {
			out[i] = &sampling{ranges: t.sample}
		}
	}
	return out
}

// mine counts a line and tells whether it is for the target.
func (s *sampling) mine() bool {
	if s == nil {
		return true
	}
	n := (s.n.Add(1)-1)%s.ranges.size + 1
	for _, r := range s.ranges.list {
		if n <= r.high {
			return n >= r.low
		}
	}
	return false
}
