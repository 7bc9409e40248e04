package vars

import (
	"fmt"
	"math"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/snapshot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	conf.Register(
		conf.Keyword{Name: "set-var", In: conf.Global, InPlace: true, Max: -1, Parse: line(setExpr)},
		conf.Keyword{Name: "set-var-fmt", In: conf.Global, InPlace: true, Max: -1, Parse: line(setFmt)},
	)
	for name, at := range map[string]func(*stream.VarLimits) *int{
		"global": func(l *stream.VarLimits) *int { return &l.Global },
		"proc":   func(l *stream.VarLimits) *int { return &l.Proc },
		"sess":   func(l *stream.VarLimits) *int { return &l.Sess },
		"txn":    func(l *stream.VarLimits) *int { return &l.Txn },
		"reqres": func(l *stream.VarLimits) *int { return &l.ReqRes },
		"check":  func(l *stream.VarLimits) *int { return &l.Check },
	} {
		keyword := "tune.vars." + name + "-max-size"
		conf.Register(conf.Keyword{Name: keyword, In: conf.Global, InPlace: true, Max: -1, Parse: func(c *conf.Ctx) error {
			if len(c.Args) == 0 {
				return conf.Predicatef("expects a size in bytes as argument.")
			}
			n, err := config.ParseSize(c.Args[0])
			if err != nil || n > math.MaxInt32 {
				return conf.Predicatef("expects a size in bytes as argument, got '%s'.", c.Args[0])
			}
			*at(&stream.Variables.Make(c.Snap.Global).Limits) = int(n)
			return nil
		}})
	}
	snapshot.RegisterCarrier(snapshot.Carrier{Name: "variables", Prepare: func(t *snapshot.Transition) (snapshot.Steps, error) {
		return snapshot.Steps{Commit: func() { t.Worker.ApplyVars(t.Old, t.New) }}, nil
	}})
}

// line reads a keyword of the global section: what it sets is known when the
// configuration is read.
func line(k kind) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		what := "a sample expression"
		if k == setFmt {
			what = "a format string"
		}
		if len(c.Args) < 2 {
			return conf.Predicatef("requires a process-wide variable name ('proc.<name>') and %s.", what)
		}
		name, err := ofProcess(c.Args[0], string(k), "in the global section")
		if err != nil {
			return err
		}
		sc := &stream.Scope{Snap: c.Snap}
		val, found, err := evaluate(c, sc, k, name, c.Args[1:], sample.ConfigParser)
		if err != nil {
			return err
		}
		if found {
			val.Bytes = append([]byte(nil), val.Bytes...)
			s := stream.Variables.Make(c.Snap.Global)
			s.Init = append(s.Init, stream.InitVar{Name: name, Value: val, Text: string(k) + " " + strings.Join(c.Args[1:], " ")})
		}
		return nil
	}
}

// ofProcess reads the name of a variable of the process.
func ofProcess(text, keyword, where string) (variable.Name, error) {
	name, err := variable.Parse(text)
	if err == nil && name.Scope != variable.Proc {
		err = fmt.Errorf("'%s': cannot set variable '%s', only scope 'proc' is permitted %s.", keyword, text, where)
	}
	return name, err
}

// evaluate gives what words make of a variable of the process, where nothing but
// internal information is at hand.
func evaluate(c *conf.Ctx, sc *stream.Scope, k kind, name variable.Name, words []string, at sample.Places) (val variable.Value, found bool, err error) {
	if k == setFmt {
		f, err := logformat.Compile(c, words[0], logformat.Options{Where: at, Plain: true})
		if err != nil {
			return val, false, err
		}
		return variable.Value{Type: uint8(sample.Str), Bytes: f.Append(nil, sc)}, true, nil
	}
	e, rest, err := sample.ParseWords(c, words)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unexpected argument '%s' behind the sample expression", rest[0])
	}
	if err == nil {
		err = e.Allowed("set-var("+name.Text+")", at)
	}
	if err != nil {
		return val, false, err
	}
	v := sample.Borrow(sc)
	defer v.Return(sc)
	if !e.Eval(sc, v) {
		return val, false, nil
	}
	return *v.Var(), true, nil
}
