package proxyproto

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/rule"
)

func init() {
	rule.RegisterAction(
		rule.Action{Name: "expect-proxy", In: rule.Connection, Parse: expect(stream.ProxyHeader)},
		rule.Action{Name: "expect-netscaler-cip", In: rule.Connection, Parse: expect(stream.ClientIP)},
	)
}

// expect makes the action that lets a greeting be expected.
func expect(g stream.Greeting) func(*rule.Line) (rule.Exec, error) {
	return func(l *rule.Line) (rule.Exec, error) {
		if w := l.Next(); w != "layer4" {
			return nil, fmt.Errorf("only supports 'layer4' (got '%s')", w)
		}
		return func(sc *stream.Scope) stream.Verdict {
			sc.Sess.Expect(g)
			return stream.Continue
		}, nil
	}
}
