package stats

import (
	"fmt"

	"github.com/forebay-lb/forebay/proxy/internal/engine/runtimeapi"
)

// format is how a table is printed.
type format int

const (
	plain format = iota
	typed
	asJSON
)

// writeInfo prints the fields of the process.
func writeInfo(c *runtimeapi.Conn, v []value, how format, desc bool) error {
	var b []byte
	if how == asJSON {
		b = append(b, '[')
	}
	first := true
	for i := range v {
		if v[i].IsNone() {
			continue
		}
		f := infoFields[i]
		switch how {
		case plain:
			b = fmt.Appendf(b, "%s: ", f.Name)
			b = v[i].AppendText(b)
		case typed:
			b = fmt.Appendf(b, "%d.%s.1:", i, f.Name)
			b = v[i].AppendTyped(b)
		case asJSON:
			if !first {
				b = append(b, ',')
			}
			b = v[i].AppendJSON(b, "", i, f.Name)
		}
		first = false
		if how != asJSON {
			b = appendDesc(b, desc, f.Desc)
			b = append(b, '\n')
		}
	}
	if how == asJSON {
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

// statWriter prints rows as they come.
type statWriter struct {
	c    *runtimeapi.Conn
	how  format
	desc bool
	n    int
	b    []byte
}

func (w *statWriter) begin() error {
	b := w.b[:0]
	switch w.how {
	case plain:
		b = append(b, "# "...)
		for _, c := range columns() {
			b = append(b, c.Name...)
			b = append(b, ',')
		}
		b = append(b, "-,\n"...)
	case asJSON:
		b = append(b, '[')
	}
	_, err := w.c.Write(b)
	return err
}

func (w *statWriter) end() error {
	if w.how == asJSON {
		_, err := w.c.WriteString("]\n")
		return err
	}
	return w.c.Err()
}

func (w *statWriter) row(r *Row) error {
	b := w.b[:0]
	switch w.how {
	case plain:
		for i := range r.v {
			b = r.v[i].AppendCSV(b)
			b = append(b, ',')
		}
		b = append(b, "-,\n"...)
	case typed:
		for i := range r.v {
			if r.v[i].IsNone() {
				continue
			}
			b = fmt.Appendf(b, "%c.%d.%d.%d.%s.1:", r.Object, r.Proxy, r.ID, i, columns()[i].Name)
			b = r.v[i].AppendTyped(b)
			b = appendDesc(b, w.desc, columns()[i].Desc)
			b = append(b, '\n')
		}
	case asJSON:
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
	w.b = b
	_, err := w.c.Write(b)
	return err
}
