package pattern

// Expand appends a template with the groups of a match put in. A backslash takes the
// meaning off what else follows it.
func Expand[T string | []byte](dst []byte, template T, text []byte, match []int) []byte {
	for i := 0; i < len(template); i++ {
		b := template[i]
		if b == '\\' && i+1 < len(template) {
			i++
			if b = template[i]; '0' <= b && b <= '9' {
				if n := 2 * int(b-'0'); n < len(match) && match[n] >= 0 {
					dst = append(dst, text[match[n]:match[n+1]]...)
				}
				continue
			}
		}
		dst = append(dst, b)
	}
	return dst
}
