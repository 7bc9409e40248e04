package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// idleConns measures what a connection takes that made one request, and rests.
func idleConns(n int, dial func(*running) (net.Conn, error)) func(*bench, *running) (sample, error) {
	return func(b *bench, r *running) (sample, error) {
		before, err := base(b, r)
		if err != nil {
			return sample{}, err
		}
		conns := make([]net.Conn, n)
		defer func() {
			for _, c := range conns {
				if c != nil {
					c.Close()
				}
			}
		}()
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for k := range errs {
			wg.Go(func() {
				for i := k; i < n && errs[k] == nil; i += len(errs) {
					conns[i], errs[k] = dial(r)
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return sample{}, err
			}
		}
		after, err := steadyMemory(r, 60*time.Second)
		return sample{value: float64(after-before) / float64(n)}, err
	}
}

// request sends a request over HTTP/1 and reads the answer.
func request(c net.Conn) error {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, getSmall); err != nil {
		return err
	}
	var all []byte
	buf := make([]byte, 4096)
	for !bytes.HasSuffix(all, bytes.Repeat([]byte("x"), 200)) {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		all = append(all, buf[:n]...)
	}
	return nil
}

// requestH2 begins HTTP/2, sends a request and reads the answer.
func requestH2(c net.Conn) error {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var head, out bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "bench"}, {":path", "/"}} {
		enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, c)
	fr.WriteSettings()
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
	fr.WriteSettingsAck()
	if _, err := c.Write(out.Bytes()); err != nil {
		return err
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return err
		}
		if h := f.Header(); h.StreamID == 1 && h.Flags.Has(http2.FlagDataEndStream) {
			return nil
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return fmt.Errorf("GOAWAY %v", g.ErrCode)
		}
	}
}

func dialTLS(alpn string) func(*running) (net.Conn, error) {
	return func(r *running) (net.Conn, error) {
		c, err := tls.Dial("tcp", r.at["ecdsa"].String(), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{alpn}})
		if err != nil {
			return nil, err
		}
		if alpn == "h2" {
			return c, requestH2(c)
		}
		return c, request(c)
	}
}

func dialH2(r *running) (net.Conn, error) {
	c, err := net.Dial("tcp", r.at["h2"].String())
	if err != nil {
		return nil, err
	}
	return c, requestH2(c)
}
