package sample

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

// one makes a fetch of a single value.
func one(f func(sc *stream.Scope, v *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	get := func(sc *stream.Scope, v *Value, n int) bool { return n <= 0 && f(sc, v) }
	return func(*conf.Ctx, []string) (Func, error) { return get, nil }
}

// ofClient makes a fetch of the client's connection.
func ofClient(f func(s *stream.Session, sc *stream.Scope, v *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	return one(func(sc *stream.Scope, v *Value) bool { return sc.Sess != nil && f(sc.Sess, sc, v) })
}

// inRequest makes a fetch that needs the request's head.
func inRequest(f func(q *message.Request, sc *stream.Scope, v *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	return one(func(sc *stream.Scope, v *Value) bool {
		q := sc.Request()
		return q != nil && f(q, sc, v)
	})
}

// inResponse makes a fetch that needs the response's head.
func inResponse(f func(r *message.Response, v *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	return one(func(sc *stream.Scope, v *Value) bool {
		r := sc.Response()
		return r != nil && f(r, v)
	})
}

// named makes a fetch of a proxy, by its side.
func named(of func(*stream.Scope) *stream.Proxy, f func(p *stream.Proxy, sc *stream.Scope, v *Value) bool) func(*conf.Ctx, []string) (Func, error) {
	return one(func(sc *stream.Scope, v *Value) bool {
		p := of(sc)
		return p != nil && f(p, sc, v)
	})
}

func frontend(sc *stream.Scope) *stream.Proxy { return sc.FE }
func backend(sc *stream.Scope) *stream.Proxy  { return sc.BE }

func proxyName(p *stream.Proxy, sc *stream.Scope, v *Value) bool { return v.SetText(sc, p.Name) }
func proxyID(p *stream.Proxy, _ *stream.Scope, v *Value) bool    { return v.SetInt(int64(p.ID)) }

const (
	hdrArgs  = "[string,integer]"
	anyHdr   = "..YYYYYYYYYYYYYYYY.Y.."
	resHdr   = "...........YYYYYYY.Y.."
	feMatrix = "YYYYYYYYYYYYYYYYYYY..."
	beMatrix = "......YYYYYYYYYYYYYY.."
	srvName  = "..........YYYYYYYYYY.."
	httpVer  = "..YYYYYYYYYYYYYYYYY..."
	lookups  = "YYYYYYYYYYYYYYYYYYYY.Y"
)

func init() {
	RegisterFetch(
		Fetch{Name: "always_true", Out: Bool, Where: Everywhere, Compile: one(func(_ *stream.Scope, v *Value) bool { return v.SetBool(true) })},
		Fetch{Name: "always_false", Out: Bool, Where: Everywhere, Compile: one(func(_ *stream.Scope, v *Value) bool { return v.SetBool(false) })},
		Fetch{Name: "str", Args: "string", Out: Str, Where: Everywhere, Compile: constant},
		Fetch{Name: "int", Args: "integer", Out: Int, Where: Everywhere, Compile: constantInt},
		Fetch{Name: "bool", Args: "string", Out: Bool, Where: Everywhere, Compile: constantBool},
		Fetch{Name: "hostname", Out: Str, Where: Everywhere, Compile: hostname},
		Fetch{Name: "rand", Args: "[integer]", Out: Int, Where: Everywhere, Compile: random},
		Fetch{Name: "date", Args: "[integer,string]", Out: Int, Where: Everywhere, Compile: date},

		Fetch{Name: "src", Out: Addr, Where: Connection, Compile: ofClient(func(s *stream.Session, _ *stream.Scope, v *Value) bool {
			return s.Src.IP.IsValid() && v.SetAddr(s.Src.IP)
		})},
		Fetch{Name: "src_port", Out: Int, Where: Connection, Compile: ofClient(func(s *stream.Session, _ *stream.Scope, v *Value) bool {
			return s.Src.IP.IsValid() && v.SetInt(int64(s.Src.Port))
		})},
		Fetch{Name: "dst", Out: Addr, Where: Connection, Compile: ofClient(func(s *stream.Session, _ *stream.Scope, v *Value) bool {
			a := s.Dst()
			return a.IP.IsValid() && v.SetAddr(a.IP)
		})},
		Fetch{Name: "dst_port", Out: Int, Where: Connection, Compile: ofClient(func(s *stream.Session, _ *stream.Scope, v *Value) bool {
			a := s.Dst()
			return a.IP.IsValid() && v.SetInt(int64(a.Port))
		})},
		Fetch{Name: "ssl_fc", Out: Bool, Where: SessionWide, Compile: one(func(_ *stream.Scope, v *Value) bool { return v.SetBool(false) })},

		Fetch{Name: "fe_name", Out: Str, Where: feMatrix, Compile: named(frontend, proxyName)},
		Fetch{Name: "fe_id", Out: Int, Where: feMatrix, Compile: named(frontend, proxyID)},
		Fetch{Name: "be_name", Out: Str, Where: beMatrix, Compile: named(backend, proxyName)},
		Fetch{Name: "be_id", Out: Int, Where: beMatrix, Compile: named(backend, proxyID)},
		Fetch{Name: "srv_name", Out: Str, Where: srvName, Compile: one(func(sc *stream.Scope, v *Value) bool {
			return sc.Srv != nil && v.SetText(sc, sc.Srv.Name)
		})},
		Fetch{Name: "fe_conn", Args: "[frontend]", Out: Int, Where: lookups, Compile: frontendCount},

		Fetch{Name: "method", Out: Meth, Where: httpVer, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool {
			v.Type, v.Int, v.Bytes = Meth, int64(q.Method), q.MethodName
			return true
		})},
		Fetch{Name: "path", Out: Str, Where: Request, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool {
			p := q.Path()
			return p != nil && v.SetStr(p)
		})},
		Fetch{Name: "pathq", Out: Str, Where: Request, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool {
			p := q.PathQuery()
			return p != nil && v.SetStr(p)
		})},
		Fetch{Name: "query", Args: "[string]", Out: Str, Where: Request, Compile: query},
		Fetch{Name: "url", Out: Str, Where: Request, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool { return v.SetStr(q.Target) })},
		Fetch{Name: "base", Out: Str, Where: Request, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool { return base(q, sc, v, q.Path()) })},
		Fetch{Name: "baseq", Out: Str, Where: Request, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool { return base(q, sc, v, q.PathQuery()) })},
		Fetch{Name: "status", Out: Int, Where: Response, Compile: inResponse(func(r *message.Response, v *Value) bool { return v.SetInt(int64(r.Status)) })},
	)
	for _, n := range []string{"req.ver", "req_ver"} {
		RegisterFetch(Fetch{Name: n, Out: Str, Where: httpVer, Compile: inRequest(func(q *message.Request, sc *stream.Scope, v *Value) bool { return version(v, q.Version) })})
	}
	for _, n := range []string{"res.ver", "resp_ver"} {
		RegisterFetch(Fetch{Name: n, Out: Str, Where: Response, Compile: inResponse(func(r *message.Response, v *Value) bool { return version(v, r.Version) })})
	}
	headers("req", "hdr", Request, func(sc *stream.Scope) *message.Header {
		if q := sc.Request(); q != nil {
			return &q.Header
		}
		return nil
	})
	response := func(sc *stream.Scope) *message.Header {
		if r := sc.Response(); r != nil {
			return &r.Header
		}
		return nil
	}
	headers("res", "shdr", resHdr, response)
}

// headers registers the fetches of one side's fields.
func headers(side, short, where string, head func(*stream.Scope) *message.Header) {
	reg := func(full bool, where string, names ...string) {
		for _, n := range names {
			RegisterFetch(Fetch{Name: n, Args: hdrArgs, Out: Str, Where: where, Compile: func(_ *conf.Ctx, args []string) (Func, error) {
				return field(head, full, args)
			}})
		}
	}
	reg(false, where, side+".hdr")
	reg(true, where, side+".fhdr")
	if short == "hdr" {
		reg(false, anyHdr, short)
	} else {
		reg(false, where, short)
	}
	count := func(full bool, names ...string) {
		for _, n := range names {
			RegisterFetch(Fetch{Name: n, Args: "[string]", Out: Int, Where: where, Compile: func(_ *conf.Ctx, args []string) (Func, error) {
				return fieldCount(head, full, args)
			}})
		}
	}
	count(false, side+".hdr_cnt", short+"_cnt")
	count(true, side+".fhdr_cnt")
	typedFields(side, short, where, head)
}

func constant(_ *conf.Ctx, args []string) (Func, error) {
	b := []byte(args[0])
	return func(_ *stream.Scope, v *Value, n int) bool { return n <= 0 && v.SetStr(b) }, nil
}

func constantInt(_ *conf.Ctx, args []string) (Func, error) {
	i, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("expected an integer, got '%s'", args[0])
	}
	return func(_ *stream.Scope, v *Value, n int) bool { return n <= 0 && v.SetInt(i) }, nil
}

func constantBool(_ *conf.Ctx, args []string) (Func, error) {
	b := args[0] == "true" || args[0] == "1"
	if !b && args[0] != "false" && args[0] != "0" {
		return nil, errors.New("Expects 'true', 'false', '0' or '1'")
	}
	return func(_ *stream.Scope, v *Value, n int) bool { return n <= 0 && v.SetBool(b) }, nil
}

func hostname(*conf.Ctx, []string) (Func, error) {
	h, _ := os.Hostname() // read while loading: the worker has no files
	b := []byte(h)
	return func(_ *stream.Scope, v *Value, n int) bool { return n <= 0 && v.SetStr(b) }, nil
}

func random(_ *conf.Ctx, args []string) (Func, error) {
	limit := int64(1 << 32)
	if len(args) > 0 {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("expected a positive integer, got '%s'", args[0])
		}
		limit = n
	}
	return func(sc *stream.Scope, v *Value, n int) bool { return n <= 0 && v.SetInt(sc.Random(limit)) }, nil
}

func date(_ *conf.Ctx, args []string) (Func, error) {
	var offset int64
	unit := "s"
	if len(args) > 0 && args[0] != "" {
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("expected an integer, got '%s'", args[0])
		}
		offset = n
	}
	if len(args) > 1 {
		unit = args[1]
	}
	if unit != "s" && unit != "ms" && unit != "us" {
		return nil, fmt.Errorf("expects 's', 'ms' or 'us', got '%s'", unit)
	}
	return func(sc *stream.Scope, v *Value, n int) bool {
		t := sc.Wall()
		switch unit {
		case "ms":
			return n <= 0 && v.SetInt(t.UnixMilli()+offset)
		case "us":
			return n <= 0 && v.SetInt(t.UnixMicro()+offset)
		}
		return n <= 0 && v.SetInt(t.Unix()+offset)
	}, nil
}

func backendCount(f func(*stream.Proxy) int64) func(*conf.Ctx, []string) (Func, error) {
	return func(c *conf.Ctx, args []string) (Func, error) {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		resolve(c, name, "backend")
		return func(sc *stream.Scope, v *Value, n int) bool {
			be := sc.BE
			if name != "" {
				be = sc.Snap.Backend(name)
			}
			return n <= 0 && be != nil && be.BE != nil && v.SetInt(f(be))
		}, nil
	}
}

// resolve looks, when all sections are known, whether there is the proxy that an
// argument names, or whether the section itself is one of that side.
func resolve(c *conf.Ctx, name, side string) {
	kind, keyword, p := "sample fetch keyword", c.Fetch, c.Proxy
	in := ""
	if c.In != "" {
		in = " in " + c.In
	}
	if c.InACL {
		kind = "ACL keyword"
	}
	at, of := *c, conf.Backend
	if side == "frontend" {
		of = conf.Frontend
	}
	c.Refer(of, name, func() {
		list := at.Snap.Backends
		if side == "frontend" {
			list = at.Snap.Frontends
		}
		switch {
		case name != "" && list[name] == nil:
			of := in
			if p != nil {
				of += " in proxy '" + p.Name + "'"
			}
			at.Alert(at.Pos, "unable to find %s '%s' referenced in arg 1 of %s '%s'%s.", side, name, kind, keyword, of)
		case name == "" && p != nil && !at.InDefaults && list[p.Name] != p:
			at.Alert(at.Pos, "proxy '%s', referenced in arg 1 of %s '%s'%s in proxy '%s', has not %s capability.", p.Name, kind, keyword, in, p.Name, side)
		}
	})
}

func frontendCount(c *conf.Ctx, args []string) (Func, error) {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	resolve(c, name, "frontend")
	return func(sc *stream.Scope, v *Value, n int) bool {
		fe := sc.FE
		if name != "" {
			fe = sc.Snap.Frontend(name)
		}
		return n <= 0 && fe != nil && fe.FE != nil && v.SetInt(fe.FE.Cur.Load())
	}, nil
}

func version(v *Value, ver message.Version) bool {
	switch ver {
	case message.HTTP10:
		return v.SetStr(v10)
	case message.HTTP11:
		return v.SetStr(v11)
	case message.HTTP2:
		return v.SetStr(v20)
	}
	return false
}

var v10, v11, v20 = []byte("1.0"), []byte("1.1"), []byte("2.0")

func query(_ *conf.Ctx, args []string) (Func, error) {
	question := false
	for _, a := range args {
		if a != "with_qm" && a != "" {
			return nil, fmt.Errorf("'%s' is not a known option", a)
		}
		question = question || a == "with_qm"
	}
	return func(sc *stream.Scope, v *Value, n int) bool {
		q := sc.Request()
		if n > 0 || q == nil {
			return false
		}
		p := q.PathQuery()
		for i, b := range p {
			if b == '?' {
				if !question {
					i++
				}
				return v.SetStr(p[i:])
			}
		}
		return false
	}, nil
}

func base(q *message.Request, sc *stream.Scope, v *Value, path []byte) bool {
	host := q.Get("host")
	if len(path) == 0 || path[0] != '/' {
		return host != nil && v.SetStr(host)
	}
	if len(host) == 0 {
		return v.SetStr(path)
	}
	return v.SetStr(sc.Join(host, path))
}

// field is the value of a field: comma-separated elements, or (full) whole
// lines.
func field(head func(*stream.Scope) *message.Header, full bool, args []string) (Func, error) {
	name, occ := "", 0
	if len(args) > 0 {
		name = strings.ToLower(args[0])
	}
	if len(args) > 1 && args[1] != "" {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < -10 || n > 1000 {
			return nil, fmt.Errorf("invalid occurrence '%s'", args[1])
		}
		occ = n
	}
	return func(sc *stream.Scope, v *Value, n int) bool {
		h := head(sc)
		if h == nil {
			return false
		}
		want := n
		switch {
		case occ > 0:
			if n > 0 {
				return false
			}
			want = occ - 1
		case occ < 0:
			if n > 0 {
				return false
			}
			want = countFields(h, name, full) + occ
			if want < 0 {
				return false
			}
		case n == Single:
			want = countFields(h, name, full) - 1
			if want < 0 {
				return false
			}
		}
		b := nthField(h, name, full, want)
		return b != nil && v.SetStr(b)
	}, nil
}

func fieldCount(head func(*stream.Scope) *message.Header, full bool, args []string) (Func, error) {
	name := ""
	if len(args) > 0 {
		name = strings.ToLower(args[0])
	}
	return func(sc *stream.Scope, v *Value, n int) bool {
		h := head(sc)
		return n <= 0 && h != nil && v.SetInt(int64(countFields(h, name, full)))
	}, nil
}

func countFields(h *message.Header, name string, full bool) int {
	n := 0
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Name == nil || name != "" && string(f.Name) != name {
			continue
		}
		if full {
			n++
			continue
		}
		rest := f.Value
		for {
			_, more, ok := element(rest)
			n++
			if !ok {
				break
			}
			rest = more
		}
	}
	return n
}

// nthField gives value number want from 0, never nil when it exists.
func nthField(h *message.Header, name string, full bool, want int) []byte {
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Name == nil || name != "" && string(f.Name) != name {
			continue
		}
		rest := f.Value
		for {
			e, more, ok := rest, []byte(nil), false
			if !full {
				e, more, ok = element(rest)
			}
			if want == 0 {
				if e == nil {
					e = empty
				}
				return e
			}
			want--
			if !ok {
				break
			}
			rest = more
		}
	}
	return nil
}

var empty = []byte{}

// element cuts the first element off a comma-separated list, minding quotes.
func element(b []byte) (e, rest []byte, more bool) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return trim(b[:i]), b[i+1:], true
			}
		}
	}
	return trim(b), nil, false
}

// Element finds the first element at or after an offset of a comma-separated
// list: without the blanks around it, and where to look for the one after it.
func Element(b []byte, from int) (start, end, next int) {
	e, rest, more := element(b[from:])
	next = len(b)
	if more {
		next -= len(rest)
	}
	start = from
	for start < len(b) && (b[start] == ' ' || b[start] == '\t') {
		start++
	}
	return start, start + len(e), next
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
