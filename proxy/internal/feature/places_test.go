package feature_test

import (
	_ "embed"
	"strings"
	"testing"

	_ "github.com/forebay-lb/forebay/proxy/internal/feature"
	"github.com/forebay-lb/forebay/proxy/internal/feature/sample"
)

//go:embed testdata/samples.tsv
var samples string

// matrixColumns are the places in the order of the matrix, as HAProxy prints them.
var matrixColumns = []string{
	"frontend tcp-request connection", "frontend tcp-request session", "frontend tcp-request content", "frontend http-request header",
	"frontend http-request body", "frontend use-backend", "backend tcp-request content", "backend http-request header",
	"backend http-request body", "backend use-server, balance", "server source selection", "backend tcp-response content",
	"backend http-response header", "backend http-response body", "backend stick-store", "frontend tcp-response content",
	"frontend http-response header", "frontend http-response body", "logs", "tcp-check", "configuration parser", "CLI parser",
}

// differentSamples are the fetches and converters that are not as HAProxy prints
// them, each with the reason.
var differentSamples = map[string]string{
	"fetch avg_queue":    theProxyItself,
	"fetch be_conn":      theProxyItself,
	"fetch be_conn_free": theProxyItself,
	"fetch be_sess_rate": theProxyItself,
	"fetch connslots":    theProxyItself,
	"fetch fe_conn":      theProxyItself,
	"fetch nbsrv":        theProxyItself,
	"fetch queue":        theProxyItself,

	"fetch ssl_fc_cipherlist_bin": asInTheManual,
	"fetch ssl_fc_cipherlist_hex": asInTheManual,
	"fetch ssl_fc_ecformats_bin":  asInTheManual,
	"fetch ssl_fc_eclist_bin":     asInTheManual,
	"fetch ssl_fc_extlist_bin":    asInTheManual,

	"converter ipmask": "the types of its arguments have names without blanks; messages say IPv4 mask",
}

const (
	theProxyItself = "without an argument it is the proxy that it is used in, as the manual says"
	asInTheManual  = "the type is the one that the manual gives, and that the value has"
)

// Every fetch and every converter takes the arguments, has the types, and is
// allowed in the places, that HAProxy 3.4 prints of it (-dKsmp, -dKcnv).
func TestSamplesAsPrinted(t *testing.T) {
	printed := map[string][]string{}
	for line := range strings.Lines(samples) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 5 {
			printed[f[0]+" "+f[1]] = f[2:]
		}
	}
	differs := map[string]bool{}
	differ := func(name, what, got, want string) {
		if got == want {
			return
		}
		differs[name] = true
		if differentSamples[name] == "" {
			t.Errorf("%s: %s is %q, not %q", name, what, got, want)
		}
	}
	for _, name := range sample.Names() {
		if strings.HasPrefix(name, "test_") {
			continue
		}
		f, p := sample.FindFetch(name), printed["fetch "+name]
		if name = "fetch " + name; p == nil {
			differ(name, "it", "there", "")
			continue
		}
		differ(name, "its arguments", f.Args, p[0])
		differ(name, "its type", f.Out.String(), family(p[1]))
		for i, column := range matrixColumns {
			differ(name, "its place in "+column, f.Where[i:i+1], p[2][i:i+1])
		}
	}
	for _, c := range sample.Converters() {
		name := "converter " + c.Name
		p := printed[name]
		switch {
		case strings.HasPrefix(c.Name, "test_"):
			continue
		case p == nil:
			differ(name, "it", "there", "")
			continue
		}
		differ(name, "its arguments", c.Args, p[0])
		differ(name, "its output", c.Out.String(), family(p[1]))
		differ(name, "its input", c.In.String(), family(p[2]))
	}
	for name := range differentSamples {
		if !differs[name] {
			t.Errorf("%s is as printed, and stands in the list of differences", name)
		}
	}
}

// family is the type that addresses of either family have here.
func family(printed string) string {
	if printed == "ipv4" || printed == "ipv6" {
		return "addr"
	}
	return printed
}
