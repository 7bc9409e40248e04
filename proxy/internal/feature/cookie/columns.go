package cookie

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/column"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	stream.RegisterColumn(stream.Column{Name: "cookie", Desc: "Name of the backend's cookie, or its value for the server", Of: [column.Kinds]stream.ColumnFunc{
		column.Backend: func(o *stream.Object) column.Value {
			set := sections.Of(o.Proxy)
			if set == nil || set.cookie == nil {
				return column.Value{}
			}
			return text(o, set.cookie.name)
		},
		column.Server: func(o *stream.Object) column.Value {
			return text(o, valueOf(o.Server, secretOf(o.Proxy)))
		},
	}})
}

// text is for those who may see addresses too: whoever knows a cookie can choose the
// server.
func text(o *stream.Object, s string) column.Value {
	if !o.Details || s == "" {
		return column.Value{}
	}
	return column.Str("CNSV", s)
}
