package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// million is how many entries the maps have whose loading is measured.
const million = 1_000_000

// entry gives the key of an entry of a map, and what is looked up to find it.
type entry func(i int) (key, value string)

func str(i int) (key, value string) {
	key = fmt.Sprintf("host%d.zone%d.example.com", i, i%977)
	return key, key
}

func beg(i int) (key, value string) {
	key = fmt.Sprintf("/app%d/%d/", i%9973, i)
	return key, key + "index.html"
}

func ip(i int) (key, value string) {
	net := fmt.Sprintf("%d.%d.%d.", 1+i>>16&0xff, i>>8&0xff, i&0xff)
	return net + "0/24", net + "7"
}

func reg(i int) (key, value string) {
	return fmt.Sprintf("^/app%d/[0-9]+/.*[.]html$", i), fmt.Sprintf("/app%d/%d/index.html", i, i*7)
}

// mapFile writes a map of n entries, once, and gives its path.
func mapFile(b *bench, method string, n int, of entry) string {
	file := filepath.Join(b.dir, fmt.Sprintf("%s-%d.map", method, n))
	if _, err := os.Stat(file); err == nil {
		return file
	}
	f, err := os.Create(file)
	if err != nil {
		fatal("%v", err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		key, _ := of(i)
		fmt.Fprintf(w, "%s backend%d\n", key, i%100)
	}
	if err := w.Flush(); err != nil {
		fatal("%v", err)
	}
	f.Close()
	return file
}

// mapLines are a frontend that looks a header field up in a map.
func mapLines(method string, n int, of entry) func(*bench) string {
	return func(b *bench) string {
		return fmt.Sprintf("\nfrontend map\n    bind {map}\n    http-request set-header X-Found %%[req.hdr(x-key),map_%s(%s,none)]\n    default_backend origin\n", method, mapFile(b, method, n, of))
	}
}

// grouped writes a number with commas.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// mapped is a scenario of lookups of keys from all over a map of n entries.
func mapped(method string, n int, of entry) scenario {
	return scenario{
		name: fmt.Sprintf("map-%s-%d", method, n), what: fmt.Sprintf("`map_%s` of %s entries, 64 connections", method, grouped(n)),
		threads: 1, target: 0.8, lines: mapLines(method, n, of),
		run: func(b *bench, r *running) (sample, error) {
			script := filepath.Join(b.dir, fmt.Sprintf("%s-%d.lua", method, n))
			if err := os.WriteFile(script, []byte(mapScript(n, of)), 0o600); err != nil {
				return sample{}, err
			}
			return wrk(64, http("map"), "/", "-s", script)(b, r)
		},
	}
}

// mapScript makes wrk send a few thousand keys in turn.
func mapScript(n int, of entry) string {
	var s strings.Builder
	s.WriteString("local keys = {\n")
	for i := range min(n, 4096) {
		_, value := of(i * 7919 % n)
		fmt.Fprintf(&s, "%q,\n", value)
	}
	s.WriteString("}\nlocal requests, at = {}, 0\ninit = function()\n  for i, key in ipairs(keys) do\n    requests[i] = wrk.format(nil, nil, {[\"x-key\"] = key})\n  end\nend\n" +
		"request = function()\n  at = at % #requests + 1\n  return requests[at]\nend\n")
	return s.String()
}

// loading is the time that a program takes to start with a map of a million entries,
// until the first answer.
func loading(method string, of entry) scenario {
	return scenario{
		name: "map-load-" + method, what: fmt.Sprintf("start with a `map_%s` of 1,000,000 entries", method), threads: 1, target: 1, kind: loadTime,
		starts: func(b *bench, p *program) (sample, error) {
			r, err := p.start(b.dir, 1, b.origin, mapLines(method, million, of)(b))
			if err != nil {
				return sample{}, err
			}
			defer r.stop()
			return sample{value: float64(r.ready.Microseconds()) / 1000}, nil
		},
	}
}

// entrySize is the memory that an entry of a million takes.
func entrySize(method string, of entry) scenario {
	return scenario{
		name: "map-mem-" + method, what: fmt.Sprintf("an entry of a `map_%s` of 1,000,000", method), threads: 1, target: 1, kind: bytesPerEntry, once: true,
		starts: func(b *bench, p *program) (sample, error) {
			var size [2]int64
			for i, lines := range []string{"", mapLines(method, million, of)(b)} {
				r, err := p.start(b.dir, 1, b.origin, lines)
				if err != nil {
					return sample{}, err
				}
				size[i], err = steadyMemory(r, 30*time.Second)
				r.stop()
				if err != nil {
					return sample{}, err
				}
			}
			return sample{value: float64(size[1]-size[0]) / million}, nil
		},
	}
}
