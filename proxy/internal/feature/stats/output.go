package stats

import (
	_ "embed" // for the schema
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
)

// Format is how a table is printed.
type Format int

// Formats.
const (
	CSV Format = iota
	Typed
	JSON
)

// Schema is the JSON schema of "show info" and "show stat".
//
//go:embed schema.json
var Schema string

// writeInfo prints the fields of the process.
func writeInfo(c *runtimeapi.Conn, v []value, how Format, desc bool) error {
	var b []byte
	if how == JSON {
		b = append(b, '[')
	}
	first := true
	for i := range v {
		if v[i].IsNone() {
			continue
		}
		f := infoFields[i]
		switch how {
		case CSV:
			b = fmt.Appendf(b, "%s: ", f.Name)
			b = v[i].AppendText(b)
		case Typed:
			b = fmt.Appendf(b, "%d.%s.1:", i, f.Name)
			b = v[i].AppendTyped(b)
		case JSON:
			if !first {
				b = append(b, ',')
			}
			b = v[i].AppendJSON(b, "", i, f.Name)
		}
		first = false
		if how != JSON {
			b = appendDesc(b, desc, f.Desc)
			b = append(b, '\n')
		}
	}
	if how == JSON {
		b = append(b, "]\n"...)
	}
	_, err := c.Write(b)
	return err
}

func appendDesc(b []byte, desc bool, text string) []byte {
	if desc {
		b = fmt.Appendf(b, ":\"%s\"", text)
	}
	return b
}

// Writer prints rows of "show stat" as they come.
type Writer struct {
	How  Format
	Desc bool
	n    int
}

// Begin adds to b what stands before the first row.
func (w *Writer) Begin(b []byte) []byte {
	switch w.How {
	case CSV:
		b = append(b, "# "...)
		for _, c := range columns() {
			b = append(b, c.Name...)
			b = append(b, ',')
		}
		b = append(b, "-,\n"...)
	case JSON:
		b = append(b, '[')
	}
	return b
}

// End adds what stands behind the last one.
func (w *Writer) End(b []byte) []byte {
	if w.How == JSON {
		b = append(b, "]\n"...)
	}
	return b
}

// Row adds a row.
func (w *Writer) Row(b []byte, r *Row) []byte {
	switch w.How {
	case CSV:
		for i := range r.v {
			b = r.v[i].AppendCSV(b)
			b = append(b, ',')
		}
		b = append(b, "-,\n"...)
	case Typed:
		for i := range r.v {
			if r.v[i].IsNone() {
				continue
			}
			b = fmt.Appendf(b, "%c.%d.%d.%d.%s.1:", r.Object, r.Proxy, r.ID, i, columns()[i].Name)
			b = r.v[i].AppendTyped(b)
			b = appendDesc(b, w.Desc, columns()[i].Desc)
			b = append(b, '\n')
		}
	case JSON:
		if w.n > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		head := fmt.Sprintf(`"objType":"%s","proxyId":%d,"id":%d,`, objectNames[r.Object], r.Proxy, r.ID)
		first := true
		for i := range r.v {
			if r.v[i].IsNone() {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = r.v[i].AppendJSON(b, head, i, columns()[i].Name)
		}
		b = append(b, ']')
	}
	w.n++
	return b
}
