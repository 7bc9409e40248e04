package conf

import (
	"bytes"
	"strconv"
)

// Lookup finds the number of a user or group in a file of the form of
// /etc/passwd. The file is read like any that the configuration names, so that
// a process without a file system can load the same configuration again.
func (l *Loading) Lookup(file, name string) (int, error) {
	data, err := l.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		f := bytes.Split(bytes.TrimSpace(line), []byte(":"))
		if len(f) >= 3 && string(f[0]) == name && name != "" {
			n, err := strconv.ParseUint(string(f[2]), 10, 31)
			return int(n), err
		}
	}
	return 0, say("not found")
}
