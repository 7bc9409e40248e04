package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
)

// Types of fields (specification 2.2).
const (
	typeALPN      = 0x01
	typeAuthority = 0x02
	typeCRC32C    = 0x03
	typeNoop      = 0x04
	typeUniqueID  = 0x05
	typeSSL       = 0x20
	subVersion    = 0x21
	subCN         = 0x22
	subCipher     = 0x23
	subSigAlg     = 0x24
	subKeyAlg     = 0x25
	typeNetNS     = 0x30

	// first bytes of the value of typeSSL, before its own fields
	sslHead = 5

	clientSSL      = 0x01
	clientCertConn = 0x02
	clientCertSess = 0x04
)

const tlvHead = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// next cuts the first field off b. ok is false at the end, and when what is
// there is no field.
func next(b []byte) (typ byte, value, rest []byte, ok bool) {
	if len(b) < tlvHead {
		return 0, nil, nil, false
	}
	n := tlvHead + int(binary.BigEndian.Uint16(b[1:]))
	if n > len(b) {
		return 0, nil, nil, false
	}
	return b[0], b[tlvHead:n], b[n:], true
}

func wellFormed(tlvs []byte) bool {
	for len(tlvs) > 0 {
		_, _, rest, ok := next(tlvs)
		if !ok {
			return false
		}
		tlvs = rest
	}
	return true
}

// checkTLVs tells whether the fields of a header are well-formed and its
// checksum, if there is one, is right.
func checkTLVs(header, tlvs []byte) error {
	for len(tlvs) > 0 {
		typ, value, rest, ok := next(tlvs)
		if !ok {
			return errBadHeader
		}
		tlvs = rest
		switch typ {
		case typeCRC32C:
			if len(value) != 4 || binary.BigEndian.Uint32(value) != checksum(header, len(header)-len(rest)-4) {
				return errBadHeader
			}
		case typeNoop: // padding may be long: keep drops it
			continue
		case typeAuthority:
			if len(value) > maxAuthority {
				return errBadHeader
			}
		case typeSSL:
			if len(value) < sslHead || !wellFormed(value[sslHead:]) {
				return errBadHeader
			}
		case typeUniqueID:
			if len(value) > maxUniqueID {
				return errBadHeader
			}
		}
		if len(value) > MaxValue {
			return errBadHeader
		}
	}
	return nil
}

// keep copies well-formed fields, without what is too long to be looked at.
func keep(tlvs []byte) []byte {
	if len(tlvs) == 0 {
		return nil
	}
	out := make([]byte, 0, len(tlvs))
	for len(tlvs) > 0 {
		_, value, rest, ok := next(tlvs)
		if !ok {
			break
		}
		if len(value) <= MaxValue {
			out = append(out, tlvs[:len(tlvs)-len(rest)]...)
		}
		tlvs = rest
	}
	return out
}

// checksum is the CRC32C of a header whose own field for it, at an offset,
// counts as zero (specification 2.2.3).
func checksum(header []byte, at int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, header[at+4:])
}

// find gives the value of the n-th field of a type (from 0) in order of
// appearance, those inside an SSL field included. ok is false when there is none.
func find(tlvs []byte, typ byte, n int) (value []byte, ok bool) {
	for {
		t, v, rest, more := next(tlvs)
		if !more {
			return nil, false
		}
		tlvs = rest
		if t == typ {
			if n == 0 {
				return v, true
			}
			n--
		}
		if t != typeSSL || len(v) < sslHead {
			continue
		}
		for sub := v[sslHead:]; ; {
			t, v, rest, more := next(sub)
			if !more {
				break
			}
			sub = rest
			if t == typ {
				if n == 0 {
					return v, true
				}
				n--
			}
		}
	}
}
