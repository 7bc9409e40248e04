package check

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

// payload is bytes that are sent, or looked for: as written, or the value of a
// format, which may be in hexadecimal digits.
type payload struct {
	data   []byte
	format *logformat.Format // nil: data
	hexa   bool              // the format's value is
}

// none tells whether nothing was written.
func (p *payload) none() bool { return p.format == nil && len(p.data) == 0 }

// unhex decodes hexadecimal digits.
func unhex(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	var bad hex.InvalidByteError
	switch {
	case errors.As(err, &bad):
		return nil, say("an hex digit is expected (found '%c')", byte(bad))
	case err != nil:
		return nil, errors.New("an even number of hex digit is expected")
	}
	return b, nil
}

// bytes gives what is meant, in the scope of a check.
func (p *payload) bytes(sc *stream.Scope) ([]byte, error) {
	if p.format == nil {
		return p.data, nil
	}
	b := p.format.Append(nil, sc)
	if !p.hexa {
		return b, nil
	}
	return unhex(string(b))
}

// sendPayload is "tcp-check send", "send-lf", "send-binary" and "send-binary-lf".
func sendPayload(c *conf.Ctx, r *ruleset) error {
	st := step{kind: send}
	_, name, _ := strings.Cut(c.Keyword, " ")
	w := c.Words()
	text := w.Next()
	if text == "" {
		kind := "string"
		if name == "send-binary" {
			kind = "binary string"
		}
		return conf.Causef("'%s' expects a %s as argument.", kind, name) // the two words change places in HAProxy's, too
	}
	for len(w.Rest()) > 0 {
		option := w.Next()
		if option != "comment" {
			return conf.Causef("expects 'comment' but got '%s' as argument.", option)
		}
		var err error
		if st.comment, err = w.Value(aString); err != nil {
			return conf.Causef("%w", conf.About(option, err))
		}
	}
	var err error
	switch name {
	case "send":
		st.data = []byte(text)
	case "send-binary":
		if st.data, err = unhex(text); err != nil {
			return conf.Causef("'%s' invalid binary string (%w).", text, err)
		}
	default:
		st.hexa = name == "send-binary-lf"
		if st.payload.format, err = formatOf(c, text); err != nil {
			return conf.Causef("%w", err)
		}
	}
	r.add(st)
	return nil
}
