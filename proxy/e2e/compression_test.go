package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestExampleCompression: curl gets the example's pages compressed, over HTTP/1 and
// HTTP/2, and they are what the servers sent; also when a server stops.
func TestExampleCompression(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl")
	page := strings.Repeat("A page of text that says the same again and again.\n", 4000)
	web, one, two := address(t), newOrigin(t, page), newOrigin(t, page)
	text := read(t, filepath.Join(root, "deploy/examples/compression.cfg"))
	text = strings.NewReplacer("bind :8080", "bind "+web, "127.0.0.1:9001", fmt.Sprintf("127.0.0.1:%d", one.port()), "127.0.0.1:9002", fmt.Sprintf("127.0.0.1:%d", two.port()),
		"maxconn 10000", "maxconn 1000", "abns@forebay", "@DIR@/s", "inter 2s", "inter 100ms").Replace(text)
	p := serve(t, text)
	// fetch gives what curl makes of the body, and how many bytes of it came.
	fetch := func(args ...string) (body string, size int, err error) {
		out, err := exec.Command(curl, append(args, "-s", "-S", "-f", "--max-time", "20", "-w", "|%{size_download}", "http://"+web+"/")...).Output()
		if err != nil {
			return "", 0, err
		}
		i := strings.LastIndexByte(string(out), '|')
		_, err = fmt.Sscan(string(out[i+1:]), &size)
		return string(out[:i]), size, err
	}
	p.awaitStat("app", "s2", "status", "UP")
	for _, protocol := range []string{"--http1.1", "--http2-prior-knowledge"} {
		if body, size, err := fetch(protocol, "--compressed"); err != nil || body != page || size > len(page)/10 {
			t.Errorf("%s: %d bytes of %d, %d came: %v", protocol, len(body), len(page), size, err)
		}
		if body, size, err := fetch(protocol); err != nil || body != page || size != len(page) {
			t.Errorf("%s: %d bytes of %d, %d came: %v", protocol, len(body), len(page), size, err)
		}
	}
	loseOne(t, p, "app", "s1", one, func() error {
		body, _, err := fetch("--compressed")
		if err == nil && body != page {
			err = fmt.Errorf("%d bytes of %d", len(body), len(page))
		}
		return err
	})
}
