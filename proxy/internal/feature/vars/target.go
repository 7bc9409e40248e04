package vars

import (
	"errors"
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/engine/variable"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// target is a variable to set, and what must hold for it to be set.
type target struct {
	name  variable.Name
	allow func(old, v *variable.Value) bool // nil: always
}

// conditions are what may stand behind the name. A variable of the process is made
// when the configuration is read: it always exists.
var conditions = map[string]func(n variable.Name, old, v *variable.Value) bool{
	"ifexists":    func(n variable.Name, old, _ *variable.Value) bool { return old != nil || n.Scope == variable.Proc },
	"ifnotexists": func(n variable.Name, old, _ *variable.Value) bool { return old == nil && n.Scope != variable.Proc },
	"ifset":       func(_ variable.Name, old, _ *variable.Value) bool { return old != nil },
	"ifnotset":    func(_ variable.Name, old, _ *variable.Value) bool { return old == nil },
	"ifempty":     func(_ variable.Name, _, v *variable.Value) bool { return isEmpty(v) },
	"ifnotempty":  func(_ variable.Name, _, v *variable.Value) bool { return !isEmpty(v) },
	"ifgt": func(_ variable.Name, old, v *variable.Value) bool {
		return !numbers(old, v) || old.Int > v.Int
	},
	"iflt": func(_ variable.Name, old, v *variable.Value) bool {
		return !numbers(old, v) || old.Int < v.Int
	},
}

func isEmpty(v *variable.Value) bool {
	t := sample.Type(v.Type)
	return (t == sample.Str || t == sample.Bin) && len(v.Bytes) == 0
}

func numbers(old, v *variable.Value) bool {
	return old != nil && sample.Type(old.Type) == sample.Int && sample.Type(v.Type) == sample.Int
}

// maxConditions is how many conditions there may be.
const maxConditions = 4

// settable reads the name of a variable that is to be set.
func settable(text string) (variable.Name, error) {
	n, err := variable.Parse(text)
	if err == nil && n.Scope == variable.Parent {
		err = fmt.Errorf("cannot set or unset variable '%s' : those of the parent stream can only be read", text)
	}
	return n, err
}

// newTarget reads a name and conditions.
func newTarget(args []string) (*target, error) {
	name, err := settable(args[0])
	if err != nil {
		return nil, err
	}
	t := &target{name: name}
	var all []func(n variable.Name, old, v *variable.Value) bool
	for _, word := range args[1:] {
		f := conditions[word]
		if f == nil {
			return nil, fmt.Errorf("unknown condition \"%s\"", word)
		}
		all = append(all, f)
	}
	if len(all) > maxConditions {
		return nil, fmt.Errorf("at most %d conditions are possible", maxConditions)
	}
	if len(all) > 0 {
		t.allow = func(old, v *variable.Value) bool {
			for _, f := range all {
				if !f(name, old, v) {
					return false
				}
			}
			return true
		}
	}
	return t, nil
}

// set sets the variable to a sample, and tells whether it did.
func (t *target) set(sc *stream.Scope, v *sample.Value) bool {
	return sc.SetVar(t.name, v.Var(), t.allow)
}

// kind is which of the three words a line begins with.
type kind string

const (
	setExpr kind = "set-var"
	setFmt  kind = "set-var-fmt"
	unset   kind = "unset-var"
)

// errIncomplete is for words without a name in parentheses.
func errIncomplete(what, word string) error {
	return fmt.Errorf("%s '%s'. Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'", what, word)
}

// split takes a word like "set-var(txn.a,ifset)" apart.
func split(word string) (k kind, args []string, err error) {
	name, rest, paren := strings.Cut(word, "(")
	k = kind(name)
	switch {
	case !paren:
		return k, nil, errIncomplete("invalid or incomplete action", word)
	case !strings.HasSuffix(rest, ")"):
		return k, nil, errIncomplete("incomplete argument after action", word)
	}
	args = strings.Split(rest[:len(rest)-1], ",")
	if k == unset && len(args) > 1 {
		return k, nil, errors.New("no conditions are possible here")
	}
	return k, args, nil
}
