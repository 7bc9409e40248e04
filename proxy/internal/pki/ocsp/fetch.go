package ocsp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// Bounds of one fetch. A head has to fit in a buffer.
const (
	maxTime     = 10 * time.Second
	maxResponse = 64 << 10 // bytes
	maxGet      = 255      // bytes of a URL (RFC 6960 A.1)
)

// Fetcher gets responses from responders over HTTP.
type Fetcher struct {
	// Worker is on whose reactors it asks, as a [stream.Client].
	Worker *stream.Worker
	// Lookup gives the addresses of a name. It may block.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	// Proxy is the HTTP proxy that requests for "http" go through: its address
	// with a port, "" for none.
	Proxy string
	// Roots are what responders under TLS are verified against.
	Roots *x509.CertPool
}

// Exchange is what was said to a responder, for logs.
type Exchange struct {
	Method, URL string
	Began       time.Time
	Took        time.Duration
	Status      int   // 0: there was no response
	Bytes       int64 // of the body
}

// Errors of [Fetcher.Fetch].
var (
	// ErrHTTP: there was no response, or none with status 200.
	ErrHTTP = errors.New("HTTP error")
	// ErrType: the response does not say that it is of OCSP.
	ErrType = errors.New("Missing \"ocsp-response\" header")
)

// Fetch asks a responder about a certificate. What comes back is not looked at.
// It takes ten seconds at most and blocks: it is not for reactors. Redirections
// are not followed. The error is or wraps [ErrHTTP] or [ErrType].
func (f *Fetcher) Fetch(responder string, leaf, issuer *x509.Certificate) (data []byte, x Exchange, err error) {
	x = Exchange{Method: "GET", URL: responder, Began: time.Now()}
	defer func() {
		x.Took = time.Since(x.Began)
		if err != nil && err != ErrType {
			err = fmt.Errorf("%w: %w", ErrHTTP, err)
		}
	}()
	u, err := url.Parse(responder)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = fmt.Errorf("'%s' is no address of a web server", responder)
	}
	if err != nil {
		return nil, x, err
	}
	body, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, x, err
	}
	get := strings.TrimSuffix(responder, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(body))
	if len(get) <= maxGet {
		if u, err = url.Parse(get); err != nil {
			return nil, x, err
		}
		x.URL, body = get, nil
	} else {
		x.Method = "POST"
	}
	a := &asking{Fetcher: f, u: u, x: &x, body: body, over: make(chan struct{})}
	if err := a.find(); err != nil {
		return nil, x, err
	}
	rs := f.Worker.Reactors
	a.r = rs[rand.IntN(len(rs))]
	a.r.Post(func() { a.r.Go(a.run) })
	<-a.over
	return a.data, x, a.err
}

// asking is a fetch under way.
type asking struct {
	*Fetcher
	u    *url.URL
	x    *Exchange
	body []byte // nil: GET
	to   []reactor.Addr
	r    *reactor.Reactor
	over chan struct{}
	data []byte
	err  error
}

// proxied tells whether the request goes to an HTTP proxy.
func (a *asking) proxied() bool { return a.Proxy != "" && a.u.Scheme == "http" }

// find finds the addresses to connect to.
func (a *asking) find() error {
	host, port := a.u.Hostname(), a.u.Port()
	switch {
	case a.proxied():
		var err error
		if host, port, err = net.SplitHostPort(a.Proxy); err != nil {
			return err
		}
	case port == "" && a.u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("'%s' is no port", port)
	}
	list := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		list = append(list, ip)
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), maxTime)
		defer cancel()
		if list, err = a.Lookup(ctx, host); err != nil {
			return err
		}
	}
	for _, ip := range list {
		a.to = append(a.to, reactor.Addr{IP: ip.Unmap(), Port: uint16(n)})
	}
	return nil
}

// run asks, in a coroutine.
func (a *asking) run() {
	defer close(a.over)
	a.err = errors.New("no address") // unless something else comes of it
	c := a.Worker.NewClient(a.r)
	defer c.Close(false)
	c.Deadline = a.r.Now() + int64(maxTime)
	for _, to := range a.to {
		if a.err = c.Connect(to, reactor.Addr{}, c.Deadline); a.err == nil {
			break
		}
	}
	if a.err == nil && a.u.Scheme == "https" {
		c.Conn().Client(&tls.Config{RootCAs: a.Roots, ServerName: a.u.Hostname()})
		a.err = c.Conn().Handshake(c.Deadline)
	}
	if a.err == nil {
		a.err = a.send(c)
	}
	if a.err == nil {
		a.data, a.err = a.receive(c)
	}
}

// send sends the request.
func (a *asking) send(c *stream.Client) error {
	q, err := c.Request(c.Speaks(""))
	if err != nil {
		return err
	}
	target := a.u.RequestURI()
	if a.proxied() {
		target = "http://" + a.u.Host + target
	}
	q.MethodName, q.Target, q.Version = []byte(a.x.Method), []byte(target), message.HTTP11
	q.Method = message.MethodOf(q.MethodName)
	q.AddString("host", a.u.Host)
	q.AddString("accept", "application/ocsp-response")
	q.AddString("user-agent", "forebay")
	if a.body != nil {
		q.AddString("content-type", "application/ocsp-request")
	}
	return c.Send(a.body)
}

// receive gives what is said.
func (a *asking) receive(c *stream.Client) (data []byte, err error) {
	res, err := c.Receive()
	if err != nil {
		return nil, err
	}
	a.x.Status = res.Status
	for last := false; !last; {
		var p []byte
		p, last, err = c.Next(maxResponse + 1 - len(data))
		data = append(data, p...)
		a.x.Bytes = int64(len(data))
		if err == nil && !last && len(p) == 0 {
			err = c.Wait()
		}
		if err != nil || len(data) > maxResponse {
			break
		}
	}
	kind, _, _ := bytes.Cut(res.Get("content-type"), []byte(";"))
	switch {
	case err != nil:
		return nil, err
	case res.Status != 200:
		return nil, fmt.Errorf("status %d", res.Status)
	case len(data) > maxResponse:
		return nil, fmt.Errorf("the response is larger than %d bytes", maxResponse)
	case !message.EqualFold(bytes.TrimSpace(kind), "application/ocsp-response"):
		return nil, ErrType
	}
	return data, nil
}
