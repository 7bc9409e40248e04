package server

import (
	"fmt"
)

// CheckStatus is what a check can end with: a status of [State.CheckStatus]. The
// feature that checks registers them.
type CheckStatus struct {
	Name   string // "L4OK"
	Number int    // in "show servers state"
	Words  string // in "show stat" and in messages
	Code   bool   // a check that ended so has a code
}

var checkStatuses = make(map[string]*CheckStatus)

var statusList []*CheckStatus

// RegisterCheckStatus adds statuses, from init functions.
func RegisterCheckStatus(list ...CheckStatus) {
	for i := range list {
		checkStatuses[list[i].Name] = &list[i]
		statusList = append(statusList, &list[i])
	}
}

// uninitialized is the status of what no check was made of.
var uninitialized = &CheckStatus{Number: 1}

// StatusOf finds a status by name. A server that was never checked is to be
// checked.
func StatusOf(name string) *CheckStatus {
	switch k := checkStatuses[name]; {
	case k != nil:
		return k
	case name == "":
		return uninitialized
	}
	return new(CheckStatus)
}

// CheckStatuses are all statuses in the order of their numbers.
func CheckStatuses() []*CheckStatus { return statusList }

// Status is a server's status in words: "UP", "UP 1/3", "DOWN", "DRAIN",
// "no check" …
func (set *Settings) Status(st State) string {
	switch {
	case st.Admin&ResolveMaint != 0:
		return "MAINT (resolution)"
	case st.Admin&Maint != 0:
		return "MAINT"
	}
	checked := set.Check.Enabled && !st.CheckPaused
	rise, fall := set.Check.Rise, set.Check.Fall
	full := !checked || st.Health >= rise+fall-1
	going := func(word string) string {
		if full {
			return word
		}
		return fmt.Sprintf("%s %d/%d", word, st.Health-rise+1, fall)
	}
	switch st.Op {
	case Running, Starting:
		switch {
		case st.Admin&Drain != 0:
			return going("DRAIN")
		case !checked:
			return "no check"
		}
		return going("UP")
	case Stopping:
		return going("NOLB")
	}
	if checked && st.Health > 0 {
		return fmt.Sprintf("DOWN %d/%d", st.Health, rise)
	}
	return "DOWN"
}
