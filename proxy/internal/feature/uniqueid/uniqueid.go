// Package uniqueid is the "unique-id-format" and "unique-id-header" keywords, the
// "unique-id" sample fetch and the alias %ID: an identifier of each exchange, as a
// log format. It hangs on the stream, and is made when it is first asked for.
package uniqueid

import (
	"fmt"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// settings are what a section says of it.
type settings struct {
	format *logformat.Format
	header string // in lower case
}

// identifier is the one of an exchange, empty until it is made.
type identifier []byte

// Reset is of [slot.Resetter].
func (id *identifier) Reset() { *id = (*id)[:0] }

var (
	sections    = slot.New[*stream.Proxy, settings]()
	identifiers = slot.New[*stream.Stream, identifier]()
)

// Of gives the identifier of an exchange. It is empty if the frontend has no format
// for it, and without an exchange.
func Of(sc *stream.Scope) []byte {
	st := sc.Stream
	if st == nil {
		return nil
	}
	set := sections.Of(st.FE)
	if set == nil || set.format == nil {
		return nil
	}
	id := identifiers.Make(st)
	if len(*id) == 0 {
		*id = set.format.Append((*id)[:0], &st.Scope)
	}
	return *id
}

// tell adds the field that carries it to the request.
func tell(st *stream.Stream) {
	if id := Of(&st.Scope); len(id) > 0 {
		st.Req.Add(st.Req.CopyString(sections.Of(st.FE).header), st.Req.Copy(id))
	}
}

func init() {
	stream.RegisterAlias(stream.Alias{Name: "ID", Form: stream.Known, Append: func(dst []byte, sc *stream.Scope) []byte { return append(dst, Of(sc)...) }})
	conf.Register(
		conf.Keyword{Name: "unique-id-format", In: conf.Proxies, Max: -1, Parse: format},
		conf.Keyword{Name: "unique-id-header", In: conf.Defaults | conf.Frontend, Max: -1, Parse: header},
	)
	sample.RegisterFetch(sample.Fetch{Name: "unique-id", Out: sample.Str, Where: sample.Everywhere, Compile: func(*conf.Ctx, []string) (sample.Func, error) {
		return func(sc *stream.Scope, v *sample.Value, n int) bool {
			id := Of(sc)
			return n <= 0 && len(id) > 0 && v.SetStr(id)
		}, nil
	}})
}

func format(c *conf.Ctx) error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return fmt.Errorf("unique-id-format expects an argument.")
	case len(c.Args) > 1:
		return fmt.Errorf("unique-id-format expects only one argument, don't forget to escape spaces!")
	case strings.Contains(c.Args[0], "ID") && refersToItself(c.Args[0]) || strings.Contains(c.Args[0], "unique-id"):
		return conf.Predicatef("cannot refer to the unique ID itself.")
	}
	where := sample.FrontRequest
	if !c.Proxy.Frontend || c.Proxy.Backend {
		where |= sample.BackRequest
	}
	f, err := logformat.Compile(c, c.Args[0], logformat.Options{Where: where})
	if err != nil {
		return fmt.Errorf("failed to parse unique-id : %w.", err)
	}
	sections.Make(c.Proxy).format = f
	return nil
}

// refersToItself tells whether a format has the alias %ID, with or without
// flags.
func refersToItself(text string) bool {
	for {
		_, rest, found := strings.Cut(text, "%")
		if !found {
			return false
		}
		if text = strings.TrimPrefix(rest, "%"); text != rest {
			continue
		}
		if strings.HasPrefix(rest, "{") {
			_, rest, _ = strings.Cut(rest, "}")
		}
		if name, ok := strings.CutPrefix(rest, "ID"); ok && (name == "" || !letter(name[0])) {
			return true
		}
	}
}

func letter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func header(c *conf.Ctx) error {
	switch {
	case len(c.Args) == 0 || c.Args[0] == "":
		return fmt.Errorf("unique-id-header expects an argument.")
	case len(c.Args) > 1:
		return conf.Predicatef("cannot handle unexpected argument '%s'.", c.Args[1])
	case strings.ContainsFunc(c.Args[0], func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r) }):
		return conf.Predicatef("expects the name of a header field, got '%s'.", c.Args[0])
	}
	set := sections.Make(c.Proxy)
	if set.header == "" {
		c.Proxy.OnForward = append(c.Proxy.OnForward, tell)
	}
	set.header = strings.ToLower(c.Args[0])
	return nil
}
