package check

import (
	"encoding/binary"
	"io"

	"github.com/forebay-lb/forebay/proxy/internal/engine/conf"
)

// sslHello is "option ssl-hello-chk" (manual 4.2): the server must answer to a
// message that begins SSLv3.
func sslHello(c *conf.Ctx) error {
	s := rules.Make(c.Proxy)
	s.on, s.hello = false, true // the last option counts
	return nil
}

// minHello is how much of the answer must be there before it is looked at: the
// head of a record.
const minHello = 5

// clientHello is the message: a ClientHello of SSLv3 (RFC 6101 5.6.1.2) with the
// suites of that time. No secret follows from it, so nothing in it is random.
var clientHello = func() []byte {
	var suites []byte
	for n := uint16(0x01); n <= 0x3a; n++ {
		if n <= 0x1b || n >= 0x2f {
			suites = binary.BigEndian.AppendUint16(suites, n)
		}
	}
	body := []byte{3, 0}
	body = append(body, "Forebay asks whether this is SSL"...)
	body = append(body, 0) // no session
	body = binary.BigEndian.AppendUint16(body, uint16(len(suites)))
	body = append(body, suites...)
	body = append(body, 1, 0) // no compression
	message := append([]byte{1, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(body)))...)
	message = append(message, body...)
	record := append([]byte{22, 3, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(message)))...)
	return append(record, message...)
}()

// runHello makes the check: a handshake message and an alert are both answers of
// who speaks SSL or TLS, and servers of today refuse SSLv3 with the latter.
func (p *probe) runHello() (out outcome, killed bool) {
	if out, killed = p.connect(&step{kind: connect, defaults: true}, 0); out.status != "" || killed {
		return out, killed
	}
	if out, killed = p.write(clientHello, "L6TOUT"); out.status != "" || killed {
		return out, killed
	}
	p.buf = p.r.Buffer()
	defer func() { p.r.Release(p.buf) }()
	for p.n < minHello {
		if err := p.receive(); err == io.EOF {
			break
		} else if err != nil {
			return p.broken(err, "L6TOUT")
		}
	}
	switch {
	case p.n == 0:
		return outcome{status: "L6RSP", info: "TCPCHK got an empty response at step 2"}, false
	case p.buf[0] != 21 && p.buf[0] != 22:
		return outcome{status: "L6RSP"}, false
	}
	return outcome{status: "L6OK"}, false
}
