package server

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
