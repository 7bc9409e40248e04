package vars

import (
	"errors"
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/check"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	for _, k := range []kind{setExpr, setFmt, unset} {
		check.RegisterOperation(check.Operation{Name: string(k), Parse: ofCheck})
	}
}

// ofCheck reads a rule of a health check.
func ofCheck(c *conf.Ctx, word string, words []string) (func(*stream.Scope), error) {
	k, args, err := split(word)
	if err != nil {
		return nil, err
	}
	expr := func() (*sample.Expr, error) {
		e, rest, err := sample.ParseWords(c, words)
		if err != nil {
			return nil, err
		}
		words = rest
		return e, e.Allowed(word, sample.HealthCheck)
	}
	format := func() (*logformat.Format, error) {
		if len(words) == 0 {
			return nil, errors.New("expects a format")
		}
		text := words[0]
		words = words[1:]
		return logformat.Compile(c, text, logformat.Options{Where: sample.HealthCheck, Plain: true})
	}
	f, err := operation(k, args, expr, format)
	if err == nil && len(words) > 0 {
		err = fmt.Errorf("cannot handle unexpected argument '%s'", words[0])
	}
	return f, err
}
