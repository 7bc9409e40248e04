package conf

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
)

// pathPolicy is "default-path": where files with relative names are.
type pathPolicy struct {
	mode   string // "", "config", "parent" or "origin"
	origin string
}

func defaultPath(c *Ctx) error {
	mode := c.Arg(0)
	switch mode {
	case "current", "config", "parent":
		if len(c.Args) > 1 {
			return unexpected(c.Args[1])
		}
		c.paths = pathPolicy{mode: mode}
	case "origin":
		if c.Arg(1) == "" {
			return say("'default-path origin' expects a directory as an argument.")
		}
		c.paths = pathPolicy{mode, c.Arg(1)}
	default:
		return say("unsupported default-path mode '%s' for 'default-path', supported modes include 'current', 'config', 'parent', and 'origin'.", mode)
	}
	c.At(c.Pos)
	return nil
}

// folder is where the names in a configuration file start from, "" for the current
// folder.
func (p pathPolicy) folder(file string) string {
	switch p.mode {
	case "config":
		if i := strings.LastIndexByte(file, '/'); i >= 0 {
			return file[:i+1]
		}
	case "parent":
		if i := strings.LastIndexByte(file, '/'); i >= 0 {
			return file[:i+1] + ".."
		}
		return ".."
	case "origin":
		return p.origin
	}
	return ""
}

// At tells that files are read for the line at pos: where relative names start
// from depends on it. Lines are parsed with it; who reads a file later, calls it.
func (l *Loading) At(pos config.Pos) {
	if f, ok := l.Files.(*relative); ok && pos.File != "" {
		f.folder = l.paths.folder(pos.File)
	}
}

// relative is the file system of a configuration with "default-path".
type relative struct {
	fs.FS
	l      *Loading
	folder string
}

// place gives the name under which the process finds a file.
func (r *relative) place(name string) string {
	if r.folder == "" || filepath.IsAbs(name) {
		return name
	}
	return strings.TrimSuffix(r.folder, "/") + "/" + name
}

func (r *relative) Open(name string) (fs.File, error) {
	name = r.place(name)
	r.note(name)
	return r.FS.Open(name)
}

// note keeps that the present section depends on a file.
func (r *relative) note(name string) {
	if cur := r.l.cur; cur != nil && !slices.Contains(cur.files, name) {
		cur.files = append(cur.files, name)
	}
}

// Uses tells that the section that is parsed depends on a file, which another one
// has read.
func (l *Loading) Uses(name string) {
	if f, ok := l.Files.(*relative); ok {
		f.note(f.place(name))
	}
}

func (r *relative) ReadDir(name string) ([]fs.DirEntry, error) {
	name = r.place(name)
	r.note(name)
	return fs.ReadDir(r.FS, name)
}
