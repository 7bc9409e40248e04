package ssl

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/slot"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// TicketKeys are the keys of a file of "tls-ticket-keys" (manual 5.1), the same on
// all machines of a fleet. The last but one seals tickets, all of them open.
type TicketKeys struct {
	// ID is the number that the Runtime commands know the file by, from 0; Name is
	// its name.
	ID   int
	Name string

	mu   sync.Mutex // orders changes
	ring atomic.Pointer[[]TicketKey]
}

// TicketKey is one key: the whole of it in the form of the file, 48 or 80 bytes.
// The first 16 are its name in tickets.
type TicketKey []byte

// ringSize is how many keys are kept.
const ringSize = 3

// parts are the secrets of a key, as OpenSSL's users lay them out.
func (k TicketKey) parts() (encrypt, sign []byte) {
	if len(k) == 48 {
		return k[16:32], k[32:48]
	}
	return k[48:80], k[16:48]
}

// Keys gives the keys, oldest first.
func (k *TicketKeys) Keys() []TicketKey { return *k.ring.Load() }

// Push adds a key as the newest one, in base64; the oldest one is forgotten.
func (k *TicketKeys) Push(text string) error {
	key, err := parseTicketKey(text)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.Keys()
	if len(key) != len(old[0]) {
		return fmt.Errorf("the key has %d bytes, those of the file have %d", len(key), len(old[0]))
	}
	next := append(slices.Clone(old[1:]), key)
	k.ring.Store(&next)
	return nil
}

func parseTicketKey(text string) (TicketKey, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("unable to decode base64 key")
	}
	if len(key) != 48 && len(key) != 80 {
		return nil, errors.New("wrong sized key")
	}
	return key, nil
}

// TicketKeyFiles are the files of a configuration, by number.
type TicketKeyFiles struct{ List []*TicketKeys }

var ticketFiles = slot.New[*stream.Global, TicketKeyFiles]()

// TicketKeysOf gives the files of ticket keys of a configuration, by number.
func TicketKeysOf(g *stream.Global) []*TicketKeys {
	if f := ticketFiles.Of(g); f != nil {
		return f.List
	}
	return nil
}

// loadTicketKeys reads a file of keys, once.
func loadTicketKeys(c *conf.Ctx, name string) (*TicketKeys, error) {
	files := ticketFiles.Make(c.Snap.Global)
	for _, k := range files.List {
		if k.Name == name {
			return k, nil
		}
	}
	data, err := c.ReadFile(name)
	if err != nil {
		return nil, conf.About(name, conf.Causef("unable to load ssl tickets keys file"))
	}
	var ring []TicketKey
	no := 0
	for line := range bytes.Lines(data) {
		no++
		key, err := parseTicketKey(string(bytes.TrimRight(line, "\r\n")))
		if err == nil && len(ring) > 0 && len(key) != len(ring[0]) {
			err = errors.New("wrong sized key")
		}
		if err != nil {
			return nil, conf.About(name, conf.Causef("%w on line %d", err, no))
		}
		if ring = append(ring, key); len(ring) > ringSize {
			ring = ring[1:]
		}
	}
	if len(ring) < ringSize {
		return nil, conf.About(name, conf.Causef("please supply at least %d keys in the tls-tickets-file", ringSize))
	}
	k := &TicketKeys{ID: len(files.List), Name: name}
	k.ring.Store(&ring)
	files.List = append(files.List, k)
	return k, nil
}

// Tickets have the form that RFC 5077 4 recommends: the key's name, an
// initialization vector, the session under AES-CBC, and an HMAC-SHA256 over these.
// The session begins with the time of its making.

func (k *TicketKeys) seal(state, policy []byte, now time.Time) []byte {
	ring := k.Keys()
	key := ring[len(ring)-2]
	encrypt, sign := key.parts()
	plain := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(state)+aes.BlockSize), uint32(now.Unix()))
	plain = append(plain, state...)
	for pad := aes.BlockSize - len(plain)%aes.BlockSize; ; {
		plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
		break
	}
	ticket := make([]byte, 32+len(plain), 32+len(plain)+sha256.Size)
	copy(ticket, key[:16])
	rand.Read(ticket[16:32])
	block, _ := aes.NewCipher(encrypt)
	cipher.NewCBCEncrypter(block, ticket[16:32]).CryptBlocks(ticket[32:], plain)
	return append(ticket, signature(sign, ticket, policy)...)
}

func (k *TicketKeys) open(ticket, policy []byte, now time.Time, lifetime time.Duration) []byte {
	n := len(ticket) - 32 - sha256.Size
	if n < aes.BlockSize || n%aes.BlockSize != 0 {
		return nil
	}
	for _, key := range k.Keys() {
		if !bytes.Equal(key[:16], ticket[:16]) {
			continue
		}
		encrypt, sign := key.parts()
		body := ticket[:32+n]
		if !hmac.Equal(signature(sign, body, policy), ticket[32+n:]) {
			return nil
		}
		plain := make([]byte, n)
		block, _ := aes.NewCipher(encrypt)
		cipher.NewCBCDecrypter(block, ticket[16:32]).CryptBlocks(plain, ticket[32:32+n])
		pad := int(plain[n-1])
		if pad == 0 || pad > aes.BlockSize || n-pad < 4 || !fresh(binary.BigEndian.Uint32(plain), now, lifetime) {
			return nil
		}
		return plain[4 : n-pad]
	}
	return nil
}

func signature(key, body, policy []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(body)
	h.Write(policy)
	return h.Sum(nil)
}
