package stream

import "testing"

// The lengths are those of HAProxy's pages.
func TestDefaultReplies(t *testing.T) {
	for status, want := range map[int]int{
		200: 58, 400: 90, 401: 112, 403: 93, 404: 83, 405: 146, 407: 112, 408: 110, 410: 114, 413: 106,
		421: 104, 422: 116, 425: 80, 429: 117, 500: 97, 501: 136, 502: 107, 503: 107, 504: 92,
	} {
		if n := len(DefaultReply(status).Body); n != want {
			t.Errorf("%d: %d bytes, want %d", status, n, want)
		}
	}
}
