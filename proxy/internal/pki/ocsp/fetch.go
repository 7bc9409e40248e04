package ocsp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Bounds of one fetch.
const (
	maxTime     = 10 * time.Second
	maxResponse = 64 << 10 // bytes
	maxHead     = 16 << 10
	maxGet      = 255 // bytes of a URL (RFC 6960 A.1)
)

// Fetcher gets responses from responders over HTTP.
type Fetcher struct {
	// Dial opens a connection, as net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
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
func (f *Fetcher) Fetch(ctx context.Context, responder string, leaf, issuer *x509.Certificate) (data []byte, x Exchange, err error) {
	x = Exchange{Method: http.MethodGet, URL: responder, Began: time.Now()}
	defer func() { x.Took = time.Since(x.Began) }()
	u, err := url.Parse(responder)
	if err == nil && u.Scheme != "http" && u.Scheme != "https" || err == nil && u.Host == "" {
		err = fmt.Errorf("'%s' is no address of a web server", responder)
	}
	if err != nil {
		return nil, x, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	ask, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, x, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	body := io.Reader(http.NoBody)
	target := strings.TrimSuffix(responder, "/") + "/" + url.QueryEscape(base64.StdEncoding.EncodeToString(ask))
	if len(target) > maxGet {
		x.Method, target, body = http.MethodPost, responder, bytes.NewReader(ask)
	}
	x.URL = target
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, x.Method, target, body)
	if err != nil {
		return nil, x, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	req.Header.Set("Accept", "application/ocsp-response")
	req.Header.Set("User-Agent", "forebay")
	if x.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	t := &http.Transport{
		DialContext: f.Dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		TLSClientConfig: &tls.Config{RootCAs: f.Roots},
	}
	if f.Proxy != "" && u.Scheme == "http" {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: f.Proxy})
	}
	defer t.CloseIdleConnections()
	res, err := t.RoundTrip(req)
	if err != nil {
		return nil, x, fmt.Errorf("%w: %w", ErrHTTP, err)
	}
	defer res.Body.Close()
	x.Status = res.StatusCode
	data, err = io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	x.Bytes = int64(len(data))
	switch kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); {
	case err != nil:
		return nil, x, fmt.Errorf("%w: %w", ErrHTTP, err)
	case res.StatusCode != http.StatusOK:
		return nil, x, fmt.Errorf("%w: status %d", ErrHTTP, res.StatusCode)
	case len(data) > maxResponse:
		return nil, x, fmt.Errorf("%w: the response is larger than %d bytes", ErrHTTP, maxResponse)
	case kind != "application/ocsp-response":
		return nil, x, ErrType
	}
	return data, x, nil
}
