package conf

import (
	"maps"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/internal/engine/http1"
	"github.com/forebay-lb/forebay/proxy/internal/engine/message"
	"github.com/forebay-lb/forebay/proxy/internal/engine/stream"
)

func init() {
	Register(
		Keyword{Name: "errorfile", In: Proxies, Max: 2, Parse: errorFile},
		Keyword{Name: "errorloc", In: Proxies, Max: 2, Parse: errorLoc(302)},
		Keyword{Name: "errorloc302", In: Proxies, Max: 2, Parse: errorLoc(302)},
		Keyword{Name: "errorloc303", In: Proxies, Max: 2, Parse: errorLoc(303)},
	)
}

// errorStatus reads the status that a line replaces the page of.
func (c *Ctx) errorStatus(what string) (int, error) {
	if len(c.Args) < 2 {
		return 0, say("%s : expects <status_code> and <%s> as arguments.", c.Keyword, what)
	}
	n, err := strconv.Atoi(c.Args[0])
	if err != nil || !stream.HasDefaultReply(n) {
		return 0, say("%s : status code '%s' not handled.", c.Keyword, c.Args[0])
	}
	return n, nil
}

func (c *Ctx) setErrorReply(status int, r *stream.Reply) {
	files := maps.Clone(c.Proxy.ErrorFiles)
	if files == nil {
		files = make(map[int]*stream.Reply)
	}
	r.For = status
	files[status] = r
	c.Proxy.ErrorFiles = files
}

func errorFile(c *Ctx) error {
	status, err := c.errorStatus("file")
	if err != nil {
		return err
	}
	name := c.Args[1]
	if name == "/dev/null" { // an empty answer: the connection is just closed
		c.setErrorReply(status, &stream.Reply{Status: status, Silent: true, Close: true})
		return nil
	}
	data, err := c.ReadFile(name)
	if err != nil {
		return say("errorfile : error opening file '%s'.", name)
	}
	r, err := ParseReply(data, c.Snap.Global.BufSize-c.Snap.Global.MaxRewrite)
	if err != nil {
		return say("errorfile : error parsing file '%s' : %w.", name, err)
	}
	c.setErrorReply(status, r)
	return nil
}

// ParseReply makes an answer of a complete HTTP/1 response, as error files are:
// at most limit bytes. Line ends may be bare line feeds. An empty text is an
// answer of no bytes.
func ParseReply(data []byte, limit int) (*stream.Reply, error) {
	if len(data) == 0 {
		return &stream.Reply{Silent: true, Close: true}, nil
	}
	if len(data) > limit {
		return nil, say("larger than %d bytes", limit)
	}
	head, body := splitHead(data)
	if head == nil {
		return nil, say("no empty line after the headers")
	}
	var res message.Response
	n, err := http1.ParseResponse(head, &res, message.Head, &http1.Limits{})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, say("truncated head")
	}
	r := &stream.Reply{Status: res.Status, Reason: string(res.Reason), Close: asksClose(string(head))}
	measured := false
	for _, f := range res.Fields {
		switch name := strings.ToLower(string(f.Name)); name {
		case "content-length":
			n, err := strconv.Atoi(string(f.Value))
			if err == nil && n == len(body)-1 && body[n] == '\n' {
				body = body[:n] // editors end files with a line feed
			}
			if err != nil || n != len(body) {
				return nil, say("content-length says %s, the body has %d bytes", f.Value, len(body))
			}
			measured = true
			r.Fields = append(r.Fields, message.Field{Name: []byte(name), Value: []byte(strconv.Itoa(n))})
		case "transfer-encoding":
			return nil, say("transfer-encoding is not possible here")
		case "connection": // about this one connection, see asksClose
		default:
			r.Fields = append(r.Fields, message.Field{Name: []byte(name), Value: append([]byte(nil), f.Value...)})
		}
	}
	r.Body = body
	if !measured {
		length := message.Field{Name: []byte("content-length"), Value: []byte(strconv.Itoa(len(body)))}
		r.Fields = append([]message.Field{length}, r.Fields...)
	}
	return r, nil
}

// asksClose tells whether a head has "connection: close". The parser takes the
// field away.
func asksClose(head string) bool {
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "connection") && strings.EqualFold(strings.TrimSpace(value), "close") {
			return true
		}
	}
	return false
}

// splitHead cuts a response after its empty line and gives the head with CR LF
// line ends.
func splitHead(data []byte) (head, body []byte) {
	rest := data
	for len(rest) > 0 {
		line := rest
		if i := strings.IndexByte(string(rest), '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			return nil, nil
		}
		line = []byte(strings.TrimSuffix(string(line), "\r"))
		head = append(append(head, line...), '\r', '\n')
		if len(line) == 0 {
			return head, append([]byte(nil), rest...)
		}
	}
	return nil, nil
}

// errorLoc parses the keywords that redirect instead of answering with a page.
func errorLoc(code int) func(*Ctx) error {
	return func(c *Ctx) error {
		status, err := c.errorStatus("url")
		if err != nil {
			return err
		}
		if strings.ContainsAny(c.Args[1], "\r\n\x00") {
			return say("%s : invalid character in the URL.", c.Keyword)
		}
		c.setErrorReply(status, &stream.Reply{
			Status: code, Reason: message.Reason(code),
			Fields: []message.Field{
				{Name: []byte("content-length"), Value: []byte("0")},
				{Name: []byte("cache-control"), Value: []byte("no-cache")},
				{Name: []byte("location"), Value: []byte(c.Args[1])},
			},
		})
		return nil
	}
}
