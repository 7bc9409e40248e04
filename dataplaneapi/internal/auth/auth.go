package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"

	"github.com/GehirnInc/crypt"
	_ "github.com/GehirnInc/crypt/apr1_crypt"
	_ "github.com/GehirnInc/crypt/md5_crypt"
	_ "github.com/GehirnInc/crypt/sha256_crypt"
	_ "github.com/GehirnInc/crypt/sha512_crypt"
	"github.com/forebay-lb/forebay/proxy/config"
	"golang.org/x/crypto/bcrypt"
)

// User is one account.
type User struct {
	Name     string
	Password string
	Plain    bool // not a hash
}

// FromUserlist reads the users of a userlist section. found is false when there is no such section.
func FromUserlist(f *config.File, name string) (users []User, found bool) {
	for _, s := range f.Sections() {
		if s.Kind != "userlist" || s.Name != name {
			continue
		}
		found = true
		for _, l := range s.Body {
			if len(l.Words) < 4 || l.Words[0] != "user" {
				continue
			}
			for i := 2; i+1 < len(l.Words); i += 2 {
				switch l.Words[i] {
				case "password":
					users = append(users, User{l.Words[1], l.Words[i+1], false})
				case "insecure-password":
					users = append(users, User{l.Words[1], l.Words[i+1], true})
				}
			}
		}
	}
	return users, found
}

// Supported tells whether a hash is one that can be checked.
func Supported(hash string) bool { return isBcrypt(hash) || crypt.IsHashSupported(hash) }

func isBcrypt(hash string) bool {
	return strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
}

// Checker checks passwords. Hashes are slow on purpose, so what was right is remembered, as a keyed digest.
type Checker struct {
	mu    sync.Mutex
	key   [32]byte
	known map[[32]byte]bool
	slow  chan struct{} // bounds how many hashes are computed at the same time
}

const maxKnown = 1024

// NewChecker returns a Checker.
func NewChecker() *Checker {
	c := &Checker{known: map[[32]byte]bool{}, slow: make(chan struct{}, 2)}
	rand.Read(c.key[:])
	return c
}

// Check tells whether one of the users has this name and password. It takes as long for a name that does not exist.
func (c *Checker) Check(users []User, name, password string) bool {
	ok := false
	hashed := false
	for _, u := range users {
		same := subtle.ConstantTimeCompare(digest(u.Name), digest(name)) == 1
		if u.Plain {
			right := subtle.ConstantTimeCompare(digest(u.Password), digest(password)) == 1
			ok = ok || same && right
			continue
		}
		if same {
			hashed = true
			ok = ok || c.verify(u.Password, password)
		}
	}
	if !ok && !hashed {
		// A name that nobody has costs what a wrong password costs.
		for _, u := range users {
			if !u.Plain {
				c.verify(u.Password, password)
				break
			}
		}
	}
	return ok
}

func digest(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func (c *Checker) verify(hash, password string) bool {
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write(digest(hash))
	mac.Write(digest(password))
	sum := [32]byte(mac.Sum(nil))
	c.mu.Lock()
	known := c.known[sum]
	c.mu.Unlock()
	if known {
		return true
	}
	c.slow <- struct{}{}
	right := compare(hash, password)
	<-c.slow
	if right {
		c.mu.Lock()
		if len(c.known) >= maxKnown {
			clear(c.known)
		}
		c.known[sum] = true
		c.mu.Unlock()
	}
	return right
}

func compare(hash, password string) bool {
	if len(password) > 512 {
		return false
	}
	if isBcrypt(hash) {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	if !crypt.IsHashSupported(hash) {
		return false
	}
	return crypt.NewFromHash(hash).Verify(hash, []byte(password)) == nil
}
