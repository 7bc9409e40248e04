package resource

import (
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/crtlist"
	"github.com/forebay-lb/forebay/proxy/config"
	"go.yaml.in/yaml/v3"
)

// Names finds the files that a configuration names.
type Names struct {
	Lines        map[string]int      `yaml:"lines"`
	Options      []string            `yaml:"options"`
	Only         map[string][]string `yaml:"only"`
	Functions    []string            `yaml:"functions"`
	Bases        map[string][]string `yaml:"bases"`
	Lists        []string            `yaml:"lists"`
	Certificates []string            `yaml:"certificates"`
	Bundle       []string            `yaml:"bundle"`
	Side         []string            `yaml:"side"`

	call *regexp.Regexp
}

// LoadNames reads files.yaml.
func LoadNames(fsys fs.FS) (*Names, error) {
	data, err := fs.ReadFile(fsys, "files.yaml")
	if err != nil {
		return nil, err
	}
	n := &Names{}
	if err := yaml.Unmarshal(data, n); err != nil {
		return nil, err
	}
	quoted := make([]string, len(n.Functions))
	for i, f := range n.Functions {
		quoted[i] = regexp.QuoteMeta(f)
	}
	n.call, err = regexp.Compile(`(?:^|[^\w-])(?:` + strings.Join(quoted, "|") + `)\(([^),]+)`)
	return n, err
}

// found collects paths, each once.
type found struct {
	names *Names
	read  func(path string) []byte
	seen  map[string]bool
	paths []string
}

// Find returns the paths that the configuration names, as it writes them (joined to a base when there is one), each once,
// and those of the files that may stand beside a certificate. read gives the text of a crt-list, nil when there is none;
// bases are values of keywords of the section "global" in other files, and gain those of this one.
func (n *Names) Find(f *config.File, bases map[string]string, read func(path string) []byte) []string {
	out := &found{names: n, read: read, seen: map[string]bool{}}
	for _, s := range f.Sections() {
		here := bases
		if s.Kind == "crt-store" {
			here = maps.Clone(bases)
		}
		for _, l := range append([]*config.Line{s.Header}, s.Body...) {
			if len(l.Words) < 2 {
				continue
			}
			if _, ok := n.Bases[l.Words[0]]; ok {
				here[l.Words[0]] = l.Words[1]
			}
			if i, ok := n.Lines[l.Words[0]]; ok && i < len(l.Words) {
				out.add(l.Words[i])
			}
			out.line(l.Words, n.Only[l.Words[0]], here)
		}
	}
	return out.paths
}

func (o *found) add(path string) {
	if path != "" && !strings.Contains(path, "@") && !o.seen[path] {
		o.seen[path] = true
		o.paths = append(o.paths, path)
	}
}

// line finds the files of a line with its options; more are the options that it has beside the usual ones.
func (o *found) line(words, more []string, bases map[string]string) {
	for i, w := range words {
		if i > 0 && (slices.Contains(o.names.Options, words[i-1]) || slices.Contains(more, words[i-1])) {
			o.option(words[i-1], w, bases)
		}
		for _, m := range o.names.call.FindAllStringSubmatch(w, -1) {
			o.add(m[1])
		}
	}
}

func (o *found) option(option, path string, bases map[string]string) {
	for keyword, options := range o.names.Bases {
		if base := bases[keyword]; base != "" && slices.Contains(options, option) && !filepath.IsAbs(path) && !strings.HasPrefix(path, "@") {
			path = filepath.Join(base, path)
		}
	}
	known := o.seen[path]
	o.add(path)
	if known || !o.seen[path] {
		return
	}
	switch {
	case slices.Contains(o.names.Certificates, option):
		for _, bundle := range append([]string{""}, o.names.Bundle...) {
			o.add(path + bundle)
			for _, side := range o.names.Side {
				o.add(path + bundle + side)
				o.add(strings.TrimSuffix(path, ".crt") + bundle + side)
			}
		}
	case slices.Contains(o.names.Lists, option):
		list, err := crtlist.Parse(o.read(path))
		if err != nil {
			return // the proxy says what is wrong with it
		}
		for _, e := range list.Entries() {
			o.option(o.names.Certificates[0], e.File, bases)
			o.line(strings.Fields(e.Options), o.names.Only["load"], bases)
		}
	}
}
