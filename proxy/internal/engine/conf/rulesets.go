package conf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// RuleSet is a list of rules of a proxy (manual 4.3). All that the loading knows of
// rule sets is in the table of those that were registered:
//
//   - a section that In does not name refuses the rules, or ignores them with a
//     warning; proxies of that kind cannot inherit from defaults that have some;
//   - defaults with rules must have a name, and serve frontends or backends, not
//     both: the rules would run twice, or could not run at all;
//   - rules with HTTP are ignored with a warning in other modes.
//
// What stops a set is the verdict of a rule, see [stream.Verdict].
type RuleSet struct {
	// Name is the keyword: "http-request".
	Name string
	In   Sections
	HTTP bool
	// Of is where a proxy has its rules.
	Of func(*stream.Proxy) *[]stream.Rule
	// Parse adds the rule of a line.
	Parse func(c *Ctx, rules *[]stream.Rule) error
}

var ruleSets []*RuleSet

// RegisterRuleSet adds a rule set and its keyword.
func RegisterRuleSet(s RuleSet) {
	ruleSets = append(ruleSets, &s)
	if first := firstWord(s.Name); !slices.Contains(onlyNamed, first) {
		onlyNamed = append(onlyNamed, first)
	}
	Register(Keyword{Name: s.Name, In: s.In, Max: -1, Parse: func(c *Ctx) error { return s.Parse(c, s.Of(c.Proxy)) }})
}

// About makes the sentence of what is wrong with a rule of the set: err is the bare
// cause, action the name that the rule begins with.
func (s RuleSet) About(c *Ctx, action string, err error) error {
	if bare, ok := err.(*Cause); ok && !s.HTTP && bare.joint == " : " {
		return say("'%s %s' : %w", s.Name, action, err)
	}
	if !s.HTTP {
		return say("'%s %s' %w in %s", s.Name, action, err, c.Where())
	}
	title := "'" + s.Name + " " + action + "'"
	if c.Keyword == action { // it has a keyword of its own
		title = action
	}
	return say("error detected in %s while parsing %s rule : %w.", c.Where(), title, err)
}

// Unknown makes the sentence of a rule that begins with none of the actions that it
// can begin with.
func (s RuleSet) Unknown(c *Ctx, can []string, word string) error {
	name, _, _ := strings.Cut(word, "(")
	list := "'" + strings.Join(can, "', '") + "'"
	switch {
	case !s.HTTP:
		return Predicatef("expects %s in %s (got '%s').", list, c.Where(), name)
	case word == "":
		return Predicatef("expects %s, but got '' (missing argument).", list)
	}
	hint := ""
	if near := config.Suggest(name, can); near != "" {
		hint = " Did you mean '" + near + "' maybe ?"
	}
	return Predicatef("expects %s, but got '%s'.%s", list, word, hint)
}

// Where is the section that the line is in, as messages have it.
func (c *Ctx) Where() string { return fmt.Sprintf("%s '%s'", c.Section, c.Proxy.Name) }

// ParseCondition compiles a condition ("if …", "unless …"); its error is a bare cause.
// Package acl sets it; without it, conditions are refused.
var ParseCondition func(c *Ctx, words []string) (stream.Cond, error)

// Condition compiles what restricts a line; what names it in the sentence of an error.
func (c *Ctx) Condition(what string, words []string) (stream.Cond, error) {
	cond, err := ParseCondition(c, words)
	if err != nil {
		return nil, say("error detected while parsing %s : %w.", what, err)
	}
	return cond, nil
}

// ruleSetsOf are the sets that p has rules of.
func ruleSetsOf(p *stream.Proxy) (list []*RuleSet) {
	for _, s := range ruleSets {
		if len(*s.Of(p)) > 0 {
			list = append(list, s)
		}
	}
	return list
}
