package resource

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"go.yaml.in/yaml/v3"
)

// Names finds the files that a configuration names.
type Names struct {
	Lines     map[string]int      `yaml:"lines"`
	Options   []string            `yaml:"options"`
	Functions []string            `yaml:"functions"`
	Bases     map[string][]string `yaml:"bases"`

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

// Find returns the paths that the configuration names, as it writes them (joined to a base when there is one), each once.
func (n *Names) Find(f *config.File) (paths []string) {
	bases := map[string]string{}
	add := func(option, path string) {
		if base := bases[option]; base != "" && !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		if path != "" && !strings.Contains(path, "@") && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, l := range f.Lines {
		if len(l.Words) < 2 {
			continue
		}
		for _, option := range n.Bases[l.Words[0]] {
			bases[option] = l.Words[1]
		}
		if i, ok := n.Lines[l.Words[0]]; ok && i < len(l.Words) {
			add("", l.Words[i])
		}
		for i, w := range l.Words {
			if i > 0 && slices.Contains(n.Options, l.Words[i-1]) {
				add(l.Words[i-1], w)
			}
			for _, m := range n.call.FindAllStringSubmatch(w, -1) {
				add("", m[1])
			}
		}
	}
	return paths
}
