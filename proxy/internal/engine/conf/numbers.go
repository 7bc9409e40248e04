package conf

import "github.com/forebay-lb/forebay/proxy/internal/engine/stream"

// Number is a setting of the global section that is one number ("tune.maxaccept").
type Number struct {
	Name      string
	Low, High int
	// Want completes "'tune.maxaccept' expects …".
	Want string
	// Size tells that it may be written as a size ("16k").
	Size bool
	// InPlace is that of [Keyword].
	InPlace bool
	Set     func(g *stream.Global, n int)
}

// RegisterNumber adds settings.
func RegisterNumber(list ...Number) {
	for _, s := range list {
		read := (*Ctx).integer
		if s.Size {
			read = (*Ctx).size
		}
		Register(Keyword{Name: s.Name, In: Global, InPlace: s.InPlace, Max: -1, Parse: func(c *Ctx) error {
			n, err := read(c, s.Low, s.High, s.Want)
			if err == nil {
				s.Set(c.Snap.Global, n)
			}
			return err
		}})
	}
}
