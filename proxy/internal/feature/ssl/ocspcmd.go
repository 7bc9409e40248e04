package ssl

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
)

func init() {
	runtimeapi.Register(
		runtimeapi.Command{
			Words: "show ssl ocsp-response", Level: runtimeapi.User, Usage: "[[text|base64] id]",
			Help: "display the IDs of the OCSP responses used in memory, or the details of a single OCSP response (in text or base64 format)", Run: showResponse,
		},
		runtimeapi.Command{
			Words: "set ssl ocsp-response", Level: runtimeapi.Operator, Usage: "<resp|payload>",
			Help: "update a certificate's OCSP Response from a base64-encode DER", Payload: true, Run: setResponse,
		},
		runtimeapi.Command{
			Words: "update ssl ocsp-response", Level: runtimeapi.Operator, Usage: "<certfile>",
			Help: "send ocsp request and update stored ocsp response", Run: updateResponse,
		},
		runtimeapi.Command{
			Words: "show ssl ocsp-updates", Level: runtimeapi.User,
			Help: "display information about the next 'nb' ocsp responses that will be updated automatically", Run: showUpdates,
		},
	)
}

// statusesOf gives the statuses of a connection's worker; of thousands of
// certificates, that takes more time than a reactor has.
func statusesOf(c *runtimeapi.Conn) (list []*status) {
	g := c.Worker.Snapshot().Global
	stream.Await(c.R, func() { list = statuses(g) })
	return list
}

var errNoStatus = runtimeapi.Errorf("Certificate ID does not match any certificate.\n")

func showResponse(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" {
		return listResponses(c)
	}
	inBase64 := false
	if args[0] == "text" || args[0] == "base64" {
		inBase64 = args[0] == "base64"
		args = args[1:]
	}
	list := statusesOf(c)
	i := slices.IndexFunc(list, func(s *status) bool { return s.named(first(args)) })
	if i < 0 {
		return errNoStatus
	}
	response := list[i].response()
	switch {
	case response == nil:
		return nil
	case inBase64:
		return c.Printf("%s\n", base64.StdEncoding.EncodeToString(response))
	}
	return writeResponse(c, response)
}

// named tells whether an argument is the ID or the name of a certificate.
func (s *status) named(arg string) bool {
	return arg == hex.EncodeToString(s.id) || slices.ContainsFunc(s.certs, func(e *certs.Cert) bool { return e.Name == arg })
}

func listResponses(c *runtimeapi.Conn) error {
	for i, s := range statusesOf(c) {
		if i == 0 {
			c.WriteString("# Certificate IDs\n")
		}
		c.Printf("Certificate ID key : %x\nCertificate path : %s\n", s.id, s.certs[0].Name)
		if _, err := c.Write(s.id.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

func setResponse(c *runtimeapi.Conn, args []string) error {
	text := c.Payload
	if !c.HasPayload {
		text = first(args)
	}
	if text == "" {
		return runtimeapi.Errorf("'set ssl ocsp-response' expects response in base64 encoding.\n")
	}
	der, err := decode([]byte(text))
	if err != nil {
		return runtimeapi.Errorf("'set ssl ocsp-response' received invalid base64 encoded response.\n")
	}
	r, err := ocsp.Parse(der)
	if err == nil {
		err = r.Valid(time.Now())
	}
	if err != nil {
		return runtimeapi.Errorf("%s.\n", err)
	}
	list := statusesOf(c)
	var s *status
	var failed error
	stream.Await(c.R, func() {
		i := slices.IndexFunc(list, func(s *status) bool { return r.About(s.pair.Leaf, s.pair.Authority()) })
		if i < 0 {
			return
		}
		s = list[i]
		if err = s.pair.CheckOCSP(der, time.Now()); err == nil {
			failed = s.put(der)
		}
	})
	switch {
	case s == nil:
		return runtimeapi.Errorf("OCSP single response: Certificate ID does not match any certificate or issuer.\n")
	case err != nil:
		return runtimeapi.Errorf("%s.\n", err)
	case failed != nil:
		return runtimeapi.Errorf("Failed to update OCSP response. (%s)\n", failed)
	}
	renewals.In(c.Worker).follow(c.Worker)
	return c.Printf("OCSP Response updated!\n")
}

func updateResponse(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" {
		return runtimeapi.Errorf("'update ssl ocsp-response' expects a filename\n")
	}
	if storeOf(c).Cert(args[0]) == nil {
		return runtimeapi.Errorf("Unknown certificate! 'update ssl ocsp-response' expects an already known certificate file name.\n")
	}
	list := statusesOf(c)
	i := slices.IndexFunc(list, func(s *status) bool { return s.named(args[0]) })
	if i < 0 {
		return runtimeapi.Errorf("'update ssl ocsp-response' only works on certificates that already have a known OCSP response.\n")
	}
	s := list[i]
	if len(s.pair.Leaf.OCSPServer) == 0 {
		return runtimeapi.Errorf("No ocsp uri stored in cert %s!\n", args[0])
	}
	k := renewals.In(c.Worker)
	var response []byte
	var err error
	stream.Await(c.R, func() { response, err = k.renew(c.Worker, s) })
	if err != nil {
		return runtimeapi.Errorf("Can't update the OCSP response of %s: %s\n", args[0], err)
	}
	return writeResponse(c, response)
}

// dated writes a time as in logs, "-" for none.
func dated(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("02/Jan/2006:15:04:05 -0700")
}

func showUpdates(c *runtimeapi.Conn, _ []string) error {
	k := renewals.In(c.Worker)
	type row struct {
		status *status
		renewal
	}
	var rows []row
	for _, s := range statusesOf(c) {
		if s.renewed {
			r := k.get(s.id)
			k.mu.Lock()
			rows = append(rows, row{s, *r})
			k.mu.Unlock()
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.next.Compare(b.next) })
	c.WriteString("OCSP Certid | Path | Next Update | Last Update | Successes | Failures | Last Update Status | Last Update Status (str)\n")
	for _, r := range rows {
		if err := c.Printf("%x | %s | %s | %s | %d | %d | %d | %s\n", r.status.id, r.status.certs[0].Name, dated(r.next), dated(r.last), r.good, r.bad, r.result, r.text()); err != nil {
			return err
		}
	}
	return nil
}
