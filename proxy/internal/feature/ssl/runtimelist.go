package ssl

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/pki/certs"
)

func init() {
	runtimeapi.Register(
		runtimeapi.Command{
			Words: "add ssl crt-list", Level: runtimeapi.Admin, Usage: "<list> <cert> [opts]*",
			Help: "add to crt-list file <list> a line <cert> or a payload", Payload: true, Run: addToList,
		},
		runtimeapi.Command{
			Words: "del ssl crt-list", Level: runtimeapi.Admin, Usage: "<list> <cert[:line]>",
			Help: "delete a line <cert> from crt-list file <list>", Run: delFromList,
		},
		runtimeapi.Command{
			Words: "show ssl crt-list", Level: runtimeapi.Admin, Usage: "[-n] [<list>]",
			Help: "show the list of crt-lists or the content of a crt-list file <list>", Run: showList,
		},
	)
}

// crtListName gives the name of a list as an argument has it: folders may be followed
// by slashes.
func crtListName(arg string) string {
	if trimmed := strings.TrimRight(arg, "/"); trimmed != "" {
		return trimmed
	}
	return arg
}

func addToList(c *runtimeapi.Conn, args []string) error {
	if first(args) == "" || len(args) < 2 && !c.HasPayload {
		return runtimeapi.Errorf("'add ssl crtlist' expects a filename and a certificate name\n")
	}
	text := c.Payload
	if !c.HasPayload {
		text = args[1]
	}
	name := crtListName(args[0])
	g := c.Worker.Snapshot().Global
	err := reserved(c, "edit the crt-list", func(s *certs.Store) (string, error) {
		refuse := func(format string, args ...any) (string, error) {
			return "", runtimeapi.Errorf("Can't edit the crt-list: %s\n", fmt.Sprintf(format, args...))
		}
		l := CrtListsOf(g).Get(name)
		if l == nil {
			return refuse("crt-list '%s' does not exist!", name)
		}
		text = strings.TrimRight(text, "\r\n")
		if strings.Contains(text, "\n") {
			return refuse("only one line of payload is supported!")
		}
		line, err := ParseCrtLine(text, DefaultsOf(g))
		switch {
		case err != nil:
			return refuse("parsing [CLI:1]: %s", err)
		case line == nil:
			return "", runtimeapi.Errorf("'add ssl crtlist' should contain the certificate name in the payload\n")
		}
		if l.dir && !strings.HasPrefix(line.Name, l.Name+"/") {
			return refuse("'%s' is a directory, certificate path '%s' must contain the directory path", l.Name, line.Name)
		}
		cert := s.Cert(line.Name)
		switch {
		case cert == nil:
			return refuse("certificate '%s' does not exist!", line.Name)
		case cert.Load() == nil:
			return refuse("certificate '%s' is empty!", line.Name)
		case line.Files != certs.Paths{}:
			return refuse("the files of a certificate can't be told at run time, use 'set ssl cert'")
		}
		if err := known(s, line.Set); err != nil {
			return refuse("parsing [CLI:1]: %s", err)
		}
		if err := updatesOf(g).agrees(cert.Name, line.OCSPUpdate); err != nil {
			return refuse("%s", err)
		}
		n, err := l.append(line, cert)
		if err != nil {
			return refuse("%s", err)
		}
		updatesOf(g).say(cert.Name, line.OCSPUpdate)
		return fmt.Sprintf("Inserting certificate '%s' in crt-list '%s'%s\nSuccess!\n", cert.Name, l.Name, strings.Repeat(".", n)), nil
	})
	if err == nil {
		renewals.In(c.Worker).follow(c.Worker)
	}
	return err
}

// known tells whether the store has the files that settings name: no file is read
// at run time.
func known(s *certs.Store, set *Settings) error {
	if set == nil {
		return nil
	}
	switch {
	case set.CAFile != "" && !filled(s.CA(set.CAFile)):
		return fmt.Errorf("'ca-file' : unable to load %s", set.CAFile)
	case set.CAVerifyFile != "" && !filled(s.CA(set.CAVerifyFile)):
		return fmt.Errorf("'ca-verify-file' : unable to load %s", set.CAVerifyFile)
	case set.CRLFile != "" && !filled(s.CRL(set.CRLFile)):
		return fmt.Errorf("'crl-file' : unable to load %s", set.CRLFile)
	}
	return nil
}

func filled[T any](e *certs.Entry[T]) bool { return e != nil && e.Load() != nil }

// append adds a line with its certificate; n is how many bind lines have the list.
func (l *CrtList) append(line *Line, cert *certs.Cert) (n int, err error) {
	err = l.replace(func(old []Entry) []Entry {
		n = len(l.binds)
		line.Number = l.last + 1
		return append(slices.Clone(old), Entry{line, cert})
	})
	if err == nil {
		err = certs.Change(func() error { l.last = max(l.last, line.Number); return nil })
	}
	return n, err
}

func delFromList(c *runtimeapi.Conn, args []string) error {
	if len(args) < 2 || args[0] == "" || args[1] == "" {
		return runtimeapi.Errorf("'del ssl crtlist' expects a filename and a certificate name\n")
	}
	name := crtListName(args[0])
	g := c.Worker.Snapshot().Global
	return reserved(c, "delete", func(s *certs.Store) (string, error) {
		refuse := func(format string, args ...any) (string, error) {
			return "", runtimeapi.Errorf("Can't delete the entry: %s\n", fmt.Sprintf(format, args...))
		}
		l := CrtListsOf(g).Get(name)
		if l == nil {
			return refuse("crt-list '%s' does not exist!", name)
		}
		e, err := l.pick(s, args[1])
		if err != nil {
			return refuse("%s", err)
		}
		text := ""
		for _, b := range l.Binds() {
			if !b.Strict && b.IsDefault(e) {
				text += fmt.Sprintf("\t- %s\n", b.Pos)
			}
		}
		if text != "" {
			return refuse("certificate '%s' cannot be deleted, it is used as default certificate by the following frontends:\n%s", e.Cert.Name, strings.TrimSuffix(text, "\n"))
		}
		if err := l.Remove(e); err != nil {
			return refuse("%s", err)
		}
		return fmt.Sprintf("Entry '%s' deleted in crtlist '%s'!\n", e.Cert.Name, l.Name), nil
	})
}

// pick finds the entry that "<cert>[:<line>]" names.
func (l *CrtList) pick(s *certs.Store, arg string) (Entry, error) {
	name, line := arg, 0
	if i := strings.LastIndexByte(arg, ':'); i >= 0 && s.Cert(arg) == nil {
		var err error
		if line, err = strconv.Atoi(arg[i+1:]); err != nil || line < 0 {
			return Entry{}, fmt.Errorf("wrong line number after colons in '%s'!", arg)
		}
		name = arg[:i]
	}
	if s.Cert(name) == nil {
		return Entry{}, fmt.Errorf("certificate '%s' does not exist!", name)
	}
	var found []Entry
	var lines []string
	for _, e := range l.Entries() {
		if e.Cert.Name == name {
			found = append(found, e)
			lines = append(lines, strconv.Itoa(e.Number))
		}
	}
	switch {
	case len(found) == 0:
		return Entry{}, fmt.Errorf("certificate '%s' can't be found in crt-list '%s'!", name, l.Name)
	case name == arg && len(found) > 1:
		return Entry{}, fmt.Errorf("found the certificate '%s' in several entries, please specify a line number preceded by colons (%s)!", name, strings.Join(lines, ", "))
	case name == arg:
		return found[0], nil
	}
	for _, e := range found {
		if e.Number == line {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("found a certificate '%s' but the line number is incorrect, please specify a correct line number preceded by colons (%s)!", name, strings.Join(lines, ", "))
}

var errNoList = errors.New("didn't find the specified filename\n")

func showList(c *runtimeapi.Conn, args []string) error {
	numbers := first(args) == "-n"
	if numbers {
		args = args[1:]
	}
	lists := CrtListsOf(c.Worker.Snapshot().Global)
	if first(args) == "" {
		if numbers {
			return runtimeapi.Errorf("'show ssl crt-list -n' expects a filename or a directory\n")
		}
		for _, l := range lists.All() {
			if err := c.Printf("%s\n", l.Name); err != nil {
				return err
			}
		}
		return nil
	}
	l := lists.Get(crtListName(args[0]))
	if l == nil {
		return runtimeapi.Error(errNoList.Error())
	}
	c.Printf("# %s\n", l.Name)
	for _, e := range l.Entries() {
		line := e.Cert.Name
		if numbers {
			line += ":" + strconv.Itoa(e.Number)
		}
		// What follows the name is the same for all certificates of a bundle.
		if err := c.Printf("%s%s\n", line, strings.TrimPrefix(e.Line.String(), e.Line.Name)); err != nil {
			return err
		}
	}
	return nil
}

// binds gives the bind lines under TLS of a configuration, those of one frontend
// unless name is "".
func binds(snap *stream.Snapshot, name string) []*Bind {
	var out []*Bind
	for _, p := range snap.Proxies {
		if name != "" && p.Name != name {
			continue
		}
		for _, x := range p.Binds {
			// A line with several addresses is one.
			if b := served.Of(x); b != nil && (*b).on && !slices.Contains(out, *b) {
				out = append(out, *b)
			}
		}
	}
	return out
}
