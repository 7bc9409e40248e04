package rule

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
	"github.com/forebay-lb/forebay/proxy/internal/feature/logformat"
)

func init() {
	RegisterAction(
		Action{Name: "deny", In: Request | Response, Parse: deny, Final: true},
		Action{Name: "tarpit", In: Request, Parse: tarpit},
		Action{Name: "silent-drop", In: Request | Response | Connection | Session | RequestContent | ResponseContent, Parse: silentDrop, Final: true},
		Action{Name: "return", In: Request | Response, Parse: ret, Final: true},
		Action{Name: "redirect", In: Request | Response, Parse: redirect, Final: true},
	)
}

var (
	contentLength = []byte("content-length")
	contentType   = []byte("content-type")
	location      = []byte("location")
	cacheControl  = []byte("cache-control")
	setCookie     = []byte("set-cookie")
	noCache       = []byte("no-cache")
	zero          = []byte("0")
)

// answer is the arguments that "return" and "deny" share.
type answer struct {
	status  int
	ctype   string
	body    []byte
	lf      *logformat.Format
	hdrs    []hdr
	file    *stream.Reply // errorfile
	errors  bool          // default-errorfiles
	payload bool
}

type hdr struct {
	name  []byte
	value *logformat.Format
}

// maxBody bounds what one rule answers, in bytes.
const maxBody = 16 << 20

// parseAnswer reads the arguments up to a word that is none of them. statusWords are
// those that a status follows.
func parseAnswer(l *Line, a *answer, statusWords ...string) error {
	for w := l.Peek(); w != ""; w = l.Peek() {
		read := answerWords[w]
		if slices.Contains(statusWords, w) {
			read = (*answer).readStatus
		}
		if read == nil {
			return nil
		}
		l.Next()
		if err := read(a, l, w); err != nil {
			return conf.About(w, err)
		}
	}
	return nil
}

// answerWords are the arguments that "return" and "deny" have in common; each reads
// what follows its word.
var answerWords = map[string]func(a *answer, l *Line, word string) error{
	"content-type":       (*answer).readType,
	"string":             (*answer).readText,
	"lf-string":          (*answer).readText,
	"file":               (*answer).readText,
	"lf-file":            (*answer).readText,
	"hdr":                (*answer).readHeader,
	"errorfile":          (*answer).readErrorFile,
	"default-errorfiles": func(a *answer, _ *Line, _ string) error { a.errors = true; return nil },
	"errorfiles":         func(_ *answer, _ *Line, word string) error { return conf.NotYet("argument", word) },
}

func (a *answer) readStatus(l *Line, _ string) error {
	v, err := l.Take("<status_code> as argument")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 200 || n > 599 {
		return fmt.Errorf("Unexpected status code '%s'", v)
	}
	a.status = n
	return nil
}

func (a *answer) readType(l *Line, _ string) error {
	v, err := l.Take("<ctype> as argument")
	if err != nil {
		return err
	}
	if strings.ContainsAny(v, "\r\n\x00") {
		return fmt.Errorf("the content type holds a line end")
	}
	a.ctype = v
	return nil
}

// argument is what the manual calls that of a word.
var argument = map[string]string{"string": "<str>", "lf-string": "<fmt>", "file": "<file>", "lf-file": "<file>"}

// readText reads what is answered, or the file that has it, as it is or ("lf-") as a
// format.
func (a *answer) readText(l *Line, word string) error {
	text, err := l.Take(argument[word] + " as argument")
	if err != nil {
		return err
	}
	if strings.HasSuffix(word, "file") {
		b, err := a.readFile(l, text)
		if err != nil {
			return err
		}
		text = string(b)
	}
	if err := a.define(word); err != nil {
		return err
	}
	a.body = []byte(text)
	if strings.HasPrefix(word, "lf-") {
		a.lf, err = l.Format(text)
	}
	return err
}

func (a *answer) readFile(l *Line, name string) ([]byte, error) {
	b, err := l.ReadFile(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("error opening file '%s'", name)
	case len(b) > maxBody:
		return nil, fmt.Errorf("file '%s' is larger than %d bytes", name, maxBody)
	}
	return b, nil
}

// define notes that the content is given, once.
func (a *answer) define(word string) error {
	if a.payload {
		return fmt.Errorf("unexpected '%s' argument, the content is already defined", word)
	}
	a.payload = true
	return nil
}

func (a *answer) readHeader(l *Line, _ string) error {
	if len(l.Rest()) < 2 {
		return conf.Predicatef("expects <name> and <value> as arguments")
	}
	name, f, err := nameAndFormat(l)
	if err == nil {
		a.hdrs = append(a.hdrs, hdr{name, f})
	}
	return err
}

func (a *answer) readErrorFile(l *Line, word string) error {
	name, err := l.Take("<file> as argument")
	if err != nil {
		return err
	}
	b, err := a.readFile(l, name)
	if err == nil {
		err = a.define(word)
	}
	if err != nil {
		return err
	}
	if a.file, err = conf.ParseReply(b, maxBody); err != nil {
		return fmt.Errorf("error file '%s': %v", name, err)
	}
	return nil
}

// check tells what does not go together.
func (a *answer) check(l *Line) error {
	if a.ctype != "" && !a.payload && !a.errors {
		l.Warn("content-type '%s' ignored by the http reply because neither errorfile nor payload defined.", a.ctype)
	}
	switch {
	case a.payload && a.file == nil && a.ctype == "" && len(a.body) > 0:
		return fmt.Errorf("a content type must be defined when non-empty payload is configured")
	case a.errors && !stream.HasDefaultReply(a.status):
		return fmt.Errorf("status code '%d' not handled by default with 'default-errorfiles' argument", a.status)
	case a.errors && a.payload:
		return fmt.Errorf("'default-errorfiles' and a payload exclude each other")
	case len(a.hdrs) > 0 && (a.errors || a.file != nil):
		return fmt.Errorf("'hdr' cannot be used with error files")
	}
	return nil
}

// build makes what answers: a fixed reply where nothing varies.
func (a *answer) build() func(st *stream.Stream) {
	if a.file != nil {
		rep := *a.file
		return func(st *stream.Stream) { st.Reply = &rep }
	}
	fixed := a.lf == nil || a.lf.IsConstant()
	for _, h := range a.hdrs {
		fixed = fixed && h.value.IsConstant()
	}
	reason := message.Reason(a.status)
	if fixed {
		body := a.body
		if a.lf != nil {
			body = a.lf.Append(nil, nil)
		}
		rep := &stream.Reply{Status: a.status, Reason: reason, Body: body}
		for _, h := range a.hdrs {
			rep.Fields = append(rep.Fields, message.Field{Name: h.name, Value: h.value.Append(nil, nil)})
		}
		rep.Fields = append(rep.Fields, message.Field{Name: contentLength, Value: strconv.AppendInt(nil, int64(len(body)), 10)})
		if a.ctype != "" && len(body) > 0 {
			rep.Fields = append(rep.Fields, message.Field{Name: contentType, Value: []byte(a.ctype)})
		}
		return func(st *stream.Stream) { st.Reply = rep }
	}
	ctype := []byte(a.ctype)
	return func(st *stream.Stream) {
		rep := &st.OwnReply
		rep.Status, rep.Reason, rep.Fields, rep.Close = a.status, reason, rep.Fields[:0], false
		rep.Body = a.body
		if a.lf != nil {
			rep.Body = st.Keep(a.lf.Append(st.Scratch(), &st.Scope))
		}
		for i := range a.hdrs {
			rep.Fields = append(rep.Fields, message.Field{Name: a.hdrs[i].name, Value: compute(st, a.hdrs[i].value)})
		}
		var buf [20]byte
		rep.Fields = append(rep.Fields, message.Field{Name: contentLength, Value: st.Copy(strconv.AppendInt(buf[:0], int64(len(rep.Body)), 10))})
		if a.ctype != "" && len(rep.Body) > 0 {
			rep.Fields = append(rep.Fields, message.Field{Name: contentType, Value: ctype})
		}
		st.Reply = rep
	}
}

func ret(l *Line) (Exec, error) {
	a := &answer{status: 200}
	if err := parseAnswer(l, a, "status"); err != nil {
		return nil, err
	}
	if err := a.check(l); err != nil {
		return nil, err
	}
	phase := l.Phase
	if a.errors {
		return func(sc *stream.Scope) stream.Verdict {
			st := sc.Stream
			st.Reply = st.ErrorReply(a.status)
			return answered(st, 'L', phase)
		}, nil
	}
	make := a.build()
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		make(st)
		return answered(st, 'L', phase)
	}, nil
}

func answered(st *stream.Stream, cause byte, p Phase) stream.Verdict {
	ended(st, cause, p)
	return stream.Answer
}

// ended notes why and where a rule ended an exchange, if nothing has before.
func ended(st *stream.Stream, cause byte, p Phase) {
	state := byte('R')
	switch p {
	case Response, AfterResponse:
		state = 'H'
	case ResponseContent:
		state = 'D'
	}
	if st.Term.Cause == 0 {
		st.Term = stream.Termination{Cause: cause, State: state}
	}
}

func deny(l *Line) (Exec, error) {
	if l.Phase == Response {
		return refusal(l, 502)
	}
	return refusal(l, 403)
}

// tarpit is a refusal that the client has to wait for.
func tarpit(l *Line) (Exec, error) {
	refuse, err := refusal(l, 500)
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		st.Tarpit()
		st.Term = stream.Termination{Cause: 'P', State: 'T'}
		return refuse(sc)
	}, err
}

// refusal reads the arguments of deny and tarpit, which answer with status unless
// they say something else.
func refusal(l *Line, status int) (Exec, error) {
	a := &answer{status: status}
	// Nothing but the old form of a status: the usual page of that status.
	bare := l.Peek() == "" || l.Peek() == "deny_status" && (len(l.Rest()) < 3 || l.Rest()[2] == "if" || l.Rest()[2] == "unless")
	if err := parseAnswer(l, a, "deny_status", "status"); err != nil {
		return nil, err
	}
	a.errors = a.errors || bare
	if err := a.check(l); err != nil {
		return nil, err
	}
	phase, frontend := l.Phase, l.Proxy.Frontend
	var make func(*stream.Stream)
	switch {
	case !a.errors:
		make = a.build()
	default:
		status := a.status
		make = func(st *stream.Stream) { st.Reply = st.ErrorReply(status) }
	}
	return func(sc *stream.Scope) stream.Verdict {
		st := sc.Stream
		make(st)
		st.Denied(phase != Request, frontend)
		return answered(st, 'P', phase)
	}, nil
}

// redirection is a compiled redirect.
type redirection struct {
	kind       byte // 'l', 'p', 's'
	to         *logformat.Format
	code       int
	reason     string
	dropQuery  bool
	slash      bool
	emptyOK    bool
	cookie     []byte
	cookieFmt  *logformat.Format // set-cookie-fmt
	keepQuery  bool
	cacheField bool
}

func redirectLine(c *conf.Ctx) error {
	r, err := Request.set().parse(c, append([]string{"redirect"}, c.Args...))
	if err != nil {
		return err
	}
	c.Proxy.Redirects = append(c.Proxy.Redirects, r)
	return nil
}

// redirectWords are the arguments of "redirect"; each reads what follows its word.
var redirectWords = map[string]func(r *redirection, l *Line, word string) error{
	"location":       (*redirection).readTarget,
	"prefix":         (*redirection).readTarget,
	"scheme":         (*redirection).readTarget,
	"code":           (*redirection).readCode,
	"set-cookie":     (*redirection).readCookie,
	"clear-cookie":   (*redirection).readCookie,
	"set-cookie-fmt": (*redirection).readCookieFormat,
	"drop-query":     func(r *redirection, _ *Line, _ string) error { r.dropQuery = true; return nil },
	"append-slash":   func(r *redirection, _ *Line, _ string) error { r.slash = true; return nil },
	"ignore-empty":   func(r *redirection, _ *Line, _ string) error { r.emptyOK = true; return nil },
	"keep-query":     func(r *redirection, _ *Line, _ string) error { r.keepQuery = true; return nil },
}

// must takes the argument of a word.
func must(l *Line, word string) (string, error) {
	v, err := l.Take("")
	if err != nil {
		return "", fmt.Errorf("missing argument for '%s'", word)
	}
	return v, nil
}

func (r *redirection) readTarget(l *Line, word string) error {
	v, err := must(l, word)
	if err != nil {
		return err
	}
	r.kind = word[0]
	r.to, err = l.Format(v)
	return err
}

func (r *redirection) readCode(l *Line, word string) error {
	v, _ := l.Take("a code")
	switch v {
	case "301", "302", "303", "307", "308":
		r.code, _ = strconv.Atoi(v)
		return nil
	}
	return fmt.Errorf("'%s': unsupported HTTP code '%s' (must be one of 301, 302, 303, 307 or 308)", word, v)
}

func (r *redirection) readCookie(l *Line, word string) error {
	v, err := must(l, word)
	if err != nil {
		return err
	}
	v = strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, v) + "; path=/;"
	if word == "clear-cookie" {
		v += " Max-Age=0;"
	}
	r.cookie = []byte(v)
	return nil
}

func (r *redirection) readCookieFormat(l *Line, word string) error {
	v, err := must(l, word)
	if err == nil {
		r.cookieFmt, err = l.Format(v)
	}
	return err
}

func redirect(l *Line) (Exec, error) {
	r := &redirection{code: 302}
	for w := l.Peek(); w != ""; w = l.Peek() {
		l.Next()
		read := redirectWords[w]
		if read == nil {
			return nil, fmt.Errorf("expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'set-cookie-fmt', 'clear-cookie', 'drop-query', 'keep-query', 'ignore-empty' or 'append-slash' (was '%s')", w)
		}
		if err := read(r, l, w); err != nil {
			return nil, err
		}
	}
	if r.to == nil {
		return nil, fmt.Errorf("redirection type expected ('prefix', 'location', or 'scheme')")
	}
	r.reason = message.Reason(r.code)
	r.cacheField = r.code == 302 || r.code == 303 || r.code == 307
	phase := l.Phase
	return func(sc *stream.Scope) stream.Verdict { return r.exec(sc.Stream, phase) }, nil
}

// exec answers, unless there is nowhere to go.
func (r *redirection) exec(st *stream.Stream, phase Phase) stream.Verdict {
	to := r.target(st)
	if r.emptyOK && len(to) == 0 {
		return stream.Continue
	}
	rep := &st.OwnReply
	rep.Status, rep.Reason, rep.Fields, rep.Body, rep.Close = r.code, r.reason, rep.Fields[:0], nil, false
	rep.Fields = append(rep.Fields, message.Field{Name: contentLength, Value: zero}, message.Field{Name: location, Value: to})
	if r.cacheField {
		rep.Fields = append(rep.Fields, message.Field{Name: cacheControl, Value: noCache})
	}
	if r.cookie != nil {
		rep.Fields = append(rep.Fields, message.Field{Name: setCookie, Value: r.cookie})
	}
	if r.cookieFmt != nil {
		rep.Fields = append(rep.Fields, message.Field{Name: setCookie, Value: compute(st, r.cookieFmt)})
	}
	st.Reply = rep
	return answered(st, 'L', phase)
}

// target computes the location.
func (r *redirection) target(st *stream.Stream) []byte {
	v := compute(st, r.to)
	if r.kind == 'l' && r.keepQuery && len(v) > 0 {
		if q := query(st.Req.PathQuery()); len(q) > 1 {
			if bytes.IndexByte(v, '?') >= 0 {
				v, q = join(st, v, ampersand), q[1:]
			}
			v = join(st, v, q)
		}
	}
	if r.kind == 'l' || len(v) == 0 && r.emptyOK {
		return v
	}
	path := st.Req.PathQuery()
	if r.dropQuery {
		path = path[:len(path)-len(query(path))]
	}
	if r.slash && (len(path) == 0 || path[len(path)-1] != '/') {
		path = join(st, path, slash) // after the query, if that is not dropped
	}
	if r.kind == 's' {
		v = join(st, v, schemeEnd)
		v = join(st, v, st.Req.Get("host"))
	} else if string(v) == "/" {
		v = nil
	}
	return join(st, v, path)
}

var (
	slash     = []byte("/")
	ampersand = []byte("&")
	schemeEnd = []byte("://")
)
