package sample

import "github.com/forebay-lb/forebay/proxy/internal/engine/stream"

// Fetches of the connections that an exchange uses, with the client (fc_…) and
// with the server (bc_…).
func init() {
	count := func(name, where string, get func(*stream.Session) int) {
		RegisterFetch(Fetch{Name: name, Out: Int, Where: where, Compile: ofClient(func(s *stream.Session, _ *stream.Scope, v *Value) bool { return v.SetInt(int64(get(s))) })})
	}
	ofServer := func(name string, get func(*stream.Stream) int) {
		RegisterFetch(Fetch{Name: name, Out: Int, Where: Response, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Stream != nil && sc.HasServer() && v.SetInt(int64(get(sc.Stream)))
		})})
	}
	count("fc_http_major", Connection, func(s *stream.Session) int { return major(s.H2()) })
	count("fc_glitches", Connection, (*stream.Session).Glitches)
	count("fc_nb_streams", Connection, (*stream.Session).StreamsNow)
	count("fc_settings_streams_limit", SessionWide, (*stream.Session).StreamsLimit)
	RegisterFetch(Fetch{Name: "bc_http_major", Out: Int, Where: Response, Compile: one(func(sc *stream.Scope, v *Value) bool {
		return v.SetInt(int64(major(sc.Stream != nil && sc.Stream.ServerH2())))
	})})
	ofServer("bc_glitches", (*stream.Stream).ServerGlitches)
	ofServer("bc_nb_streams", (*stream.Stream).ServerStreamsNow)
	ofServer("bc_settings_streams_limit", (*stream.Stream).ServerStreamsLimit)
	RegisterFetch(Fetch{Name: "bc_reused", Out: Bool, Where: Response, Compile: one(func(sc *stream.Scope, v *Value) bool {
		return sc.HasServer() && v.SetBool(sc.Stream != nil && sc.Stream.Reused)
	})})
}

func major(h2 bool) int {
	if h2 {
		return 2
	}
	return 1
}
