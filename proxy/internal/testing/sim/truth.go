package sim

import (
	"fmt"
	"math/rand/v2"
)

// Salts of contents.
const (
	saltRequest = 1 + iota
	saltResponse
	saltUp
	saltDown
	saltFill
)

// What a client of WebSockets over HTTP/1 says, and has to be told (RFC 6455 1.3).
const (
	webSocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	webSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// truth is all that is known of a request: what the client meant, what servers
// saw, and what became of it.
type truth struct {
	id        int
	client    int64 // the connection that it came on
	method    string
	h2        bool
	v10       bool
	keep      bool
	bodyLen   int
	chunked   bool // the length is not said
	trailer   bool
	expect    bool
	upgrade   bool
	webSocket bool // is what it upgrades to
	upLen     int  // of a tunnel
	downLen   int
	bad       bool // malformed
	unseen    bool // servers must not see it
	banned    bool // its client's PROXY protocol header is malformed
	route     route
	backend   int
	attempts  []attempt
	answered  bool
	logs      int
}

// attempt is one time that a server saw the head of a request.
type attempt struct {
	conn    int64
	first   bool // it was the first on its connection
	nonce   int
	length  int  // of the response's body
	short   bool // it ended early, in a way that looks like the end
	refused bool // the server said that it has not processed it
}

// idempotent tells which requests may be sent again.
func (t *truth) idempotent() bool { return t.method != "POST" && t.method != "PATCH" }

// hasBody tells whether the method comes with a body.
func (t *truth) hasBody() bool { return t.method == "POST" || t.method == "PUT" || t.method == "PATCH" }

func (w *World) newTruth() *truth {
	t := &truth{id: len(w.truths)}
	w.truths = append(w.truths, t)
	w.Requests++
	return t
}

// invent makes a random request, without what only one version has.
func (w *World) invent(rnd *rand.Rand) *truth {
	t := w.newTruth()
	t.method = []string{"GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}[rnd.IntN(10)]
	t.backend = rnd.IntN(8)
	if t.hasBody() {
		t.bodyLen = size(rnd)
		t.chunked = rnd.IntN(2) == 0
		t.trailer = t.chunked && rnd.IntN(3) == 0
		t.expect = rnd.IntN(6) == 0
	} else if t.method == "GET" && rnd.IntN(12) == 0 {
		t.upgrade = true
		t.upLen, t.downLen = size(rnd), size(rnd)
	}
	return t
}

// size is a random length of a body.
func size(rnd *rand.Rand) int {
	switch rnd.IntN(12) {
	case 0, 1:
		return 0
	case 2, 3, 4, 5:
		return rnd.IntN(200)
	case 6, 7, 8:
		return rnd.IntN(5000)
	case 9, 10:
		return rnd.IntN(40000)
	}
	return rnd.IntN(300000)
}

// path is what is asked for.
func (t *truth) path() string { return fmt.Sprintf("/b%d/%d", t.backend, t.id) }

// upgradesTo is what servers of HTTP/1 are asked for.
func (t *truth) upgradesTo() string {
	switch {
	case t.webSocket:
		return "websocket"
	case t.upgrade:
		return "echo"
	}
	return ""
}

// reaches notes that a server sees a request, and tells whether it may: only what
// does no harm is sent twice.
func (w *World) reaches(t *truth, conn int64, first bool) (*attempt, error) {
	if t.unseen || t.banned {
		return nil, fmt.Errorf("request %d should not have come here", t.id)
	}
	if n := len(t.attempts); n > 0 {
		last := t.attempts[n-1]
		if !last.refused && (!t.idempotent() || last.first) {
			return nil, fmt.Errorf("request %d (%s) was sent again, which is not allowed; before it went to conn %d (first there: %v)", t.id, t.method, last.conn, last.first)
		}
	}
	w.nonces++
	t.attempts = append(t.attempts, attempt{conn: conn, first: first, nonce: w.nonces})
	return &t.attempts[len(t.attempts)-1], nil
}

// try is the attempt of a number.
func (t *truth) try(nonce int) *attempt {
	for i := range t.attempts {
		if a := &t.attempts[i]; a.nonce == nonce {
			return a
		}
	}
	return nil
}

// checkFill looks at the field whose bytes are known.
func checkFill(h *head, id int) error {
	return verify([]byte(h.fields["x-fill"]), id, saltFill, 0)
}

// answerBegins looks at the head of a final answer.
func (w *World) answerBegins(t *truth, h *head) error {
	if t.banned {
		return fmt.Errorf("request %d: a %d although its connection began with a malformed header", t.id, h.status)
	}
	if h.fields["x-id"] == "" {
		if t.bad {
			return nil
		}
		switch h.status {
		case 400, 403, 408, 502, 503, 504, 500:
		default:
			return fmt.Errorf("request %d: a %d that no server sent", t.id, h.status)
		}
		if w.calm {
			return fmt.Errorf("request %d: a %d although nothing went wrong", t.id, h.status)
		}
		return nil
	}
	if h.num("x-id") != t.id {
		return fmt.Errorf("request %d got the answer to %d", t.id, h.num("x-id"))
	}
	if t.try(h.num("x-nonce")) == nil {
		return fmt.Errorf("request %d: an answer that no server sent", t.id)
	}
	return checkFill(h, h.num("x-nonce"))
}

// answerEnds looks at an answer that is complete. got is the length of its body,
// trailer a line of its trailers.
func (w *World) answerEnds(t *truth, h *head, got int, trailer string) error {
	if h.fields["x-id"] == "" {
		return nil
	}
	want := h.num("x-len")
	if t.method == "HEAD" || h.status == 204 || h.status == 304 {
		want = 0
	}
	a := t.try(h.num("x-nonce"))
	if got != want && !(a.short && got < want) {
		return fmt.Errorf("request %d: %d of %d bytes arrived, and the answer looks complete", t.id, got, want)
	}
	if trailer != "" && trailer != fmt.Sprintf("x-t: %d", t.id) {
		return fmt.Errorf("request %d: trailer %q", t.id, trailer)
	}
	t.answered = true
	w.Answered++
	return nil
}
