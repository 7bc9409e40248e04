package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/google/renameio/v2"
)

// MaxFile bounds a configuration file, in bytes.
const MaxFile = 64 << 20

const versionPrefix = "# _version="

// CheckPattern names the files in the folder that a configuration is written to for a check.
const CheckPattern = "validate-*.cfg"

// ErrChanged says that the file was changed by somebody else while a change was under way.
var ErrChanged = errors.New("the configuration file was changed by somebody else meanwhile")

// Store is one configuration file and the folder of its transactions.
type Store struct {
	Path       string
	Dir        string // transactions, backups and the journal
	Backups    int    // how many versions to keep
	BackupsDir string // default: the folder "backups" in Dir
	MaxOpen    int    // transactions at the same time
	Log        *slog.Logger

	mu    sync.Mutex
	text  []byte
	id    identity
	state state
}

// identity tells one state of a file from another without reading it.
type identity struct {
	ino   uint64
	size  int64
	mtime int64
}

// state is what must survive a restart. It is written before and after each change, so that the next start knows how far
// the change came.
type state struct {
	Version int64  `json:"version"`
	Sum     string `json:"checksum"`          // of the file, as this program last wrote or saw it
	Applied string `json:"applied,omitempty"` // of the text that the proxy last took over
}

// Open reads the file and the folder.
func Open(s *Store) (*Store, error) {
	abs, err := filepath.Abs(s.Path)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real // replace the file that a link points to, not the link
	}
	s.Path = abs
	if s.BackupsDir == "" {
		s.BackupsDir = filepath.Join(s.Dir, "backups")
	}
	for _, d := range []string{s.Dir, filepath.Join(s.Dir, "failed"), filepath.Join(s.Dir, "outdated"), s.BackupsDir} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, err
		}
	}
	s.removeLeftovers()
	if data, err := os.ReadFile(s.statePath()); err == nil {
		if err := json.Unmarshal(data, &s.state); err != nil {
			s.Log.Warn("the state file cannot be read and is ignored", "file", s.statePath(), "error", err)
			s.state = state{}
		}
	}
	if s.text, s.id, err = read(s.Path); err != nil {
		return nil, err
	}
	if v := Version(s.text); s.state.Sum != "" && sum(s.text) != s.state.Sum && v <= s.state.Version {
		s.Log.Info("the configuration file was changed while this program did not run", "file", s.Path)
		if err := s.bump(); err != nil {
			return nil, err
		}
	}
	s.state.Version = Version(s.text)
	s.state.Sum = sum(s.text)
	return s, s.saveState()
}

func (s *Store) statePath() string { return filepath.Join(s.Dir, "state.json") }

// removeLeftovers takes away the temporary files of a writer that was killed.
func (s *Store) removeLeftovers() {
	for _, pattern := range []string{filepath.Join(filepath.Dir(s.Path), "."+filepath.Base(s.Path)+"[0-9]*"), filepath.Join(s.Dir, ".*[0-9]")} {
		names, _ := filepath.Glob(pattern)
		for _, n := range names {
			if digits := strings.TrimLeft(filepath.Base(n), "."); strings.TrimRight(digits, "0123456789") != digits {
				os.Remove(n)
			}
		}
	}
	checks, _ := filepath.Glob(filepath.Join(s.Dir, CheckPattern))
	for _, n := range checks {
		os.Remove(n)
	}
}

func sum(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

func read(path string) ([]byte, identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, identity{}, err
	}
	defer f.Close()
	text, err := readAll(f)
	if err != nil {
		return nil, identity{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, identity{}, err
	}
	return text, identify(fi), nil
}

func identify(fi fs.FileInfo) identity {
	id := identity{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.ino = st.Ino
	}
	return id
}

// Version reads the version line, which is among the comments at the head of the file. Without one the version is 1.
func Version(text []byte) int64 {
	for line := range bytes.Lines(text) {
		l := strings.TrimSpace(string(line))
		if v, ok := strings.CutPrefix(l, versionPrefix); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil && n > 0 {
				return n
			}
			return 1
		}
		if l != "" && !strings.HasPrefix(l, "#") {
			break
		}
	}
	return 1
}

// WithVersion returns the text with another version.
func WithVersion(text []byte, v int64) []byte {
	head := fmt.Appendf(nil, "%s%d\n", versionPrefix, v)
	at := 0
	for line := range bytes.Lines(text) {
		l := strings.TrimSpace(string(line))
		if strings.HasPrefix(l, versionPrefix) {
			return slices.Concat(text[:at], head, text[at+len(line):])
		}
		if l != "" && !strings.HasPrefix(l, "#") {
			break
		}
		at += len(line)
	}
	return slices.Concat(head, text)
}

// Text returns the file as it is now, and its version. A change by somebody else is noticed here at the latest.
func (s *Store) Text() ([]byte, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current()
}

func (s *Store) current() ([]byte, int64, error) {
	if err := s.refresh(); err != nil {
		return nil, 0, err
	}
	return s.text, Version(s.text), nil
}

// refresh reads the file again when it is not the one that is known. A change by somebody else gets a version of its own.
func (s *Store) refresh() error {
	fi, err := os.Stat(s.Path)
	if err != nil {
		return err
	}
	if identify(fi) == s.id {
		return nil
	}
	text, id, err := read(s.Path)
	if err != nil {
		return err
	}
	if bytes.Equal(text, s.text) {
		s.id = id
		return nil
	}
	before := Version(s.text)
	s.text, s.id = text, id
	if Version(text) <= before {
		s.state.Version = before
		if err := s.bump(); err != nil {
			return err
		}
	}
	s.Log.Info("the configuration file was changed by hand", "file", s.Path, "version", Version(s.text))
	s.state.Version, s.state.Sum = Version(s.text), sum(s.text)
	return s.saveState()
}

// bump gives the text that was read a new version, in the file too unless it changed again since: then it is read again
// by the next caller.
func (s *Store) bump() error {
	text := WithVersion(s.text, max(s.state.Version, Version(s.text))+1)
	if len(bytes.TrimSpace(s.text)) == 0 {
		// An editor that truncates before it writes: leave it alone.
		s.text = text
		return nil
	}
	fi, err := os.Stat(s.Path)
	if err != nil {
		return err
	}
	if identify(fi) != s.id {
		return nil
	}
	return s.replace(text)
}

// replace writes the file as a whole.
func (s *Store) replace(text []byte) error {
	if err := WriteFile(s.Path, text); err != nil {
		return err
	}
	fi, err := os.Stat(s.Path)
	if err != nil {
		return err
	}
	s.text, s.id = text, identify(fi)
	return nil
}

// WriteFile replaces a file: the new text is on the disk before the name points to it. Mode and owner stay.
func WriteFile(path string, text []byte) error {
	opts := []renameio.Option{renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o640), renameio.WithExistingPermissions()}
	f, err := renameio.NewPendingFile(path, opts...)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if fi, err := os.Stat(path); err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
				return err
			}
		}
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s *Store) saveState() error {
	data, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	return WriteFile(s.statePath(), append(data, '\n'))
}

// Write replaces the text of the file, keeping the old one as a backup. base is the version that the new text was made
// from, and the caller has given the new text its own. ErrChanged when the file is not at base any more.
func (s *Store) Write(base int64, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := fits(text); err != nil {
		return err
	}
	if err := s.refresh(); err != nil {
		return err
	}
	if Version(s.text) != base {
		return ErrChanged
	}
	if err := s.backup(); err != nil {
		s.Log.Warn("no backup of the configuration file", "error", err)
	}
	// A crash from here on leaves a file whose checksum is not the state's "applied": the next start brings the proxy to it.
	if err := s.replace(text); err != nil {
		return err
	}
	s.state.Version, s.state.Sum = Version(text), sum(text)
	return s.saveState()
}

func fits(text []byte) error {
	if len(text) > MaxFile {
		return fmt.Errorf("the configuration is larger than %d bytes", MaxFile)
	}
	return nil
}

// MarkApplied notes that the proxy has taken over a text.
func (s *Store) MarkApplied(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := sum(text); s.state.Applied != x {
		s.state.Applied = x
		return s.saveState()
	}
	return nil
}

// Applied tells whether the proxy is known to run the text, and whether anything is known at all.
func (s *Store) Applied(text []byte) (same, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Applied == sum(text), s.state.Applied != ""
}

func (s *Store) backup() error {
	if s.Backups <= 0 {
		return nil
	}
	dir := s.BackupsDir
	base := filepath.Base(s.Path)
	if err := WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d", base, Version(s.text))), s.text); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var versions []int64
	for _, e := range entries {
		if v, ok := strings.CutPrefix(e.Name(), base+"."); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				versions = append(versions, n)
			}
		}
	}
	slices.Sort(versions)
	for len(versions) > s.Backups {
		if err := os.Remove(filepath.Join(dir, fmt.Sprintf("%s.%d", base, versions[0]))); err != nil {
			return err
		}
		versions = versions[1:]
	}
	return nil
}
