package ssl

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

func TestIgnoredErrors(t *testing.T) {
	for _, x := range []struct {
		text    string
		has     []int
		lacks   []int
		refused string
	}{
		{text: "all", has: []int{1, 10, 94}},
		{text: "10,18", has: []int{10, 18}, lacks: []int{1, 9, 11, 94}},
		{text: "X509_V_ERR_CERT_HAS_EXPIRED,19", has: []int{10, 19}, lacks: []int{9, 18}},
		{text: "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", has: []int{19}},
		{text: "X509_V_ERR_CERT_REVOKED", has: []int{23}},
		{text: "X509_V_ERR_HOSTNAME_MISMATCH", has: []int{62}},
		{text: "X509_V_ERR_EC_KEY_EXPLICIT_PARAMS", has: []int{94}},
		{text: "0", refused: "0"}, {text: "95", refused: "95"}, {text: "-1", refused: "-1"}, {text: "10,", refused: ""}, {text: "10,all", refused: "all"}, {text: "CERT_REVOKED", refused: "CERT_REVOKED"},
	} {
		s, err := parseIgnored(x.text)
		if len(x.has) == 0 {
			want := "'crt-ignore-err' : ID '" + x.refused + "' out of range (1..94) in error IDs list '" + x.text + "'"
			if err = conf.About("crt-ignore-err", err); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", x.text, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", x.text, err)
		}
		for _, n := range x.has {
			if !s.has(n) {
				t.Errorf("%s: %d is not in it", x.text, n)
			}
		}
		for _, n := range append(x.lacks, -1, 1000) {
			if s.has(n) {
				t.Errorf("%s: %d is in it", x.text, n)
			}
		}
	}
}
