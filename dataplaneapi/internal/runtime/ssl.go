package runtime

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

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

// Quote writes a name as one word of a command.
func Quote(name string) string {
	return strings.NewReplacer(`\`, `\\`, " ", `\ `, ";", `\;`).Replace(name)
}

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

// SetSSL replaces the content of a file in the proxy's memory. name may have the ending of a file beside of (".key"),
// which it is committed with. Nothing changes when it fails.
func (c *Client) SetSSL(ctx context.Context, k Kind, name, of string, data []byte) error {
	return c.transact(ctx, "set", k, name, of, data)
}

// transact changes a file: the first command opens a transaction, which is then committed.
func (c *Client) transact(ctx context.Context, verb string, k Kind, name, of string, data []byte) error {
	what := " ssl " + string(k) + " "
	err := c.expect(ctx, verb+what+Quote(name), without(data), "ransaction ")
	if err == nil {
		err = c.expect(ctx, "commit"+what+Quote(of), nil, "Success!")
	}
	var refused *Error
	if errors.As(err, &refused) {
		c.Do(ctx, "abort"+what+Quote(of), nil)
	}
	return err
}

// AppendCA adds certificates to a file of authorities.
func (c *Client) AppendCA(ctx context.Context, name string, data []byte) error {
	return c.transact(ctx, "add", CAFile, name, name, data)
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
