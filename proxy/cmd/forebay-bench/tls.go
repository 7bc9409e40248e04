package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// certificates writes the certificates that both programs use: ecdsa.pem and
// rsa.pem.
func certificates(dir string) error {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	for name, key := range map[string]crypto.Signer{"ecdsa.pem": ec, "rsa.pem": r} {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		if err != nil {
			return err
		}
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})...)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// oneSession hands out the same session again and again.
type oneSession struct {
	s atomic.Pointer[tls.ClientSessionState]
}

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { s := o.s.Load(); return s, s != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		o.s.CompareAndSwap(nil, s)
	}
}

// handshakes makes the clients of a scenario do nothing but TLS 1.3 handshakes,
// each on a connection of its own.
func handshakes(port string, resume bool) func(*bench, *running) (sample, error) {
	return func(b *bench, r *running) (sample, error) {
		cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}
		addr := r.at[port].String()
		if resume {
			cfg.ClientSessionCache = new(oneSession)
			c, err := tls.Dial("tcp", addr, cfg)
			if err != nil {
				return sample{}, err
			}
			fmt.Fprint(c, getClose) // the ticket comes along with the answer
			var buf [4096]byte
			for err == nil {
				_, err = c.Read(buf[:])
			}
			c.Close()
			if _, ok := cfg.ClientSessionCache.Get(""); !ok {
				return sample{}, fmt.Errorf("%s gave no session ticket", r.path)
			}
		}
		return b.timed(r, func() (int64, error) {
			var n atomic.Int64
			var first atomic.Pointer[error]
			var wg sync.WaitGroup
			end := time.Now().Add(b.length)
			for range 16 {
				wg.Go(func() {
					for time.Now().Before(end) && first.Load() == nil {
						if err := handshake(addr, cfg, resume); err != nil {
							first.CompareAndSwap(nil, &err)
							return
						}
						n.Add(1)
					}
				})
			}
			wg.Wait()
			if e := first.Load(); e != nil {
				return 0, *e
			}
			return n.Load(), nil
		})
	}
}

func handshake(addr string, cfg *tls.Config, resume bool) error {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	raw.(*net.TCPConn).SetLinger(0) // no ports in TIME_WAIT: they are what the run would end by
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		return err
	}
	if c.ConnectionState().DidResume != resume {
		return fmt.Errorf("resumed: %v", !resume)
	}
	// The server has the client's last word when it closes after ours.
	c.CloseWrite()
	raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	var buf [4096]byte
	for {
		if _, err := raw.Read(buf[:]); err != nil {
			return nil
		}
	}
}

var h2Requests = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored`)

// h2load loads a proxy with requests over HTTP/2.
func h2load(connections, streams int, secure bool) func(*bench, *running) (sample, error) {
	return func(b *bench, r *running) (sample, error) {
		to := "http://" + r.at["h2"].String() + "/"
		if secure {
			to = "https://" + r.at["ecdsa"].String() + "/"
		}
		return b.timed(r, func() (int64, error) {
			out, err := exec.Command("h2load", "-t1", "-c"+strconv.Itoa(connections), "-m"+strconv.Itoa(streams), "-D"+strconv.Itoa(int(b.length.Seconds())), to).CombinedOutput()
			if err != nil {
				return 0, fmt.Errorf("h2load: %w\n%s", err, out)
			}
			m := h2Requests.FindSubmatch(out)
			if m == nil || string(m[3]) != "0" {
				return 0, fmt.Errorf("h2load:\n%s", out)
			}
			return strconv.ParseInt(string(m[2]), 10, 64)
		})
	}
}
