package httpapi

import (
	"testing"

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
