package rule

import (
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	RegisterAction(Action{Name: "use-service", In: Request, Parse: useService, Final: true})
}

// useService reads "use-service <name>".
func useService(l *Line) (Exec, error) {
	name := l.Next()
	if name == "" {
		return nil, conf.About("use-service", conf.Predicatef("expects a service name."))
	}
	svc, err := l.Service(name)
	if err != nil {
		return nil, err
	}
	return func(sc *stream.Scope) stream.Verdict {
		sc.Stream.Service = svc
		return answered(sc.Stream, 'L', Request)
	}, nil
}
