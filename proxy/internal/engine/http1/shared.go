package http1

// What others read as HTTP/1 does.

// ContentLength reads the value of a content-length field (RFC 9110 8.6). have
// is what an earlier field said, -1 when there was none: both must be equal. one
// is the value without repetitions; why is empty, or what is wrong, a constant.
func ContentLength(value []byte, have int64) (n int64, one []byte, why string) {
	s := seen{length: have}
	_, why = s.contentLength(&value)
	return s.length, value, why
}

// ForbiddenInHost tells whether a host, with or without a port, has characters
// that none has.
func ForbiddenInHost(host []byte) bool { return forbiddenInHost(host) }

// ValidAuthority tells whether a is the target of a CONNECT: a host and a port.
func ValidAuthority(a []byte) bool {
	host, port := splitPort(a)
	return len(host) > 0 && validPort(port) && !forbiddenInHost(host)
}

// ValidValue tells whether v can be a field's value: it has no CR, LF or NUL.
func ValidValue(v []byte) bool { return plain(v, 0) == len(v) }

// ValidName tells whether name is a token (RFC 9110 5.6.2) in lower case.
func ValidName(name []byte) bool {
	for _, c := range name {
		if lower[c] != c || c == 0 {
			return false
		}
	}
	return len(name) > 0
}

// ValidToken tells whether b is a token (RFC 9110 5.6.2).
func ValidToken(b []byte) bool {
	for _, c := range b {
		if lower[c] == 0 {
			return false
		}
	}
	return len(b) > 0
}

// FramingField tells of fields that have no business in trailers (RFC 9110
// 6.5.1).
func FramingField(name []byte) bool { return framing(name) }

// HasElement tells whether a comma-separated list has an element, in whatever
// case.
func HasElement(list []byte, want string) bool { return hasElement(list, want) }

// Trim cuts blanks off both ends.
func Trim(b []byte) []byte { return trim(b) }

// Number reads a decimal number below 2^63.
func Number(b []byte) (int64, bool) { return number(b) }
