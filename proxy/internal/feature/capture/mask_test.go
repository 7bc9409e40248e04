package capture_test

import "regexp"

var masks = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`^127\.0\.0\.1:\d+ \[[^]]*\]`), "CLIENT"},
	{regexp.MustCompile(`^"?127\.0\.0\.1"? - - \[[^]]*\]`), "CLIENT"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`"" "" "?\d+"? "?\d+"? `), "PORT MS "},
	// Times, bytes (HAProxy 2.6 counts its own form of messages) and connections.
	{regexp.MustCompile(`(\S+/\S+) -?\d+/-?\d+/-?\d+/-?\d+/(\+?)-?\d+ (-?\d+) (\+?)\d+ `), "$1 ${2}TIMES $3 ${4}BYTES "},
	{regexp.MustCompile(`("\S+" "\S+")( "?-?\d+"?){5} `), "$1 TIMES "},
	{regexp.MustCompile(` \d+/\d+/\d+/\d+/\d+ `), " CONNECTIONS "},
	{regexp.MustCompile(`( "?\d+"?){7} ("[^"]*" "[^"]*" )`), " CONNECTIONS $2"},
	{regexp.MustCompile(`" (-?\d+) \d+ PORT `), `" $1 BYTES PORT `},
	{regexp.MustCompile(`" (-?\d+) BYTES "" "" `), `" $1 BYTES PORT `},
}

// varying hides what differs from run to run.
func varying(s string) string {
	for _, m := range masks {
		s = m.re.ReplaceAllString(s, m.by)
	}
	return s
}
