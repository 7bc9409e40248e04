package server

import "fmt"

// ByUser says what the Runtime socket has set otherwise than the configuration
// says, and [Server.Replace] keeps: "drain", "weight 5 instead of 100".
func (s *Server) ByUser() []string {
	set := s.Settings()
	if !s.mayByUser() {
		return nil
	}
	st := s.State()
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if st.Admin&ForcedMaint != 0 {
		add("maintenance")
	}
	if st.Admin&ForcedDrain != 0 {
		add("drain")
	}
	if st.WeightByUser && st.UserWeight != st.InitWeight {
		add("weight %d instead of %d", st.UserWeight, st.InitWeight)
	}
	if st.AddrByUser && st.Addr != set.Addr {
		add("address %s instead of %s", st.Addr, set.Addr)
	}
	if st.MaxByUser && st.MaxConn != set.MaxConn {
		add("maxconn %d instead of %d", st.MaxConn, set.MaxConn)
	}
	if st.CheckPaused {
		add("health checks disabled")
	}
	for _, f := range byUser {
		if text := f(set); text != "" {
			list = append(list, text)
		}
	}
	return list
}

var byUser []func(set *Settings) string

// OnByUser makes f be asked what of a feature's the Runtime socket has set, and
// settings that take the place of others keep ([OnReplace]); "" for nothing.
func OnByUser(f func(set *Settings) string) { byUser = append(byUser, f) }

// mayByUser tells at a glance whether ByUser has to look.
func (s *Server) mayByUser() bool { return s.byUser.Load() || s.Settings() != s.given.Load() }

// tellByUser lets the backend know.
func (s *Server) tellByUser() {
	if l := s.load.Load(); l != nil && s.mayByUser() && !l.ByUser.Load() {
		l.ByUser.Store(true)
	}
}
