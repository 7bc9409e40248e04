package sample

import "github.com/forebay-lb/forebay/proxy/internal/engine/stream"

// Fetches of the connections that an exchange uses, with the client (fc_…) and
// with the server (bc_…).
func init() {
	count := func(name, where string, get func(*stream.Stream) int) {
		RegisterFetch(Fetch{Name: name, Out: Int, Where: where, Compile: one(func(st *stream.Stream, v *Value) bool { return v.SetInt(int64(get(st))) })})
	}
	ofServer := func(name string, get func(*stream.Stream) int) {
		RegisterFetch(Fetch{Name: name, Out: Int, Where: Response, Compile: one(func(st *stream.Stream, v *Value) bool {
			return st.HasServer() && v.SetInt(int64(get(st)))
		})})
	}
	count("fc_http_major", Connection, func(st *stream.Stream) int { return major(st.Sess.H2()) })
	count("fc_glitches", Connection, func(st *stream.Stream) int { return st.Sess.Glitches() })
	count("fc_nb_streams", Connection, func(st *stream.Stream) int { return st.Sess.StreamsNow() })
	count("fc_settings_streams_limit", SessionWide, func(st *stream.Stream) int { return st.Sess.StreamsLimit() })
	count("bc_http_major", Response, func(st *stream.Stream) int { return major(st.ServerH2()) })
	ofServer("bc_glitches", (*stream.Stream).ServerGlitches)
	ofServer("bc_nb_streams", (*stream.Stream).ServerStreamsNow)
	ofServer("bc_settings_streams_limit", (*stream.Stream).ServerStreamsLimit)
	RegisterFetch(Fetch{Name: "bc_reused", Out: Bool, Where: Response, Compile: one(func(st *stream.Stream, v *Value) bool {
		return st.HasServer() && v.SetBool(st.Reused)
	})})
}

func major(h2 bool) int {
	if h2 {
		return 2
	}
	return 1
}
