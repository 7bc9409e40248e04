package config

// transitions counts how often one class of character follows another in a word. Two words that are spelt alike have
// alike counts, also when letters are swapped or a part stands elsewhere.
type transitions [32 * 32]int8

func newTransitions(word string) *transitions {
	var t transitions
	from := 0 // the edge of the word
	for i := 0; i < len(word); i++ {
		to := class(word[i])
		t.step(from, to)
		from = to
	}
	t.step(from, 0)
	return &t
}

func (t *transitions) step(from, to int) {
	if k := from*32 + to; t[k] < 100 {
		t[k]++
	}
}

func class(c byte) int {
	switch {
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 1
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 1
	case '0' <= c && c <= '9':
		return 27
	default:
		return 28
	}
}

func (t *transitions) distance(u *transitions) int {
	sum := 0
	for i := range t {
		k := int(t[i]) - int(u[i])
		sum += k * k
	}
	return sum
}

// DidYouMean is the end of a message about a misspelt word: the candidate that was probably meant, or nothing.
func DidYouMean(word string, candidates []string) string {
	if best := Suggest(word, candidates); best != "" {
		return "; did you mean '" + best + "' maybe ?"
	}
	return ""
}

// Suggest returns the candidate that looks most like a misspelt word, or "" when none is close. Among equals the first
// wins. What counts as close is HAProxy's measure: at most two differing neighbourhoods for each letter.
func Suggest(word string, candidates []string) string {
	best, least := "", 0
	sig := newTransitions(word)
	for _, c := range candidates {
		if c == "" {
			continue
		}
		if d := sig.distance(newTransitions(c)); best == "" || d < least {
			best, least = c, d
		}
	}
	if least > 2*len(word) || least > 2*len(best) {
		return ""
	}
	return best
}
