package promex

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	conf.RegisterService(conf.ServiceKind{
		Name: "prometheus-exporter",
		Make: func(*conf.Ctx) (stream.Service, error) { return exporter{}, nil },
	})
}

// exporter is the [stream.Service].
type exporter struct{}

// Name is of [stream.Service].
func (exporter) Name() string { return "<PROMEX>" }

var fields = []message.Field{
	{Name: []byte("cache-control"), Value: []byte("no-cache")},
	{Name: []byte("content-type"), Value: []byte("text/plain; version=0.0.4")},
}

// Serve is of [stream.Service].
func (exporter) Serve(st *stream.Stream) stream.Source {
	opt, ok := parse(string(st.Req.Query()))
	if !ok {
		return st.ErrorReply(400).Serve(st)
	}
	st.Res.Fields = append(st.Res.Fields, fields...)
	return newScrape(st.R, st.W, st.Snap, opt)
}
