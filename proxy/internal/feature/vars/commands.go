package vars

import (
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

func init() {
	runtimeapi.Register(
		runtimeapi.Command{Words: "get var", Level: runtimeapi.Operator, Usage: "<name>", Help: "retrieve contents of a process-wide variable", Run: getVar},
		runtimeapi.Command{
			Words: "set var", Level: runtimeapi.Operator, Experimental: true, Usage: "<name> [fmt|expr] {<fmt>|<expr>}",
			Help: "set variable from an expression/format", Run: setVar,
		},
	)
}

// getVar is "get var <name>".
func getVar(c *runtimeapi.Conn, args []string) error {
	if len(args) == 0 {
		return runtimeapi.Errorf("Missing process-wide variable identifier.\n")
	}
	name, err := variable.Parse(args[0])
	var val *variable.Value
	if err == nil && name.Scope == variable.Proc {
		val = c.Worker.Vars.Get(name)
	}
	if val == nil {
		return runtimeapi.Errorf("Variable not found.\n")
	}
	v := new(sample.Value)
	v.SetVar(val)
	return c.Printf("%s: type=%s value=<%s>\n", args[0], v.Type, v.Line())
}

// setVar is "set var <name> [expr|fmt] <text>".
func setVar(c *runtimeapi.Conn, args []string) error {
	if len(args) == 0 {
		return runtimeapi.Errorf("Missing process-wide variable identifier.\n")
	}
	if len(args) == 1 {
		return runtimeapi.Errorf("Missing either 'expr', 'fmt' or expression.\n")
	}
	name, err := ofProcess(args[0], "set var", "here")
	if err != nil {
		return runtimeapi.Errorf("%s\n", strings.TrimSuffix(err.Error(), "\n"))
	}
	k, words := setExpr, args[1:]
	if len(words) > 1 {
		switch words[0] {
		case "expr":
		case "fmt":
			k = setFmt
		default:
			return runtimeapi.Errorf("'set var': arg type must be either 'expr' or 'fmt' but got '%s'.\n", words[0])
		}
		words = words[1:]
	}
	snap := c.Worker.Snapshot()
	var d config.Diagnostics
	ctx := &conf.Ctx{Loading: &conf.Loading{Snap: snap, Diags: &d, Threads: len(c.Worker.Reactors)}}
	sc := &stream.Scope{W: c.Worker, R: c.R, Snap: snap}
	val, found, err := evaluate(ctx, sc, k, name, words, sample.CommandLine)
	if err != nil {
		return runtimeapi.Errorf("%s\n", err.Error())
	}
	if found {
		sc.SetVar(name, &val, nil)
	}
	return nil
}
