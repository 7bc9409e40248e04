package httpapi

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
)

func TestReplyError(t *testing.T) {
	for reply, want := range map[string]int{
		"No such server.":  404,
		"No such backend.": 404,
		"Can't display the certificate: Not found or the certificate is a bundle!":                       404,
		"'ca-file' : unable to load /etc/ca.pem (No such file or directory).":                            400,
		"'server' : unknown keyword 'zork'.":                                                             400,
		"Already exists a server with the same name in backend.":                                         409,
		"Can't replace a certificate which is not referenced by the configuration!\nCan't update a.pem!": 404,
		"The ongoing transaction is about 'a.pem' but you are trying to set 'b.pem'":                     409,
		"Unknown command: 'add ssl ca-file'":                                                             501,
	} {
		if got := replyError(&runtime.Error{Command: "x", Reply: reply}); got.Code != want {
			t.Errorf("%q: %d, want %d", reply, got.Code, want)
		}
	}
}

func TestTyped(t *testing.T) {
	status := &openapi3.SchemaRef{Value: openapi3.NewStringSchema().WithEnum("L4OK", "L7OK")}
	for _, c := range []struct {
		schema *openapi3.SchemaRef
		in     string
		want   any
	}{
		{status, "L4OK", "L4OK"},
		{status, "* L4OK", "L4OK"}, // while the next check is being made
		{openapi3.NewStringSchema().NewRef(), "* any", "* any"},
		{openapi3.NewInt64Schema().NewRef(), "12", int64(12)},
		{openapi3.NewInt64Schema().NewRef(), "-", nil},
	} {
		if got := typed(c.schema, c.in); got != c.want {
			t.Errorf("%q: %v, want %v", c.in, got, c.want)
		}
	}
}
