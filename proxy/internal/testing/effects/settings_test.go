package effects_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// always are settings that nobody has to look at, and why.
var always = map[string]string{
	"HTTPKeepAlive": "it is the absence of the other two modes",
	"DefaultName":   "package conf finds the backend",
	"InitAddr":      "package conf resolves by it",
}

// TestSettingsAreRead: what the configuration sets, somebody looks at. A setting
// that is parsed and never read is a keyword that does nothing.
func TestSettingsAreRead(t *testing.T) {
	read := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		uses(f, filepath.Base(filepath.Dir(path)), read)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{stream.Proxy{}, stream.Timeouts{}, stream.Bind{}, stream.Global{}, stream.H2{}, stream.H2Settings{}, stream.VarSettings{}, stream.VarLimits{}, stream.TLSLimits{}, stream.ForwardFor{}, stream.Balance{}, server.Settings{}, server.Check{}} {
		for i := range reflect.TypeOf(v).NumField() {
			if f := reflect.TypeOf(v).Field(i); f.IsExported() && !read[f.Name] && always[f.Name] == "" {
				t.Errorf("%T.%s is not read by anybody", v, f.Name)
			}
		}
	}
	f, err := parser.ParseFile(token.NewFileSet(), "../../engine/stream/proxy.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	options := 0
	ast.Inspect(f, func(n ast.Node) bool {
		d, is := n.(*ast.GenDecl)
		if !is || d.Tok != token.CONST || !strings.Contains(typeOf(d), "Option") {
			return true
		}
		for _, s := range d.Specs {
			for _, name := range s.(*ast.ValueSpec).Names {
				if options++; !read[name.Name] && always[name.Name] == "" {
					t.Errorf("option %s is not looked at by anybody", name.Name)
				}
			}
		}
		return true
	})
	if options < 10 {
		t.Errorf("only %d options found", options)
	}
}

func typeOf(d *ast.GenDecl) string {
	if id, is := d.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); is {
		return id.Name
	}
	return ""
}

// uses notes the names that a file reads: as a field, or, of options, as the
// argument of Has or in an expression with them. What package conf does with a
// field is to set it; what it judges by, others see as well.
func uses(f *ast.File, pkg string, read map[string]bool) {
	if pkg == "conf" {
		return
	}
	set := map[ast.Expr]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				set[l] = true
			}
		case *ast.GenDecl:
			if n.Tok == token.CONST {
				return false
			}
		case *ast.CallExpr:
			if id, is := n.Fun.(*ast.SelectorExpr); is && (id.Sel.Name == "RegisterOption") {
				return false
			}
		case *ast.SelectorExpr:
			if !set[n] {
				read[n.Sel.Name] = true
			}
		}
		return true
	})
	if pkg == "stream" {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if id, is := n.Fun.(*ast.SelectorExpr); is && id.Sel.Name == "Has" && len(n.Args) == 1 {
					if o, is := n.Args[0].(*ast.Ident); is {
						read[o.Name] = true
					}
				}
			case *ast.BinaryExpr:
				if n.Op == token.AND {
					ast.Inspect(n.Y, func(n ast.Node) bool {
						if o, is := n.(*ast.Ident); is {
							read[o.Name] = true
						}
						return true
					})
				}
			}
			return true
		})
	}
}
