package logformat

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// parser reads the text of a format.
type parser struct {
	c    *conf.Ctx
	o    Options
	f    *Format
	text string
	at   int // where it is in text

	lit     []byte // text that is no node yet
	global  flags  // of all that follows
	missing error  // words that are not supported yet
}

// add adds a node behind the text before it.
func (p *parser) add(n node) {
	p.flush()
	p.f.nodes = append(p.f.nodes, n)
}

func (p *parser) flush() {
	if len(p.lit) > 0 {
		p.f.nodes = append(p.f.nodes, node{text: p.lit})
		p.lit = nil
	}
}

// here is the sign where the parser is, 0 at the end.
func (p *parser) here() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// next reads one sign of text, or all that belongs to a "%".
func (p *parser) next() error {
	b := p.here()
	p.at++
	switch {
	case b == ' ' && !p.f.plain:
		p.flush()
		if n := len(p.f.nodes); n == 0 || !p.f.nodes[n-1].blank {
			p.add(node{blank: true})
		}
	case b != '%':
		p.lit = append(p.lit, b)
	case p.here() == '%':
		p.at++
		p.lit = append(p.lit, '%')
	default:
		return p.item()
	}
	return nil
}

// item reads what follows a "%".
func (p *parser) item() error {
	if b := p.here(); isDigit(b) || b == ' ' || b == '\t' {
		return fmt.Errorf("unexpected variable name near '%c' at position %d line : '%s'. Maybe you want to write a single '%%', use the syntax '%%%%'", b, p.at, p.text)
	}
	if err := p.name(); err != nil {
		return err
	}
	f, modified, err := p.modifier()
	switch {
	case err != nil:
		return err
	case p.at == len(p.text) && !modified:
		return errors.New("truncated line after '%'")
	case modified && p.here() != '[' && !isLetter(p.here()):
		return fmt.Errorf("parse argument modifier without variable name near '%%%s'", p.text[:p.at][strings.LastIndexByte(p.text[:p.at], '{'):])
	case p.here() == '[':
		return p.sample(f)
	}
	return p.alias(f)
}

// name skips the "(name)" or "(name:type)" that structured formats have.
func (p *parser) name() error {
	if p.here() != '(' {
		return nil
	}
	name, _, ok := strings.Cut(p.text[p.at+1:], ")")
	if !ok {
		return fmt.Errorf("truncated line after '%s'", p.text[p.at+1:])
	}
	if before, typ, typed := strings.Cut(name, ":"); typed && !slices.Contains([]string{"str", "sint", "bool", "raw"}, typ) {
		return fmt.Errorf("unexpected output type '%s' at position %d line : '%s'. Supported types are: str, sint, bool, raw", typ, p.at+len("(:")+len(before), p.text)
	}
	p.at += len("()") + len(name)
	return nil
}

// modifier reads "{flags}", if that is there.
func (p *parser) modifier() (f flags, there bool, err error) {
	if p.here() != '{' {
		return p.global, false, nil
	}
	list, _, ok := strings.Cut(p.text[p.at+1:], "}")
	if !ok {
		return 0, true, fmt.Errorf("truncated line after '%s'", p.text[p.at+1:])
	}
	f, missing := parseFlags(p.c, list, p.global)
	if missing != nil {
		p.missing = conf.Join(p.missing, missing)
	}
	p.at += len("{}") + len(list)
	return f, true, nil
}

// sample reads "[expression]".
func (p *parser) sample(f flags) error {
	expr, rest, ok := sample.Split(p.text[p.at+1:], ']')
	if !ok {
		return fmt.Errorf("missing ']' after '%s'", p.text[p.at+1:])
	}
	p.at = len(p.text) - len(rest)
	expr = strings.TrimSpace(expr)
	e, err := sample.Parse(p.c, expr)
	if err != nil {
		err = fmt.Errorf("failed to parse sample expression <%s> : %w", expr, err)
		if conf.IsNotYet(err) {
			p.missing = conf.Join(p.missing, err)
			return nil
		}
		return err
	}
	if !e.Usable(p.o.Where) {
		return fmt.Errorf("sample fetch <%s> may not be reliably used here because it needs '%s' which is not available here", e.Fetch.Name, e.Needs())
	}
	p.add(node{expr: e, flags: f})
	return nil
}

// alias reads the name of an alias.
func (p *parser) alias(f flags) error {
	end := p.at
	for end < len(p.text) && isLetter(p.text[end]) {
		end++
	}
	name := p.text[p.at:end]
	p.at = end
	a := stream.FindAlias(name)
	switch {
	case name == "": // a sign in front of something else is just that
		p.lit = append(p.lit, '%')
	case name == "o": // only sets the flags from here on
		p.global = f
	case a != nil:
		if a.Line && p.o.Where != sample.Logs {
			p.c.KeepLines()
		}
		p.add(node{alias: write(a), flags: f})
	case notYet[name] != "":
		p.missing = conf.Join(p.missing, conf.NotYet("log-format alias", "%"+name))
	default:
		return fmt.Errorf("no such format alias '%s'. If you wanted to emit the '%%' character verbatim, you need to use '%%%%'%s", name, config.DidYouMean(name, stream.Aliases()))
	}
	return nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func isLetter(b byte) bool { return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }

// parseFlags reads what stands between braces. As in HAProxy, a word without a
// sign changes nothing, nor does a name that there is not; only -dD tells.
func parseFlags(c *conf.Ctx, s string, f flags) (flags, error) {
	var missing error
	for _, w := range strings.Split(s, ",") {
		w = strings.TrimSpace(w)
		var bit flags
		sign, name := byte(0), w
		if w != "" && (w[0] == '+' || w[0] == '-') {
			sign, name = w[0], w[1:]
		}
		switch name {
		case "Q":
			bit = quoted
		case "X":
			bit = hexa
		case "E":
			bit = escaped
		case "json", "cbor", "bin":
			if sign == '+' {
				missing = conf.Join(missing, conf.NotYet("log-format flag", w))
			}
		}
		if (bit == 0 || sign == 0) && missing == nil {
			c.Diags.Diag(c.Pos, "'%s' in '{%s}' of a log-format changes nothing: flags are +Q, -Q, +X, -X, +E and -E.", w, s)
		}
		switch sign {
		case '+':
			f |= bit
		case '-':
			f &^= bit
		}
	}
	return f, missing
}
