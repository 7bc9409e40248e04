package proxyproto

import (
	"fmt"
	"io"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// magics are the numbers that headers of NetScaler begin with.
var magics = slot.New[*stream.Bind, uint32]()

func init() {
	conf.RegisterBind(
		conf.BindOption{Name: "accept-proxy", Parse: func(_ *conf.Ctx, b *stream.Bind, _ []string) (int, error) {
			b.Greeting |= stream.ProxyHeader
			return 1, nil
		}},
		conf.BindOption{Name: "accept-netscaler-cip", Args: 1, Parse: acceptCIP},
	)
	stream.RegisterGreeter(stream.Greeter{Greeting: stream.ClientIP, Read: readCIP, Timeout: errCIPTimeout})
	stream.RegisterGreeter(stream.Greeter{Greeting: stream.ProxyHeader, Read: readProxy, Timeout: errTimeout})
}

func acceptCIP(_ *conf.Ctx, b *stream.Bind, words []string) (int, error) {
	if len(words) < 2 {
		return 0, fmt.Errorf("'%s' : missing value", words[0])
	}
	n, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("'%s' : invalid value '%s', must be a number from 1 to %d", words[0], words[1], uint32(1<<32-1))
	}
	b.Greeting |= stream.ClientIP
	magics.Set(b, uint32(n))
	return 2, nil
}

// wording are a protocol's errors while its header is waited for.
type wording struct{ empty, abort, timeout, truncated *stream.ConnError }

func readProxy(s *stream.Session, deadline int64) (*stream.Proxied, error) {
	return receive(s, deadline, Parse, wording{errEmpty, errAbort, errTimeout, errTruncated})
}

func readCIP(s *stream.Session, deadline int64) (*stream.Proxied, error) {
	var magic uint32
	if m := magics.Of(s.Listener.Bind.Load()); m != nil {
		magic = *m
	}
	parse := func(b []byte) (int, *stream.Proxied, error) { return ParseCIP(b, magic) }
	return receive(s, deadline, parse, wording{errCIPEmpty, errCIPAbort, errCIPTimeout, errCIPTruncated})
}

// receive reads a header and not a byte of what follows.
func receive(s *stream.Session, deadline int64, parse func([]byte) (int, *stream.Proxied, error), say wording) (*stream.Proxied, error) {
	// The reactor's scratch is not ours across a wait. Most headers are short.
	buf := make([]byte, 0, 256)
	for {
		n, p, err := parse(buf)
		if p != nil || err != nil {
			return p, err
		}
		if n > cap(buf) {
			buf = append(make([]byte, 0, n), buf...)
		}
		k, err := s.FD.Read(buf[len(buf):n], deadline)
		buf = buf[:len(buf)+k]
		switch {
		case err == nil:
		case err == reactor.ErrKilled:
			return nil, err
		case err == reactor.ErrTimeout:
			return nil, say.timeout
		case len(buf) > 0:
			return nil, say.truncated
		case err == io.EOF:
			return nil, say.empty
		default:
			return nil, say.abort
		}
	}
}
