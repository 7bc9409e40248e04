package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// smallBuffer is less than the buffer that HAProxy has for a command by default, in bytes (tune.bufsize).
const smallBuffer = 15 << 10

// Kind is a kind of files that the proxy holds for TLS, by the word that its commands have for it (chapter 9.3).
type Kind string

// The kinds of files.
const (
	Cert    Kind = "cert"
	CAFile  Kind = "ca-file"
	CRLFile Kind = "crl-file"
)

// Kinds are all of them.
var Kinds = []Kind{Cert, CAFile, CRLFile}

// Quote writes a name as one word of a command, which announces no payload.
func Quote(name string) string { return quoter.Replace(name) }

var quoter = strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", ";", `\;`, "<<", `\<\<`)

// expect runs a command whose reply has to have want in it. Another one is an *[Error].
func (c *Client) expect(ctx context.Context, command string, payload []byte, want string) error {
	reply, err := c.Do(ctx, command, payload)
	if err != nil {
		return err
	}
	if !strings.Contains(reply, want) {
		return &Error{firstWords(command), strings.TrimSpace(reply)}
	}
	return nil
}

// firstWords are what a command is named by in messages.
func firstWords(command string) string {
	w := strings.Fields(command)
	return strings.Join(w[:min(3, len(w))], " ")
}

// without takes empty lines out of a payload, which would end it.
func without(data []byte) []byte {
	var out []byte
	for line := range bytes.Lines(data) {
		if len(bytes.TrimSpace(line)) > 0 {
			out = append(append(out, bytes.TrimRight(line, "\r\n")...), '\n')
		}
	}
	return out
}

// ShowSSL prints what the proxy has of a kind: all names, or one of them.
func (c *Client) ShowSSL(ctx context.Context, k Kind, name string) (string, error) {
	reply, err := c.Do(ctx, strings.TrimSpace("show ssl "+string(k)+" "+Quote(name)), nil)
	if err == nil && (strings.HasPrefix(reply, "Can't") || Unknown(reply)) {
		err = &Error{"show ssl " + string(k), strings.TrimSpace(reply)}
	}
	return reply, err
}

// NamesSSL lists the files of a kind that the proxy has.
func (c *Client) NamesSSL(ctx context.Context, k Kind) (names []string, err error) {
	reply, err := c.ShowSSL(ctx, k, "")
	if err != nil {
		return nil, err
	}
	if k != CAFile {
		return ParseNames(reply)
	}
	list, err := ParseAuthorities(reply)
	for _, a := range list {
		names = append(names, a.File)
	}
	return names, err
}

// transactions is held during one: the proxy has a single transaction of a kind at a time.
var transactions sync.Mutex

// opened is the answer of a command that opens a transaction. It names the file to commit.
var opened = regexp.MustCompile(`(?m)^[Tt]ransaction (?:created|updated) for \S+ (.+)!$`)

// SetSSL replaces the content of a file in the proxy's memory. name may have the ending of a file beside of (".key"),
// which it is committed with; the proxy finds of out when it is empty. Nothing changes when it fails.
func (c *Client) SetSSL(ctx context.Context, k Kind, name, of string, data []byte) error {
	return c.transact(ctx, "set", k, name, of, data)
}

// transact changes a file: the first command opens a transaction, which is then committed. A transaction of somebody else
// stays as it is: a command that is refused has opened none.
func (c *Client) transact(ctx context.Context, verb string, k Kind, name, of string, data []byte) error {
	transactions.Lock()
	defer transactions.Unlock()
	what := " ssl " + string(k) + " "
	command, payload := verb+what+Quote(name), without(data)
	// HAProxy 2.6 takes content for the file of an open transaction, whichever name the command has.
	reply, err := c.ShowSSL(ctx, k, "")
	if err != nil {
		return err
	}
	if open := ParseTransaction(reply); open != "" && !belongs(name, open) {
		return &Error{firstWords(command), fmt.Sprintf("the ongoing transaction is about '%s'", open)}
	}
	reply, err = c.Do(ctx, command, payload)
	// HAProxy hangs up upon a command that does not fit into its buffer. Whether the rest of the command is refused by the
	// kernel, or is not sent since the reply is at its end, is chance.
	if hungUp := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) || err == nil && reply == ""; hungUp && len(payload) > smallBuffer {
		return &Error{firstWords(command), fmt.Sprintf("the proxy does not take %d bytes at once: see tune.bufsize", len(payload))}
	}
	if err != nil {
		return err
	}
	m := opened.FindStringSubmatch(reply)
	if m == nil {
		return &Error{firstWords(command), strings.TrimSpace(reply)}
	}
	if !belongs(name, m[1]) { // somebody was faster
		return &Error{firstWords(command), fmt.Sprintf("the ongoing transaction is about '%s'", m[1])}
	}
	if of == "" {
		of = m[1]
	}
	if err = c.expect(ctx, "commit"+what+Quote(of), nil, "Success!"); err != nil {
		c.Do(ctx, "abort"+what+Quote(of), nil)
	}
	return err
}

// belongs tells whether a name in "set" is that of a file or of one beside it.
func belongs(name, file string) bool {
	switch ext := path.Ext(name); ext {
	case ".key", ".ocsp", ".issuer", ".sctl":
		base := strings.TrimSuffix(name, ext)
		if base == file || base+".crt" == file {
			return true
		}
	}
	return name == file
}

// AppendCA adds certificates to a file of authorities.
func (c *Client) AppendCA(ctx context.Context, name string, data []byte) error {
	return c.transact(ctx, "add", CAFile, name, "", data)
}

// NewSSL brings a file into the proxy's memory that is not there yet.
func (c *Client) NewSSL(ctx context.Context, k Kind, name string, data []byte) error {
	if err := c.expect(ctx, "new ssl "+string(k)+" "+Quote(name), nil, "New "); err != nil {
		return err
	}
	err := c.SetSSL(ctx, k, name, name, data)
	if err != nil {
		c.DelSSL(ctx, k, name)
	}
	return err
}

// DelSSL takes a file that is not used out of the proxy's memory.
func (c *Client) DelSSL(ctx context.Context, k Kind, name string) error {
	return c.expect(ctx, "del ssl "+string(k)+" "+Quote(name), nil, "' deleted!") // "can't be deleted!" says no
}

// AddEntry adds a line to a crt-list. The certificate has to be in the proxy's memory.
func (c *Client) AddEntry(ctx context.Context, list, line string) error {
	return c.expect(ctx, "add ssl crt-list "+Quote(list), []byte(line+"\n"), "Success!")
}

// DelEntry takes an entry out of a crt-list: file is its certificate, perhaps with ":" and its line.
func (c *Client) DelEntry(ctx context.Context, list, file string) error {
	return c.expect(ctx, "del ssl crt-list "+Quote(list)+" "+Quote(file), nil, "deleted in crtlist")
}
