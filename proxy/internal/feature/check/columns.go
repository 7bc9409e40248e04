package check

import (
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	for _, k := range []struct {
		name   string
		number int
		words  string
		code   bool
	}{
		{"UNK", 0, "Unknown", false}, {"INI", 1, "Initializing", false}, {"HANA", 4, "Health analyze", false}, {"SOCKERR", 5, "Socket error", false},
		{"L4OK", 6, "Layer4 check passed", false}, {"L4TOUT", 7, "Layer4 timeout", false}, {"L4CON", 8, "Layer4 connection problem", false},
		{"L6OK", 9, "Layer6 check passed", false}, {"L6TOUT", 10, "Layer6 timeout", false}, {"L6RSP", 11, "Layer6 invalid response", false},
		{"L7TOUT", 12, "Layer7 timeout", false}, {"L7RSP", 13, "Layer7 invalid response", false}, {"L7OK", 15, "Layer7 check passed", true},
		{"L7OKC", 16, "Layer7 check conditionally passed", true}, {"L7STS", 17, "Layer7 wrong status", true},
		{"PROCERR", 18, "External check error", true}, {"PROCTOUT", 19, "External check timeout", true}, {"PROCOK", 20, "External check passed", true},
	} {
		server.RegisterCheckStatus(server.CheckStatus{Name: k.name, Number: k.number, Words: k.words, Code: k.code})
	}
	c := func(name, desc string, of [column.Kinds]stream.ColumnFunc) stream.Column {
		return stream.Column{Name: name, Desc: desc, Of: of}
	}
	is := func(when func(*stream.Object) bool, f stream.ColumnFunc) [column.Kinds]stream.ColumnFunc {
		return [column.Kinds]stream.ColumnFunc{column.Server: func(o *stream.Object) column.Value {
			if !when(o) {
				return column.Value{}
			}
			return f(o)
		}}
	}
	failures := is(checked, func(o *stream.Object) column.Value { return column.Total(o.State.CheckFails) })
	downs := is(checked, func(o *stream.Object) column.Value { return column.Total(o.State.Downs) })
	downs[column.Backend] = func(o *stream.Object) column.Value { return column.Total(o.Proxy.BE.Downs.Load()) }
	stream.RegisterColumn(
		c("chkfail", "Health checks that failed while the server was up", failures),
		c("chkdown", "Transitions from up to down", downs),
		c("check_status", "Result of the last health check", is(watched, func(o *stream.Object) column.Value { return column.Str("MOPV", statusOf(o)) })),
		c("check_code", "Code of the last health check's answer", is(watched, func(o *stream.Object) column.Value {
			if !server.StatusOf(statusOf(o)).Code {
				return column.Value{}
			}
			return column.U32("MOPV", int64(o.State.CheckCode))
		})),
		c("check_duration", "Milliseconds that the last health check took", is(watched, func(o *stream.Object) column.Value {
			if server.StatusOf(statusOf(o)).Number < 4 { // none was made
				return column.Value{}
			}
			return column.U64("MDPV", int64(o.State.CheckTook/time.Millisecond))
		})),
		c("check_desc", "check_status in words", is(watched, func(o *stream.Object) column.Value { return column.Str("MOPV", server.StatusOf(statusOf(o)).Words) })),
		c("last_chk", "What the last health check said", is(watched, func(o *stream.Object) column.Value { return column.Str("MOPV", o.State.CheckDesc) })),
		c("check_rise", "Checks that must pass until the server is up", is(watched, func(o *stream.Object) column.Value { return column.Setting(int64(o.Settings.Check.Rise)) })),
		c("check_fall", "Checks that must fail until the server is down", is(watched, func(o *stream.Object) column.Value { return column.Setting(int64(o.Settings.Check.Fall)) })),
		c("check_health", "Health counter, 0 to rise+fall-1", is(watched, func(o *stream.Object) column.Value { return column.Setting(int64(o.State.Health)) })),
	)
}

// checked tells whether a server's health decides about it.
func checked(o *stream.Object) bool { return o.Settings.Check.Enabled && !o.State.CheckPaused }

// watched tells whether a server is checked at the moment.
func watched(o *stream.Object) bool { return checked(o) && o.State.Admin&server.Maint == 0 }

// statusOf is the result of the last check.
func statusOf(o *stream.Object) string {
	if o.State.CheckStatus == "" {
		return "INI"
	}
	return o.State.CheckStatus
}
