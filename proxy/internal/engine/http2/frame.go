package http2

import "encoding/binary"

// Frame types (RFC 9113 6).
const (
	frameData = iota
	frameHeaders
	framePriority
	frameRst
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// Flags.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings (RFC 9113 6.5.2, RFC 8441 3).
const (
	setHeaderTable     = 1
	setEnablePush      = 2
	setMaxStreams      = 3
	setInitialWindow   = 4
	setMaxFrame        = 5
	setMaxHeaderList   = 6
	setExtendedConnect = 8
)

const (
	frameHeader   = 9 // bytes
	defaultWindow = 65535
	maxWindow     = 1<<31 - 1
	minFrame      = 16384
	maxFrame      = 1<<24 - 1
	defaultTable  = 4096
	maxTable      = 65536
	maxID         = 1<<31 - 1
)

// preface is what a client begins with (RFC 9113 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is the header of a frame.
type frame struct {
	id    uint32
	len   uint32
	kind  uint8
	flags uint8
}

func parseFrame(b []byte) frame {
	return frame{
		id:   binary.BigEndian.Uint32(b[5:]) & maxID,
		len:  uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		kind: b[3], flags: b[4],
	}
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

func appendFrame(dst []byte, n int, kind, flags uint8, id uint32) []byte {
	return append(dst, byte(n>>16), byte(n>>8), byte(n), kind, flags, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func append32(dst []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(dst, n) }

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return append32(binary.BigEndian.AppendUint16(dst, id), value)
}
