package cookie

import (
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// rule is a "force-persist" or "ignore-persist" line.
type rule struct {
	force bool
	cond  stream.Cond
}

func parseRule(force bool) func(*conf.Ctx) error {
	return func(c *conf.Ctx) error {
		if a := c.Arg(0); a != "if" && a != "unless" {
			return conf.Predicatef("requires either 'if' or 'unless' followed by a condition.")
		}
		if conf.ParseCondition == nil {
			return conf.NotYet("keyword", c.Keyword)
		}
		cond, err := c.Condition(fmt.Sprintf("a '%s' rule", c.Keyword), c.Args)
		if err != nil {
			return err
		}
		set := sections.Make(c.Proxy)
		set.rules = append(set.rules, rule{force, cond})
		return nil
	}
}

// enter looks whether persistence is forced or ignored: the first rule that says so
// decides.
func (s *settings) enter(st *stream.Stream) {
	for i := range s.rules {
		if r := &s.rules[i]; r.cond.Match(&st.Scope) {
			st.Persist.Forced, st.Persist.Ignored = r.force, !r.force
			return
		}
	}
}

// parsePersist reads "persist rdp-cookie".
func parsePersist(c *conf.Ctx) error {
	if c.Arg(0) == "" {
		return fmt.Errorf("missing persist method.")
	}
	method, paren, given := strings.Cut(c.Args[0], "(")
	if method != "rdp-cookie" {
		return fmt.Errorf("unknown persist method.")
	}
	name, _, closed := strings.Cut(paren, ")")
	switch {
	case !given:
		name = "msts"
	case !closed || name == "":
		return fmt.Errorf("persist rdp-cookie(name)' requires an rdp cookie name.")
	}
	sections.Make(c.Proxy).rdp = name
	return nil
}
