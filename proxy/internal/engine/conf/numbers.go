package conf

import (
	"slices"

	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Number is a setting of the global section that is one number ("tune.maxaccept").
type Number = stream.Number

// RegisterNumber adds settings.
func RegisterNumber(list ...Number) {
	for _, s := range list {
		read := (*Ctx).number
		if s.Size {
			read = (*Ctx).size
		}
		Register(Keyword{Name: s.Name, In: Global, InPlace: s.InPlace, Max: -1, Parse: func(c *Ctx) error {
			n, err := read(c, s.Low, s.High, s.Want)
			if err != nil {
				return err
			}
			known := 0
			if s.Rest != nil && len(c.Args) > 1 {
				if known, err = s.Rest(c.Args[1:]); err != nil {
					return Causef("%w", err)
				}
			}
			if err = c.extra(1 + known); err == nil {
				s.Set(c.Snap.Global, n)
			}
			return err
		}})
	}
}

// registerWord adds a setting that is its name, or a word of a few.
func registerWord(s stream.Word) {
	Register(Keyword{Name: s.Name, In: Global, No: s.No, InPlace: s.InPlace, Max: -1, Parse: func(c *Ctx) error {
		word := ""
		switch {
		case c.No:
			word = "no"
		case len(s.Of) > 0:
			if word = c.Arg(0); !slices.Contains(s.Of, word) {
				return Predicatef("expects %s", s.Want)
			}
		}
		s.Set(c.Snap.Global, word)
		return c.extra(min(len(s.Of), 1))
	}})
}

func init() {
	RegisterNumber(stream.Numbers...)
	for _, s := range stream.Words {
		registerWord(s)
	}
}
