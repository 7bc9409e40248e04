package proxyproto

import (
	"io"
	"strconv"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Header is what a header tells of the connection that it stands before.
type Header struct {
	// Version is that of the PROXY protocol; 0: NetScaler Client IP.
	Version int
	// Relayed tells that Src and Dst are those of the client's connection to the
	// other proxy. Otherwise the connection speaks for itself. Without a path or
	// an IP address they are those of a UNIX socket without a name.
	Relayed  bool
	Src, Dst reactor.Addr
	// TLVs are the type-length-value fields of version 2 as they came, in the
	// memory that was parsed. They are well-formed; only padding holds more than
	// 1024 bytes.
	TLVs []byte
}

// told is what a header of the PROXY protocol says, and stays with the client's
// connection that began with it.
type told struct {
	relayed stream.Relayed
	tlvs    []byte
}

var heard = slot.New[*stream.Session, told]()

// apply puts what a header tells in force.
func (h *Header) apply(s *stream.Session) {
	switch {
	case h.Version == 0:
		s.Relay(h.Src, h.Dst, new(stream.Relayed))
	default:
		t := heard.Make(s)
		t.tlvs = keep(h.TLVs)
		if h.Relayed {
			s.Relay(h.Src, h.Dst, &t.relayed)
		}
	}
}

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
		return 0, conf.Causef("missing value")
	}
	n, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil || n == 0 {
		return 0, conf.Causef("invalid value '%s', must be a number from 1 to %d", words[1], uint32(1<<32-1))
	}
	b.Greeting |= stream.ClientIP
	magics.Set(b, uint32(n))
	return 2, nil
}

// wording are a protocol's errors while its header is waited for.
type wording struct{ empty, abort, timeout, truncated *stream.ConnError }

func readProxy(c *stream.ClientConn, deadline int64) error {
	return receive(c, deadline, Parse, wording{errEmpty, errAbort, errTimeout, errTruncated})
}

func readCIP(c *stream.ClientConn, deadline int64) error {
	var magic uint32
	if m := magics.Of(c.Listener.Bind.Load()); m != nil {
		magic = *m
	}
	parse := func(b []byte) (int, Header, error) { return ParseCIP(b, magic) }
	return receive(c, deadline, parse, wording{errCIPEmpty, errCIPAbort, errCIPTimeout, errCIPTruncated})
}

// buffers are a reactor's, for headers that are being read: its scratch is nobody's
// across a wait. Most headers fit.
type buffers [][]byte

var spares = slot.New[*reactor.Reactor, buffers]()

func (l *buffers) get() []byte {
	n := len(*l) - 1
	if n < 0 {
		return make([]byte, 256)
	}
	b := (*l)[n]
	*l = (*l)[:n]
	return b
}

func (l *buffers) put(b []byte) {
	if len(*l) < 64 {
		*l = append(*l, b)
	}
}

// receive reads a header and not a byte of what follows, and puts it in force.
func receive(c *stream.ClientConn, deadline int64, parse func([]byte) (int, Header, error), say wording) error {
	pool := spares.Make(c.Reactor())
	room := pool.get()
	defer pool.put(room)
	buf := room[:0]
	for {
		n, h, err := parse(buf)
		if err != nil {
			return err
		}
		if n <= len(buf) {
			h.apply(&c.Session)
			return nil
		}
		if n > cap(buf) {
			buf = append(make([]byte, 0, n), buf...)
		}
		k, err := c.Conn.FD.Read(buf[len(buf):n], deadline)
		buf = buf[:len(buf)+k]
		switch {
		case err == nil:
		case err == reactor.ErrKilled:
			return err
		case err == reactor.ErrTimeout:
			return say.timeout
		case len(buf) > 0:
			return say.truncated
		case err == io.EOF:
			return say.empty
		default:
			return say.abort
		}
	}
}
