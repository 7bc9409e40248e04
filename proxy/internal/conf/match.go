package conf

import "strings"

func firstWord(name string) string {
	w, _, _ := strings.Cut(name, " ")
	return w
}
