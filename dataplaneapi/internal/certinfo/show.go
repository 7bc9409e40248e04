package certinfo

import (
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/crtlist"
)

// CA is a file of authorities as the proxy has it.
type CA struct {
	File        string `json:"file,omitempty"`
	StorageName string `json:"storage_name,omitempty"`
	Count       string `json:"count"` // of certificates
}

// CRL is one list of revoked certificates.
type CRL struct {
	StorageName string    `json:"storage_name,omitempty"`
	Status      string    `json:"status,omitempty"`
	Version     string    `json:"version,omitempty"`
	Algorithm   string    `json:"signature_algorithm,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	LastUpdate  string    `json:"last_update,omitempty"` // dates
	NextUpdate  string    `json:"next_update,omitempty"`
	Revoked     []Revoked `json:"revoked_certificates,omitempty"`
}

// Revoked is an entry of a [CRL].
type Revoked struct {
	Serial string `json:"serial_number,omitempty"`
	Date   string `json:"revocation_date,omitempty"`
}

// ParseFiles reads "show ssl cert", "show ssl ca-file" and "show ssl crl-file" without a name: the files, with the number of
// certificates where it is said. What is only to be (a transaction) is left out.
func ParseFiles(reply string) (files []CA) {
	open := false
	for line := range strings.Lines(reply) {
		line = strings.TrimSpace(line)
		switch {
		case line == "# transaction":
			open = true
			continue
		case line == "# filename":
			open = false
			continue
		case line == "" || open || strings.HasPrefix(line, "#"):
			continue
		}
		f := CA{StorageName: line}
		if i := strings.LastIndex(line, " - "); i >= 0 && strings.HasSuffix(line, " certificate(s)") {
			f.StorageName, f.Count = line[:i], strings.TrimSuffix(line[i+3:], " certificate(s)")
		}
		f.File = f.StorageName
		files = append(files, f)
	}
	return files
}

// stamp is how the proxy prints times.
const stamp = "Jan _2 15:04:05 2006 MST"

func moment(s string) *time.Time {
	t, err := time.Parse(stamp, s)
	if err != nil {
		return nil
	}
	return utc(t)
}

func date(s string) string {
	t, err := time.Parse(stamp, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// parts divides what "show ssl ca-file" and "show ssl crl-file" print of a file: the lines on the file itself, and those of
// each of its parts.
func parts(reply, part string) (head string, list []string) {
	head, rest, _ := strings.Cut(reply, "\n"+part+" #")
	if rest != "" {
		list = strings.Split(rest, "\n"+part+" #")
	}
	return head, list
}

// lines gives name and value of each "name: value"; of a line without a colon the first word is the name.
func lines(text string, f func(name, value string)) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			name, value, _ = strings.Cut(line, " ")
		}
		f(name, strings.TrimSpace(value))
	}
}

// set takes over one line about a certificate.
func (c *Certificate) set(name, value string) {
	switch name {
	case "Filename":
		c.StorageName, c.File = value, value
	case "Status":
		c.Status = value
	case "Serial":
		c.Serial = value
	case "notBefore":
		c.NotBefore = moment(value)
	case "notAfter":
		c.NotAfter = moment(value)
	case "Subject Alternative Name":
		c.Names = value
	case "Algorithm":
		c.Algorithm = value
	case "SHA1 FingerPrint":
		c.SHA1 = value
	case "Subject":
		c.Subject = value
	case "Issuer":
		c.Issuers = value
	case "Chain Subject":
		if c.ChainSubject == "" {
			c.ChainSubject = value
		}
	case "Chain Issuer":
		if c.ChainIssuer == "" {
			c.ChainIssuer = value
		}
	}
}

// ParseCertificate reads "show ssl cert <name>".
func ParseCertificate(reply string) *Certificate {
	c := &Certificate{}
	lines(reply, c.set)
	return c
}

// ParseCA reads "show ssl ca-file <name>": the file, and its certificates.
func ParseCA(reply string) (CA, []Certificate) {
	head, list := parts(reply, "Certificate")
	file := &Certificate{}
	lines(head, file.set)
	certs := make([]Certificate, len(list))
	for i, text := range list {
		certs[i] = Certificate{StorageName: file.StorageName, File: file.File, Status: file.Status}
		lines(text, certs[i].set)
	}
	return CA{StorageName: file.StorageName, File: file.File, Count: strconv.Itoa(len(list))}, certs
}

// ParseCRL reads "show ssl crl-file <name>".
func ParseCRL(reply string) []CRL {
	head, list := parts(reply, "Certificate Revocation List")
	file := &Certificate{}
	lines(head, file.set)
	crls := make([]CRL, len(list))
	for i, text := range list {
		c := &crls[i]
		c.StorageName, c.Status = file.StorageName, file.Status
		lines(text, func(name, value string) {
			switch name {
			case "Version":
				c.Version = value
			case "Signature Algorithm":
				c.Algorithm = value
			case "Issuer":
				c.Issuer = value
			case "Last Update":
				c.LastUpdate = date(value)
			case "Next Update":
				c.NextUpdate = date(value)
			case "Serial Number":
				c.Revoked = append(c.Revoked, Revoked{Serial: value})
			case "Revocation Date":
				if n := len(c.Revoked); n > 0 {
					c.Revoked[n-1].Date = date(value)
				}
			}
		})
	}
	return crls
}

// ParseNames reads "show ssl crt-list".
func ParseNames(reply string) (names []string) {
	for line := range strings.Lines(reply) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	return names
}

// ParseEntries reads "show ssl crt-list -n <name>".
func ParseEntries(reply string) (list []crtlist.Entry, err error) {
	for line := range strings.Lines(reply) {
		e, ok, err := crtlist.ParseLine(line)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if i := strings.LastIndexByte(e.File, ':'); i >= 0 {
			if n, err := strconv.Atoi(e.File[i+1:]); err == nil {
				e.File, e.Line = e.File[:i], n
			}
		}
		e.Options = strings.Join(strings.Fields(e.Options), " ")
		list = append(list, e)
	}
	return list, nil
}
