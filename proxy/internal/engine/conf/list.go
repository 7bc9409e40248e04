package conf

import (
	"slices"
	"strings"
)

// ServerOptions lists the options of server lines, by name.
func ServerOptions() []*ServerOption {
	var list []*ServerOption
	for _, o := range serverOptions {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *ServerOption) int { return strings.Compare(a.Name, b.Name) })
	return list
}
