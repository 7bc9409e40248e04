package auth

import (
	"testing"

	"github.com/forebay-lb/forebay/proxy/config"
	"golang.org/x/crypto/bcrypt"
)

const userlists = `
userlist api
    user plain insecure-password s3cret
    user md5 password $1$saltsalt$qjXMvbEw8oaL.CzflDtaK/
    user sha256 password $5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.
    user sha512 groups g1 password $6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/
userlist other
    user x insecure-password y
`

func TestCheck(t *testing.T) {
	users, found := FromUserlist(config.Parse("t", []byte(userlists)), "api")
	if !found || len(users) != 4 {
		t.Fatalf("found %v, users %v", found, users)
	}
	c := NewChecker()
	for _, x := range []struct {
		name, password string
		want           bool
	}{
		{"plain", "s3cret", true}, {"plain", "s3cre", false}, {"plain", "", false}, {"x", "y", false}, {"", "", false},
		{"md5", "password", true}, {"md5", "Password", false},
		{"sha256", "password", true}, {"sha256", "passwords", false},
		{"sha512", "password", true}, {"sha512", "", false},
		{"nobody", "password", false},
	} {
		for range 2 { // the second time from memory
			if got := c.Check(users, x.name, x.password); got != x.want {
				t.Errorf("%s with %q: %v", x.name, x.password, got)
			}
		}
	}
}

func TestBcrypt(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := NewChecker()
	users := []User{{"b", string(hash), false}}
	if c.Check(users, "b", "wrong") || !c.Check(users, "b", "password") {
		t.Error("bcrypt is checked wrong")
	}
	if !Supported(users[0].Password) || Supported("abc") {
		t.Error("Supported is wrong")
	}
}

// Each account has its own password, also once others' were right and are
// remembered.
func TestAccountsDoNotShare(t *testing.T) {
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	users := []User{
		{"anna", hash("of anna"), false}, {"bert", hash("of bert"), false},
		{"carl", "of carl", true}, {"dora", "of dora", true},
	}
	c := NewChecker()
	for range 2 { // the second time from memory
		for _, u := range users {
			for _, of := range users {
				if got, want := c.Check(users, u.Name, "of "+of.Name), u.Name == of.Name; got != want {
					t.Errorf("%s with the password of %s: %v", u.Name, of.Name, got)
				}
			}
		}
	}
}

// What is remembered is bounded.
func TestMemoryIsBounded(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("p"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := NewChecker()
	for i := range maxKnown {
		c.known[[32]byte{byte(i), byte(i >> 8)}] = true
	}
	if !c.Check([]User{{"u", string(h), false}}, "u", "p") || len(c.known) > maxKnown {
		t.Errorf("%d are remembered", len(c.known))
	}
}
