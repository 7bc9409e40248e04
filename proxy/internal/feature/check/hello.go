package check

import (
	"encoding/binary"
	"regexp"
)

// sslHello is "option ssl-hello-chk" (manual 4.2): the server must answer to a
// message that begins SSLv3. A handshake message and an alert are both answers of
// who speaks SSL or TLS, and servers of today refuse SSLv3 with the latter.
var sslHello = ruleset{sequence: []step{
	{kind: connect, connection: connection{defaults: true}},
	{kind: send, number: 1, payload: payload{data: clientHello}},
	{kind: expects, number: 2, first: 2, expect: expect{
		what: rbinary, re: regexp.MustCompile("^1[56]"), minRecv: 5, ok: "L6OK", bad: "L6RSP", late: "L6TOUT",
	}},
}}

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
