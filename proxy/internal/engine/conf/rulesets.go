package conf

import (
	"slices"

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

// ruleSetsOf are the sets that p has rules of.
func ruleSetsOf(p *stream.Proxy) (list []*RuleSet) {
	for _, s := range ruleSets {
		if len(*s.Of(p)) > 0 {
			list = append(list, s)
		}
	}
	return list
}
