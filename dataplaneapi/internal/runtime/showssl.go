package runtime

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/crtlist"
)

// The replies of "show ssl …", as chapter 9.3 of the management manual has them. Names of the fields are those of the
// Data Plane API.

// Certificate is one certificate, of a file of its own or of a file of authorities.
type Certificate struct {
	Algorithm    string     `json:"algorithm,omitempty"`
	ChainIssuer  string     `json:"chain_issuer,omitempty"`
	ChainSubject string     `json:"chain_subject,omitempty"` // of the first certificate behind this one
	Domains      string     `json:"domains,omitempty"`       // "a, b"
	File         string     `json:"file,omitempty"`
	Issuers      string     `json:"issuers,omitempty"`
	NotAfter     *time.Time `json:"not_after,omitempty"`
	NotBefore    *time.Time `json:"not_before,omitempty"`
	Serial       string     `json:"serial,omitempty"`
	SHA1         string     `json:"sha1_finger_print,omitempty"`
	Status       string     `json:"status,omitempty"` // "Used", "Unused" or "Empty"
	StorageName  string     `json:"storage_name,omitempty"`
	Subject      string     `json:"subject,omitempty"`
	AltNames     string     `json:"subject_alternative_names,omitempty"` // as the proxy writes them: "DNS:a, DNS:b"
}

// Authorities is a file of authorities in a list of files.
type Authorities struct {
	Count       string `json:"count"` // of certificates
	File        string `json:"file"`
	StorageName string `json:"storage_name"`
}

// RevocationList is one list of a file of revocation lists.
type RevocationList struct {
	Issuer             string    `json:"issuer,omitempty"`
	LastUpdate         string    `json:"last_update,omitempty"` // a date
	NextUpdate         string    `json:"next_update,omitempty"`
	Revoked            []Revoked `json:"revoked_certificates,omitempty"`
	SignatureAlgorithm string    `json:"signature_algorithm,omitempty"`
	Status             string    `json:"status,omitempty"`
	StorageName        string    `json:"storage_name,omitempty"`
	Version            string    `json:"version,omitempty"`
}

// Revoked is a certificate in a revocation list.
type Revoked struct {
	Date   string `json:"revocation_date,omitempty"`
	Serial string `json:"serial_number"`
}

// stamp is how OpenSSL writes a time.
const stamp = "Jan _2 15:04:05 2006 MST"

// ParseNames reads the list of files of a kind, without those that are still to be committed.
func ParseNames(reply string) ([]string, error) {
	names := []string{}
	known, committed := false, false
	for line := range lines(reply) {
		switch {
		case strings.HasPrefix(line, "# "):
			known, committed = true, line == "# filename"
		case !known:
			return nil, &Error{"show ssl", strings.TrimSpace(reply)}
		case committed && line != "":
			names = append(names, line)
		}
	}
	return names, nil
}

var countOf = regexp.MustCompile(`^(.+) - (\d+) certificate\(s\)$`)

// ParseTransaction finds the file whose transaction is open in the list of files of a kind, "" for none.
func ParseTransaction(reply string) string {
	head := ""
	for line := range lines(reply) {
		if strings.HasPrefix(line, "# ") {
			head = line
			continue
		}
		if name, ok := strings.CutPrefix(line, "*"); ok && head == "# transaction" {
			if m := countOf.FindStringSubmatch(name); m != nil {
				name = m[1]
			}
			return name
		}
	}
	return ""
}

// ParseAuthorities reads "show ssl ca-file" without a name.
func ParseAuthorities(reply string) ([]Authorities, error) {
	names, err := ParseNames(reply)
	if err != nil {
		return nil, err
	}
	list := []Authorities{}
	for _, line := range names {
		m := countOf.FindStringSubmatch(line)
		if m == nil {
			return nil, &Error{"show ssl ca-file", line}
		}
		list = append(list, Authorities{File: m[1], StorageName: m[1], Count: m[2]})
	}
	return list, nil
}

// ParseCertificates reads the details of a file of certificates. One that has its details right below its head is that
// of "show ssl cert"; "show ssl ca-file" numbers them. None is left of an empty reply: a file of authorities without any.
func ParseCertificates(reply string) ([]Certificate, error) {
	var head Certificate
	list := []Certificate{}
	var x *Certificate
	for line := range lines(reply) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case key == "Filename" && head.File == "":
			head.File, head.StorageName = value, value
			continue
		case head.File == "":
			return nil, &Error{"show ssl", strings.TrimSpace(reply)}
		case key == "Status" && x == nil:
			head.Status = value
			continue
		case strings.HasPrefix(key, "Certificate #"):
			list = append(list, head)
			x = &list[len(list)-1]
			continue
		case x == nil && key == "Serial":
			list = append(list, head)
			x = &list[0]
		}
		if x != nil {
			x.field(key, value)
		}
	}
	if x == nil && head.File != "" { // empty
		list = append(list, head)
	}
	return list, nil
}

func (x *Certificate) field(key, value string) {
	first := func(field *string) {
		if *field == "" {
			*field = value
		}
	}
	switch key {
	case "Serial":
		first(&x.Serial)
	case "notBefore":
		x.NotBefore = instant(value)
	case "notAfter":
		x.NotAfter = instant(value)
	case "Subject Alternative Name":
		x.AltNames = value
		var hosts []string
		for name := range strings.SplitSeq(value, ",") {
			if host, ok := strings.CutPrefix(strings.TrimSpace(name), "DNS:"); ok {
				hosts = append(hosts, host)
			}
		}
		x.Domains = strings.Join(hosts, ", ")
	case "Algorithm":
		first(&x.Algorithm)
	case "SHA1 FingerPrint":
		first(&x.SHA1)
	case "Subject":
		first(&x.Subject)
	case "Issuer":
		first(&x.Issuers)
	case "Chain Subject":
		first(&x.ChainSubject)
	case "Chain Issuer":
		first(&x.ChainIssuer)
	}
}

// ParseRevocationLists reads the details of a file of revocation lists.
func ParseRevocationLists(reply string) ([]RevocationList, error) {
	var head RevocationList
	list := []RevocationList{}
	for line := range lines(reply) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
			continue
		case key == "Filename" && head.StorageName == "":
			head.StorageName = value
			continue
		case head.StorageName == "":
			return nil, &Error{"show ssl crl-file", strings.TrimSpace(reply)}
		case key == "Status" && len(list) == 0:
			head.Status = value
			continue
		case strings.HasPrefix(key, "Certificate Revocation List #"):
			list = append(list, head)
			continue
		case len(list) == 0:
			continue
		}
		l := &list[len(list)-1]
		switch key {
		case "Signature Algorithm":
			l.SignatureAlgorithm = value
		case "Issuer":
			l.Issuer = value
		case "Last Update":
			l.LastUpdate = date(value)
		case "Next Update":
			l.NextUpdate = date(value)
		case "Serial Number":
			l.Revoked = append(l.Revoked, Revoked{Serial: value})
		case "Revocation Date":
			if n := len(l.Revoked); n > 0 {
				l.Revoked[n-1].Date = date(value)
			}
		default:
			if v, ok := strings.CutPrefix(line, "Version "); ok {
				l.Version = v
			}
		}
	}
	return list, nil
}

// ParseLists reads the names of "show ssl crt-list".
func ParseLists(reply string) []string {
	return slices.DeleteFunc(slices.Collect(lines(reply)), func(line string) bool { return line == "" })
}

// ParseEntries reads "show ssl crt-list -n" of one list. The line of an entry is the proxy's number of it, which is not
// always that in the file.
func ParseEntries(reply string) ([]crtlist.Entry, error) {
	list := []crtlist.Entry{}
	known := false
	for line := range lines(reply) {
		switch {
		case strings.HasPrefix(line, "# "):
			known = true
			continue
		case !known:
			return nil, &Error{"show ssl crt-list", strings.TrimSpace(reply)}
		}
		e, ok, err := crtlist.ParseLine(line)
		if err != nil {
			return nil, &Error{"show ssl crt-list", line}
		}
		if !ok {
			continue
		}
		i := strings.LastIndexByte(e.File, ':')
		if i > 0 {
			e.Line, err = strconv.Atoi(e.File[i+1:])
		}
		if i <= 0 || err != nil || e.Line < 0 {
			return nil, &Error{"show ssl crt-list", line}
		}
		e.File = e.File[:i]
		list = append(list, e)
	}
	return list, nil
}

// lines gives the lines of a reply. HAProxy writes some names with the NUL of the language C behind them.
func lines(reply string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(reply) {
			line = strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\x00", "")
			if !yield(line) {
				return
			}
		}
	}
}

func instant(s string) *time.Time {
	t, err := time.Parse(stamp, s)
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &t
}

// date is the day of a time, nothing for what is none.
func date(s string) string {
	if t := instant(s); t != nil {
		return t.Format(time.DateOnly)
	}
	return ""
}
