package payload

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

// Where there is a buffer of which side (manual 7.3.5), and how messages call it.
const (
	inRequest  = sample.Request
	inResponse = "...........YYYYYYY.Y.."
	inEither   = "..YYYYYYYYYYYYYYYY.Y.."
	requestYet = "..YYYYYYYYYYYYYYYYY..."

	ofRequest  = "request buffer"
	ofResponse = "response buffer"
)

// side tells whether a fetch looks at the response, for the scope that it is
// evaluated in.
type side func(sc *stream.Scope) bool

func request(*stream.Scope) bool   { return false }
func response(*stream.Scope) bool  { return true }
func either(sc *stream.Scope) bool { return sc.OfResponse() }

func init() {
	for _, n := range []string{"req.len", "req_len"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Int, Where: inRequest, Needs: ofRequest, Compile: size(request)})
	}
	for _, n := range []string{"req.proto_http", "req_proto_http"} {
		sample.RegisterFetch(sample.Fetch{Name: n, Out: sample.Bool, Where: requestYet, Compile: plain(isHTTP)})
	}
	sample.RegisterFetch(
		sample.Fetch{Name: "res.len", Out: sample.Int, Where: inResponse, Needs: ofResponse, Compile: size(response)},
		sample.Fetch{Name: "wait_end", Out: sample.Bool, Where: "YYYYYYYYYYYYYYYYYYYY.Y", Compile: plain(waitEnd)},
	)
	for _, f := range []struct {
		prefix, where, needs string
		of                   side
	}{
		{"req.", inRequest, ofRequest, request}, {"res.", inResponse, ofResponse, response}, {"", inEither, ofRequest, either},
	} {
		sample.RegisterFetch(
			sample.Fetch{Name: f.prefix + "payload", Args: "integer,integer", Out: sample.Bin, Where: f.where, Needs: f.needs, Compile: block(f.of)},
			sample.Fetch{Name: f.prefix + "payload_lv", Args: "integer,integer[,string]", Out: sample.Bin, Where: f.where, Needs: f.needs, Compile: lengthValue(f.of)},
		)
	}
}

// plain makes a fetch without arguments that has one value.
func plain(get func(sc *stream.Scope, v *sample.Value) bool) func(*conf.Ctx, []string) (sample.Func, error) {
	f := func(sc *stream.Scope, v *sample.Value, n int) bool { return n <= 0 && get(sc, v) }
	return func(*conf.Ctx, []string) (sample.Func, error) { return f, nil }
}

// waitEnd is true when nothing can change any more.
func waitEnd(sc *stream.Scope, v *sample.Value) bool { return !sc.MayChange() && v.SetBool(true) }

// isHTTP is true when there is a whole head of a request.
func isHTTP(sc *stream.Scope, v *sample.Value) bool {
	st := sc.Stream
	return st != nil && st.Time.End == 0 && !sc.OfResponse() && sc.Request() != nil && v.SetBool(true)
}

// size is how many bytes there are; those of a message as HAProxy stores one.
func size(of side) func(*conf.Ctx, []string) (sample.Func, error) {
	return plain(func(sc *stream.Scope, v *sample.Value) bool {
		if p, ok := sc.Received(of(sc)); ok {
			sc.MayChange()
			return v.SetInt(int64(len(p)))
		}
		if sc.Stream == nil {
			return false
		}
		sc.MayChange()
		n := 0
		switch q, r := sc.Request(), sc.Response(); {
		case !of(sc) && q != nil:
			n = len(q.MethodName) + len(q.Target) + fields(&q.Header)
		case of(sc) && r != nil:
			n = len("200") + len(r.Reason) + fields(&r.Header)
		default:
			return v.SetInt(0)
		}
		return v.SetInt(int64(n + sc.Stream.BodyReceived(of(sc))))
	})
}

// fields is what a head takes besides the variable words of its first line: HAProxy
// has a structure of 20 bytes for that, the version, and a byte for the end.
func fields(h *message.Header) int {
	n := 20 + len("HTTP/1.1") + 1
	for i := range h.Fields {
		n += len(h.Fields[i].Name) + len(h.Fields[i].Value)
	}
	return n
}

// part sets v to n bytes from a place on, 0: all that there are. What does not fit
// into a buffer will never be there.
func part(sc *stream.Scope, v *sample.Value, p []byte, from, n int64) bool {
	room := int64(sc.R.BufSize())
	if from < 0 || n < 0 || from > room || n > room || from+n > room {
		return false
	}
	if from+n > int64(len(p)) {
		sc.MayChange()
		return false
	}
	if n == 0 {
		sc.MayChange()
		n = int64(len(p)) - from
	}
	v.Type, v.Bytes = sample.Bin, p[from:from+n]
	return true
}

// block is "payload(<offset>,<length>)".
func block(of side) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(_ *conf.Ctx, args []string) (sample.Func, error) {
		from, _ := strconv.ParseInt(args[0], 10, 64) // whose types are checked
		n, _ := strconv.ParseInt(args[1], 10, 64)
		return func(sc *stream.Scope, v *sample.Value, nth int) bool {
			p, ok := sc.Received(of(sc))
			return ok && nth <= 0 && part(sc, v, p, from, n)
		}, nil
	}
}

// lengthValue is "payload_lv(<offset1>,<length>[,<offset2>])".
func lengthValue(of side) func(*conf.Ctx, []string) (sample.Func, error) {
	return func(_ *conf.Ctx, args []string) (sample.Func, error) {
		at, _ := strconv.ParseInt(args[0], 10, 64)
		size, _ := strconv.ParseInt(args[1], 10, 64)
		if size < 1 {
			return nil, errors.New("payload length must be > 0")
		}
		from, err := valueAt(at+size, args[2:])
		if err != nil {
			return nil, err
		}
		return func(sc *stream.Scope, v *sample.Value, nth int) bool {
			p, ok := sc.Received(of(sc))
			if !ok || nth > 0 {
				return false
			}
			if room := int64(sc.R.BufSize()); at < 0 || at > room || size > room {
				return false
			}
			if at+size > int64(len(p)) {
				sc.MayChange()
				return false
			}
			n := int64(0)
			for _, b := range p[at : at+size] {
				if n = n<<8 | int64(b); n > int64(sc.R.BufSize()) {
					return false
				}
			}
			return n > 0 && part(sc, v, p, from, n)
		}, nil
	}
}

// valueAt is where the value begins, right behind the length if nothing else is said.
// An offset from the start of the buffer is halved, as HAProxy 2.6 to 3.4 do whatever
// their manual says: configurations have it doubled.
func valueAt(behind int64, args []string) (int64, error) {
	if len(args) == 0 || args[0] == "" {
		return behind, nil
	}
	text := args[0]
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("payload offset2 '%s' is not a number", text)
	}
	if text[0] == '+' || text[0] == '-' {
		n += behind
	} else {
		n /= 2
	}
	if n < 0 {
		return 0, errors.New("payload offset too negative")
	}
	return n, nil
}
