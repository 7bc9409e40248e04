package runtimeapi

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/reactor"
	"github.com/forebay-lb/forebay/proxy/internal/engine/server"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Command{Words: "show sess", Level: Operator, Usage: "[help|<id>|all] [opts...]", Help: "report the list of current streams or dump this exact stream", Run: showSess},
		Command{Words: "shutdown session", Level: Admin, Usage: "[id]", Help: "kill a specific session", Run: shutdownSession},
		Command{Words: "shutdown sessions server", Level: Admin, Usage: "<bk>/<srv>", Help: "kill sessions on a server", Run: shutdownSessionsServer},
	)
}

// sessFilter is what the options of "show sess" ask for.
type sessFilter struct {
	all     bool
	one     bool // only the stream with this id
	id      uint64
	be, fe  string
	server  string // "backend/server"
	older   int64  // nanoseconds
	showURI bool
	none    bool // nothing matches
}

func showSess(c *Conn, args []string) error {
	f, err := parseSess(c, args)
	if err != nil || f == nil {
		return err
	}
	// Each reactor describes its own streams: no pointer to them leaves it.
	var text [][]byte
	c.Worker.Each(c.R, func(r *reactor.Reactor) {
		var b []byte
		c.Worker.EachStream(r, func(st *stream.Stream) bool {
			if f.match(st) {
				b = f.describe(b, st)
			}
			return true
		})
		text = append(text, b)
	})
	found := false
	for _, b := range text {
		found = found || len(b) > 0
		for len(b) > 0 {
			n := min(len(b), flushAt)
			if _, err := c.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
	}
	if f.one && !found {
		return Errorf("Session not found.\n")
	}
	return nil
}

func parseSess(c *Conn, args []string) (*sessFilter, error) {
	f := &sessFilter{}
	for i := 0; i < len(args); i++ {
		next := func(what string) (string, error) {
			i++
			if i >= len(args) {
				return "", Errorf("Missing %s.\n", what)
			}
			return args[i], nil
		}
		var err error
		switch a := args[i]; a {
		case "help":
			return nil, c.Printf("Usage: show sess [<id> | all | help] [<options>*]\n" +
				"Lists streams, one a line; with an id or 'all', describes them in detail. Options:\n" +
				"  backend <b>       only streams of this backend\n" +
				"  frontend <f>      only streams of this frontend\n" +
				"  older <age>       only streams older than <age> seconds\n" +
				"  server <b>/<s>    only streams of this server\n" +
				"  show-uri          shows the request line, where it was kept\n" +
				"  susp              only streams that look suspicious\n")
		case "all":
			f.all = true
		case "susp":
			f.none = true
		case "show-uri":
			f.showURI = true
		case "backend":
			if f.be, err = next("backend name"); err == nil && c.Backend(f.be) == nil {
				err = Errorf("No such backend '%s'.\n", f.be)
			}
		case "frontend":
			if f.fe, err = next("frontend name"); err == nil && c.Worker.Snapshot().Frontends[f.fe] == nil {
				err = Errorf("No such frontend '%s'.\n", f.fe)
			}
		case "server":
			if f.server, err = next("server name"); err == nil {
				_, _, err = c.Target([]string{f.server})
			}
		case "older":
			var text string
			if text, err = next("age"); err == nil {
				n, e := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
				if e != nil || n < 0 {
					err = Errorf("Invalid age '%s'.\n", text)
				}
				f.older = int64(n * 1e9)
			}
		default:
			n, e := strconv.ParseUint(strings.TrimPrefix(a, "0x"), 16, 64)
			if e != nil {
				return nil, Errorf("Unsupported option '%s', try 'help' for more info.\n", a)
			}
			f.one, f.id = true, n
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *sessFilter) match(st *stream.Stream) bool {
	switch {
	case f.none, f.one && st.ID != f.id,
		f.fe != "" && st.FE.Name != f.fe,
		f.be != "" && (st.BE == nil || st.BE.Name != f.be),
		f.server != "" && (st.Srv == nil || st.Srv.Backend+"/"+st.Srv.Name != f.server),
		f.older != 0 && st.R.Now()-st.Time.Accept < f.older:
		return false
	}
	return true
}

func (f *sessFilter) describe(b []byte, st *stream.Stream) []byte {
	age := (st.R.Now() - st.Time.Accept) / 1e9
	if st.Time.Accept == 0 {
		age = 0
	}
	be, srv, srvAddr := "<NONE>", "<none>", ""
	if st.BE != nil && st.BE.Backend {
		be = st.BE.Name
	}
	if st.Srv != nil {
		srv, srvAddr = st.Srv.Name, st.Srv.Addr().String()
	}
	if !f.all && !f.one {
		b = fmt.Appendf(b, "0x%x: proto=%s src=%s fe=%s be=%s srv=%s ts=00 epoch=0 age=%s calls=%d rate=0 cpu=0 lat=0 "+
			"rq[f=0h,i=0,an=00h,ax=] rp[f=0h,i=0,an=00h,ax=] scf=[8,0h,fd=%d,rex=,wex=] scb=[8,0h,fd=-1,rex=,wex=] exp= rc=%d c_exp=",
			st.ID, proto(st.Sess.Src), source(st), st.FE.Name, be, srv, ageText(age), st.Sess.Requests, st.Sess.Fd(), st.Retries)
		if f.showURI {
			b = fmt.Appendf(b, " uri=\"%s\"", st.ReqLine)
		}
		return append(b, '\n')
	}
	began := st.Sess.AcceptDate()
	b = fmt.Appendf(b, "0x%x: [%s] id=%d proto=%s source=%s\n", st.ID, began.Format("02/Jan/2006:15:04:05.000000"), st.ID, proto(st.Sess.Src), source(st))
	b = fmt.Appendf(b, "  age=%s thread=%d conn_retries=%d requests=%d state=%s\n", ageText(age), st.R.Index+1, st.Retries, st.Sess.Requests, state(st))
	b = fmt.Appendf(b, "  frontend=%s (id=%d mode=%s), listener=%s\n", st.FE.Name, st.FE.ID, st.FE.Mode, st.Sess.Listener.Bind.Load().Addr)
	if be == "<NONE>" {
		b = append(b, "  backend=<NONE> (id=-1 mode=-)\n"...)
	} else {
		b = fmt.Appendf(b, "  backend=%s (id=%d mode=%s)\n", be, st.BE.ID, st.BE.Mode)
	}
	if st.Srv == nil {
		b = append(b, "  server=<NONE> (id=-1)\n"...)
	} else {
		b = fmt.Appendf(b, "  server=%s (id=%d) addr=%s reused=%t\n", srv, st.Srv.ID, srvAddr, st.Reused)
	}
	b = fmt.Appendf(b, "  bytes_in=%d bytes_out=%d status=%d queue_ahead=%d/%d\n", st.ReqIn, st.ResOut, st.Status, st.SrvQueue, st.BackQueue)
	if len(st.ReqLine) > 0 {
		b = fmt.Appendf(b, "  uri=\"%s\"\n", st.ReqLine)
	}
	return b
}

// state says in a word where an exchange is.
func state(st *stream.Stream) string {
	switch {
	case st.HasResponse:
		return "response"
	case st.Time.Connected != 0:
		return "established"
	case st.Time.Queued != 0:
		return "connecting"
	case st.Time.Request != 0:
		return "queued"
	}
	return "request"
}

func proto(a reactor.Addr) string {
	switch {
	case a.IsUnix() || !a.IP.IsValid():
		return "unix_stream"
	case a.IP.Is4() || a.IP.Is4In6():
		return "tcpv4"
	}
	return "tcpv6"
}

func source(st *stream.Stream) string {
	if a := st.Sess.Src; a.IP.IsValid() {
		return a.String()
	}
	return fmt.Sprintf("unix:%d", st.Sess.Listener.Bind.Load().ID)
}

// ageText gives seconds as the field's tools know them: the two highest units.
func ageText(s int64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
}

func shutdownSession(c *Conn, args []string) error {
	if len(args) == 0 {
		return Errorf("Session pointer expected (use 'show sess').\n")
	}
	id, err := strconv.ParseUint(strings.TrimPrefix(args[0], "0x"), 16, 64)
	found := false
	if err == nil {
		c.Worker.Each(c.R, func(r *reactor.Reactor) {
			c.Worker.EachStream(r, func(st *stream.Stream) bool {
				if st.ID == id {
					found = true
					st.Kill(stream.Killed)
				}
				return !found
			})
		})
	}
	if !found {
		return Errorf("No such session (use 'show sess').\n")
	}
	return nil
}

func shutdownSessionsServer(c *Conn, args []string) error {
	_, s, err := c.Target(args)
	if err != nil {
		return err
	}
	c.Worker.Each(c.R, func(r *reactor.Reactor) {
		c.Worker.KillOn(r, stream.Killed, func(o *server.Server) bool { return o == s })
	})
	return nil
}
