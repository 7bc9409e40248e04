package ssl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// suite is a cipher suite up to TLS 1.2 in OpenSSL's terms.
type suite struct {
	name  string   // OpenSSL's
	words []string // groups of "man 1 ciphers" that it belongs to
}

func (s suite) has(word string) bool { return slices.Contains(s.words, word) }

// preferred are the suites that can be chosen, in crypto/tls's order of
// preference. What crypto/tls itself considers broken is missing: RC4, 3DES,
// and CBC with SHA-256, which it does not protect against timing attacks.
var preferred = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

var suites = map[uint16]suite{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       newSuite("ECDHE-ECDSA-AES128-GCM-SHA256"),
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         newSuite("ECDHE-RSA-AES128-GCM-SHA256"),
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       newSuite("ECDHE-ECDSA-AES256-GCM-SHA384"),
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         newSuite("ECDHE-RSA-AES256-GCM-SHA384"),
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: newSuite("ECDHE-ECDSA-CHACHA20-POLY1305"),
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   newSuite("ECDHE-RSA-CHACHA20-POLY1305"),
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          newSuite("ECDHE-ECDSA-AES128-SHA"),
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA:            newSuite("ECDHE-RSA-AES128-SHA"),
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA:          newSuite("ECDHE-ECDSA-AES256-SHA"),
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            newSuite("ECDHE-RSA-AES256-SHA"),
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256:               newSuite("AES128-GCM-SHA256"),
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384:               newSuite("AES256-GCM-SHA384"),
	tls.TLS_RSA_WITH_AES_128_CBC_SHA:                  newSuite("AES128-SHA"),
	tls.TLS_RSA_WITH_AES_256_CBC_SHA:                  newSuite("AES256-SHA"),
}

// newSuite derives the groups of a suite from its name.
func newSuite(name string) suite {
	w := []string{"ALL", "HIGH", "DEFAULT"}
	kx, au, rest := "RSA", "RSA", name
	if r, ok := strings.CutPrefix(name, "ECDHE-"); ok {
		kx = "ECDHE"
		au, rest, _ = strings.Cut(r, "-")
	}
	if kx == "RSA" {
		w = append(w, "kRSA", "RSA")
	} else {
		w = append(w, "kECDHE", "kEECDH", "ECDHE", "EECDH", "ECDH")
	}
	w = append(w, "a"+au)
	if au == "ECDSA" {
		w = append(w, "ECDSA")
	}
	if strings.HasPrefix(rest, "AES") {
		w = append(w, "AES", rest[:len("AES128")], "FIPS")
	}
	switch {
	case strings.Contains(rest, "CHACHA20"):
		w = append(w, "CHACHA20", "TLSv1.2")
	case strings.Contains(rest, "GCM"):
		w = append(w, "AESGCM", "TLSv1.2")
	case kx == "ECDHE":
		w = append(w, "CBC", "SHA", "SHA1", "TLSv1.0", "TLSv1")
	default:
		w = append(w, "CBC", "SHA", "SHA1", "SSLv3")
	}
	return suite{name, w}
}

// systemWide stands in configurations of distributions for what the system says:
// here, for the defaults.
const systemWide = "PROFILE=SYSTEM"

// maxCipherList bounds the text of a list, in bytes.
const maxCipherList = 16 << 10

// selection is what the words of a list come to.
type selection struct {
	list   []uint16
	named  []uint16 // those called by their own names, in that order
	killed map[uint16]bool
	left   []string // what there is not
	level  int
}

// word reads one word of a list.
func (s *selection) word(word string, first bool) (err error) {
	if n, ok := strings.CutPrefix(word, "@SECLEVEL="); ok {
		if s.level, err = strconv.Atoi(n); err != nil || s.level < 0 || s.level > 5 {
			return errors.New("the level of security is a number from 0 to 5")
		}
		return nil
	}
	op, name := byte(0), word
	if strings.ContainsRune("!-+", rune(word[0])) {
		op, name = word[0], word[1:]
	}
	if name == "DEFAULT" && !first {
		name = "" // means something at the beginning only
	}
	switch match := matching(name); {
	case word == "@STRENGTH": // sorts what crypto/tls sorts itself
	case op == '!', op == '-':
		s.remove(match, op == '!')
	case op == 0:
		s.add(name, match)
	}
	return nil
}

// remove takes suites out, for good if that is said.
func (s *selection) remove(match []uint16, forGood bool) {
	for _, id := range match {
		s.killed[id] = s.killed[id] || forGood
	}
	gone := func(id uint16) bool { return slices.Contains(match, id) }
	s.list, s.named = slices.DeleteFunc(s.list, gone), slices.DeleteFunc(s.named, gone)
}

// add adds the suites that a name stands for.
func (s *selection) add(name string, match []uint16) {
	for _, id := range match {
		if s.killed[id] || slices.Contains(s.list, id) {
			continue
		}
		s.list = append(s.list, id)
		if suites[id].name == name {
			s.named = append(s.named, id)
		}
	}
	if len(match) == 0 && name != "" {
		s.left = append(s.left, name)
	}
}

// cipherList reads a list in OpenSSL's notation (man 1 ciphers). level is what
// @SECLEVEL says, -1: nothing. A nil list is crypto/tls's own.
func cipherList(text string, server bool, warn func(string, ...any)) (list []uint16, level int, err error) {
	if text == systemWide {
		return nil, -1, nil
	}
	if len(text) > maxCipherList {
		return nil, 0, fmt.Errorf("unable to set SSL cipher list: it is longer than %d bytes", maxCipherList)
	}
	s := selection{level: -1, killed: map[uint16]bool{}}
	for i, word := range strings.FieldsFunc(text, isListSeparator) {
		if err := s.word(word, i == 0); err != nil {
			return nil, 0, fmt.Errorf("unable to set SSL cipher list to '%s': %w", text, err)
		}
	}
	if len(s.list) == 0 {
		return nil, 0, fmt.Errorf("unable to set SSL cipher list to '%s': none of them is available in Go's crypto/tls", text)
	}
	if len(s.left) > 0 {
		warn("ciphers that Go's crypto/tls does not have, or holds for broken, are left out: %s.", strings.Join(s.left, ", "))
	}
	byPreference := func(a, b uint16) int { return slices.Index(preferred, a) - slices.Index(preferred, b) }
	if !server && !slices.IsSortedFunc(s.named, byPreference) {
		warn("the order of the ciphers is crypto/tls's own, not the one of '%s'.", text)
	}
	slices.SortFunc(s.list, byPreference)
	return s.list, s.level, nil
}

// matching gives the suites that a name stands for: one suite's own, a group, or
// what several groups joined by "+" have in common.
func matching(name string) []uint16 {
	var out []uint16
	parts := strings.Split(name, "+")
	for _, id := range preferred {
		s := suites[id]
		all := true
		for _, p := range parts {
			all = all && (s.name == p || s.has(p))
		}
		if all {
			out = append(out, id)
		}
	}
	return out
}
