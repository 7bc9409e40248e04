package ssl

import (
	"strings"
	"time"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
)

func init() {
	runtimeapi.Register(runtimeapi.Command{
		Words: "show ssl sni", Level: runtimeapi.Operator, Usage: "[-f <frontend>] [-A] [-t <offset>]",
		Help: "show the names that bind lines have certificates for", Run: showSNI,
	})
}

// showSNI is "show ssl sni" (management.txt 9.3).
func showSNI(c *runtimeapi.Conn, args []string) error {
	frontend, expired := "", false
	var offset time.Duration
	for ; len(args) > 0; args = args[1:] {
		switch args[0] {
		case "-A":
			expired = true
			continue
		case "-f", "-t":
			if len(args) < 2 {
				return runtimeapi.Errorf("'%s' expects a value.\n", args[0])
			}
		default:
			return runtimeapi.Errorf("'show ssl sni' only takes '-f <frontend>', '-A' and '-t <offset>'.\n")
		}
		if args[0] == "-f" {
			frontend = args[1]
			if c.Worker.Snapshot().Frontends[frontend] == nil {
				return runtimeapi.Errorf("No such frontend.\n")
			}
		} else {
			var err error
			if offset, err = config.ParseTime(args[1], time.Second); err != nil {
				return runtimeapi.Errorf("'-t' expects a time, found '%s'.\n", args[1])
			}
		}
		args = args[1:]
	}
	limit := c.R.Wall().Add(offset)
	c.WriteString("# Frontend/Bind\tSNI\tNegative Filter\tType\tFilename\tNotAfter\tNotBefore\n")
	for _, b := range binds(c.Worker.Snapshot(), frontend) {
		for _, s := range b.Served() {
			if expired && s.Pair.Leaf.NotAfter.After(limit) {
				continue
			}
			if err := writeSNIs(c, b, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSNIs writes a line for each name that a certificate is for.
func writeSNIs(c *runtimeapi.Conn, b *Bind, s *Served) error {
	var not []string
	names := make([]string, 0, len(s.Names)+1)
	for _, n := range s.Names {
		switch {
		case n[0] == '!':
			not = append(not, n)
		case n != "*":
			names = append(names, n)
		}
	}
	if b.IsDefault(s.Entry) && !(b.Strict && !s.Default) {
		names = append(names, "*")
	}
	for _, n := range names {
		except := "-"
		if n[0] == '*' && n != "*" && len(not) > 0 {
			except = strings.Join(not, " ")
		}
		if err := c.Printf("%s/%s\t%s\t%s\t%s\t%s\t%s\t%s\n", b.Frontend, b.Pos, n, except, keyKind(s.Pair), s.Cert.Name,
			ocsp.Time(s.Pair.Leaf.NotAfter), ocsp.Time(s.Pair.Leaf.NotBefore)); err != nil {
			return err
		}
	}
	return nil
}

func keyKind(p *certs.Pair) string {
	switch p.Algorithm() {
	case certs.RSA:
		return "rsa"
	case certs.ECDSA:
		return "ecdsa"
	}
	return "ed25519"
}
