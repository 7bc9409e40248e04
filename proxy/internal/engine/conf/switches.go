package conf

import (
	"slices"
	"strings"
)

// Switch is an option of the command line that changes what a configuration comes
// to ("-dV").
type Switch struct {
	// Flags are its names, which mean the same, without the dash.
	Flags []string
	// Help is its line in the program's help.
	Help string
	// Apply runs before the first line of the configuration.
	Apply func(c *Ctx)
}

var switches []*Switch

// RegisterSwitch adds switches, from init functions. It panics on a name that is
// taken: a mistake of the program.
func RegisterSwitch(list ...Switch) {
	for i := range list {
		s := &list[i]
		for _, flag := range s.Flags {
			if FindSwitch(flag) != nil {
				panic("conf: switch registered twice: " + flag)
			}
		}
		switches = append(switches, s)
	}
	slices.SortStableFunc(switches, func(a, b *Switch) int {
		return strings.Compare(strings.ToLower(a.Flags[0]), strings.ToLower(b.Flags[0]))
	})
}

// FindSwitch gives the switch of a flag, nil if there is none.
func FindSwitch(flag string) *Switch {
	for _, s := range switches {
		if slices.Contains(s.Flags, flag) {
			return s
		}
	}
	return nil
}

// SwitchesHelp are the lines of the program's help.
func SwitchesHelp() (list []string) {
	for _, s := range switches {
		list = append(list, s.Help)
	}
	return list
}

func init() {
	RegisterSwitch(
		// There is no other short cut for data.
		Switch{Flags: []string{"dF", "dS", "dZ"}, Help: "-dF disables fast-forward ; -dS disables splice usage ; -dZ disables zero-copy forwarding", Apply: func(c *Ctx) {
			c.Snap.Global.NoSplice = true
		}},
		Switch{Flags: []string{"dr"}, Help: "-dr ignores server address resolution failures", Apply: func(c *Ctx) { c.host.lenient = true }},
	)
}
