package ssl

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
	"github.com/forebay-lb/forebay/proxy/internal/pki/ocsp"
	"github.com/forebay-lb/forebay/proxy/internal/pki/x509text"
)

// Bounds of payloads, in bytes.
const (
	maxCertPayload = 1 << 20
	maxListPayload = 16 << 20 // authorities and revocation lists
)

// kind is what the commands about certificates, authorities and revocation lists
// have in common: their words.
type kind[T any] struct {
	word  string // "ca-file"
	thing string // "CA file"
	title string // the same at the beginning of a sentence
	short string // "CA"
	of    func(*certs.Store) *certs.Kind[T]
	// ready, unless nil, tells whether a value may be put in force; warning is
	// said of it if it may.
	ready func(s *certs.Store, name string, next *T) (warning string, err error)
}

// register adds the commands that all kinds have.
func (k *kind[T]) register() {
	add := func(verb string, run func(c *runtimeapi.Conn, args []string) error, help string) {
		runtimeapi.Register(runtimeapi.Command{Words: verb + " ssl " + k.word, Level: runtimeapi.Admin, Usage: "<" + strings.ReplaceAll(k.word, "cert", "certfile") + ">", Help: help, Run: run})
	}
	add("new", k.create, "create a new "+k.thing+", to be filled and used in a crt-list")
	add("commit", k.commit, "commit a "+k.thing)
	add("abort", k.abort, "abort a transaction for a "+k.thing)
	add("del", k.del, "delete an unused "+k.thing)
}

// storeOf gives the certificates that a connection's commands are about.
func storeOf(c *runtimeapi.Conn) *certs.Store { return StoreOf(c.Worker.Snapshot().Global) }

// reserved runs f off the reactor while no other command changes certificates.
// what is done, for the refusal.
func reserved(c *runtimeapi.Conn, what string, f func(s *certs.Store) (reply string, err error)) error {
	s := storeOf(c)
	if !s.TryLock() {
		return runtimeapi.Errorf("Can't %s!\nOperations on certificates are currently locked!\n", what)
	}
	var reply string
	var err error
	stream.Await(c.R, func() {
		defer s.Unlock()
		reply, err = f(s)
	})
	if err != nil {
		return err
	}
	_, err = c.WriteString(reply)
	return err
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (k *kind[T]) create(c *runtimeapi.Conn, args []string) error {
	name := first(args)
	if name == "" {
		return runtimeapi.Errorf("'new ssl %s' expects a filename\n", k.word)
	}
	return reserved(c, "create the "+k.thing, func(s *certs.Store) (string, error) {
		if _, err := k.of(s).New(name, nil); err != nil {
			return "", runtimeapi.Errorf("%s '%s' already exists!\n", k.title, name)
		}
		if k.word == "cert" {
			return fmt.Sprintf("New empty certificate store '%s'!\n", name), nil
		}
		return fmt.Sprintf("New %s created '%s'!\n", k.thing, name), nil
	})
}

// set changes the value to be of an entry.
func (k *kind[T]) set(s *certs.Store, name string, change func(*T) (*T, error)) (string, error) {
	created, err := k.of(s).Set(name, change)
	var other *certs.OtherError
	switch {
	case errors.Is(err, certs.ErrUnknown):
		return "", runtimeapi.Errorf("Can't replace a %s which is not referenced by the configuration!\nCan't update %s!\n", k.thing, name)
	case errors.As(err, &other):
		return "", runtimeapi.Errorf("%s\nCan't update %s!\n", other, name)
	case err != nil:
		return "", err
	}
	how, word := "updated", "transaction"
	if created {
		how = "created"
	}
	if k.word == "cert" {
		word = "Transaction"
	}
	return fmt.Sprintf("%s %s for %s %s!\n", word, how, k.short, name), nil
}

func (k *kind[T]) commit(c *runtimeapi.Conn, args []string) error {
	name := first(args)
	if name == "" {
		return runtimeapi.Errorf("'commit ssl %s expects a filename\n", k.word)
	}
	err := reserved(c, "commit the "+k.thing, func(s *certs.Store) (string, error) {
		list := k.of(s)
		warning, dots := "", 0
		var err error
		if e, next := list.Transaction(); e != nil && e.Name == name && k.ready != nil {
			warning, err = k.ready(s, name, next)
		}
		if err != nil {
			return "", runtimeapi.Errorf("%s\nCan't commit %s!\n", err, name)
		}
		err = list.Commit(name, func() { dots++ })
		var other *certs.OtherError
		switch {
		case errors.Is(err, certs.ErrNoTransaction):
			return "", runtimeapi.Errorf("No ongoing transaction! !\nCan't commit %s!\n", name)
		case errors.As(err, &other):
			return "", runtimeapi.Errorf("%s\nCan't commit %s!\n", err, name)
		case err != nil:
			return "", runtimeapi.Errorf("Committing %s%s\n%s\nCan't commit %s!\n", name, strings.Repeat(".", dots), err, name)
		}
		return fmt.Sprintf("Committing %s%s\n%sSuccess!\n", name, strings.Repeat(".", dots), warning), nil
	})
	if err == nil {
		renewals.In(c.Worker).follow(c.Worker)
	}
	return err
}

func (k *kind[T]) abort(c *runtimeapi.Conn, args []string) error {
	name := first(args)
	if name == "" {
		return runtimeapi.Errorf("'abort ssl %s' expects a filename\n", k.word)
	}
	return reserved(c, "abort the "+k.thing, func(s *certs.Store) (string, error) {
		err := k.of(s).Abort(name)
		var other *certs.OtherError
		switch {
		case errors.As(err, &other):
			return "", runtimeapi.Errorf("The ongoing transaction is about '%s' but you are trying to abort a transaction for '%s'\n", other.Open, name)
		case err != nil:
			return "", runtimeapi.Errorf("No ongoing transaction!\n")
		}
		return fmt.Sprintf("Transaction aborted for certificate '%s'!\n", name), nil
	})
}

func (k *kind[T]) del(c *runtimeapi.Conn, args []string) error {
	name := first(args)
	if name == "" {
		what := k.title + " name"
		if k.word == "cert" {
			what = "certificate name"
		}
		return runtimeapi.Errorf("'del ssl %s' expects a %s\n", k.word, what)
	}
	g := c.Worker.Snapshot().Global
	return reserved(c, "delete the "+k.thing, func(s *certs.Store) (string, error) {
		refuse := func(format string, args ...any) (string, error) {
			return "", runtimeapi.Errorf("Can't remove the %s: %s\n", k.thing, fmt.Sprintf(format, args...))
		}
		list := k.of(s)
		if e, _ := list.Transaction(); e != nil && e.Name == name {
			return refuse("ongoing transaction for the %s '%s'", k.thing, name)
		}
		err := certs.ErrUsed
		if k.word != "cert" || !listed(g, name) {
			err = list.Delete(name)
		}
		switch {
		case errors.Is(err, certs.ErrUsed):
			return refuse("%s '%s' in use, can't be deleted!", k.thing, name)
		case err != nil:
			return refuse("%s '%s' doesn't exist!", k.thing, name)
		}
		if k.word == "cert" {
			updatesOf(g).forget(name)
		}
		return fmt.Sprintf("%s '%s' deleted!\n", k.title, name), nil
	})
}

// wanted gives the entry that an argument names and its value, or the one to be
// if there is an asterisk before the name. An asterisk that belongs to the name
// has a backslash before it.
func (k *kind[T]) wanted(s *certs.Store, arg string) (e *certs.Entry[T], v *T, transaction bool) {
	if name, ok := strings.CutPrefix(arg, "*"); ok {
		e, v = k.of(s).Transaction()
		if e == nil || e.Name != name {
			return nil, nil, true
		}
		return e, v, true
	}
	if strings.HasPrefix(arg, `\*`) {
		arg = arg[1:]
	}
	if e = k.of(s).Get(arg); e != nil {
		v = e.Load()
	}
	return e, v, false
}

// indexed is wanted for a name that may end with the number of one part, from 1.
// number is 0 without one.
func (k *kind[T]) indexed(s *certs.Store, arg string) (e *certs.Entry[T], v *T, transaction bool, number int, err error) {
	if e, v, transaction = k.wanted(s, arg); e != nil {
		return e, v, transaction, 0, nil
	}
	if i := strings.LastIndexByte(arg, ':'); i >= 0 {
		if e, v, transaction = k.wanted(s, arg[:i]); e != nil {
			if number, err = strconv.Atoi(arg[i+1:]); err != nil || number < 1 {
				return nil, nil, false, 0, runtimeapi.Errorf("wrong %s index after colons in '%s'!\n", k.short, arg)
			}
			return e, v, transaction, number, nil
		}
	}
	return nil, nil, false, 0, runtimeapi.Errorf("Can't display the %s : Not found!\n", k.thing)
}

// header writes what details begin with.
func (k *kind[T]) header(c *runtimeapi.Conn, e *certs.Entry[T], v *T, transaction bool) error {
	star, status := "", "Unused"
	switch {
	case v == nil:
		status = "Empty"
	case !transaction && len(e.Users()) > 0:
		status = "Used"
	}
	if transaction {
		star = "*"
	}
	return c.Printf("Filename: %s%s\nStatus: %s\n", star, e.Name, status)
}

// list writes all entries; more adds to each line.
func (k *kind[T]) list(c *runtimeapi.Conn, more func(*T) string) error {
	list := k.of(storeOf(c))
	if e, next := list.Transaction(); e != nil {
		c.Printf("# transaction\n*%s%s\n", e.Name, more(next))
	}
	c.WriteString("# filename\n")
	for _, e := range list.All() {
		if err := c.Printf("%s%s\n", e.Name, more(e.Load())); err != nil {
			return err
		}
	}
	return nil
}

// appendCert appends what there is to say of a certificate.
func appendCert(b []byte, x *x509.Certificate) []byte {
	b = fmt.Appendf(b, "Serial: %s\nnotBefore: %s\nnotAfter: %s\nSubject Alternative Name: ", ocsp.Serial(x), ocsp.Time(x.NotBefore), ocsp.Time(x.NotAfter))
	b = appendNames(b, x)
	b = fmt.Appendf(b, "\nAlgorithm: %s\nSHA1 FingerPrint: %X\nSubject: ", x509text.KeyName(x), sha1.Sum(x.Raw))
	b = x509text.AppendDN(b, x.RawSubject)
	b = x509text.AppendDN(append(b, "\nIssuer: "...), x.RawIssuer)
	return append(b, '\n')
}

// appendNames appends the names of hosts among the alternative names; of others,
// as in HAProxy, only the comma shows.
func appendNames(b []byte, x *x509.Certificate) []byte {
	for _, e := range x.Extensions {
		if e.Id.String() != "2.5.29.17" {
			continue
		}
		list := cryptobyte.String(e.Value)
		list.ReadASN1(&list, asn1.SEQUENCE)
		for n := 0; len(list) > 0; n++ {
			var v cryptobyte.String
			var tag asn1.Tag
			if !list.ReadAnyASN1(&v, &tag) {
				break
			}
			if n > 0 {
				b = append(b, ", "...)
			}
			if tag&0x1f == 2 {
				b = append(append(b, "DNS:"...), bytes.ToValidUTF8(v, []byte("?"))...)
			}
		}
	}
	return b
}
