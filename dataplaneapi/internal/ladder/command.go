package ladder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/forebay-lb/forebay/dataplaneapi/internal/resource"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/runtime"
	"github.com/forebay-lb/forebay/dataplaneapi/internal/store"
	"github.com/forebay-lb/forebay/proxy/config"
)

const (
	retries    = 20
	retryEvery = 100 * time.Millisecond
	maxOutput  = 16 << 10 // of a command, kept for messages
)

// Validate has the proxy's own program check a configuration. A Refused error carries what it says.
func (l *Ladder) Validate(ctx context.Context, text []byte) error {
	if len(l.ValidateCmd) == 0 {
		return nil
	}
	f, err := os.CreateTemp(l.Store.Dir, store.CheckPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	files := l.files()
	args := []string{}
	for i, a := range l.ValidateCmd {
		if a != "{file}" {
			args = append(args, strings.ReplaceAll(a, "{file}", f.Name()))
			continue
		}
		for k, file := range files {
			if file == l.Store.Path {
				file = f.Name()
			}
			if k > 0 && i > 0 {
				args = append(args, l.ValidateCmd[i-1]) // "-f" before each
			}
			args = append(args, file)
		}
	}
	out, err := l.run(ctx, args)
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("checking the configuration: %w", err)
	}
	out = strings.ReplaceAll(out, f.Name(), filepath.Base(l.Store.Path))
	return &Refused{"the proxy does not accept the configuration: " + alerts(out)}
}

// alerts picks the errors out of what the proxy prints.
func alerts(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "[ALERT]") {
			_, text, _ := strings.Cut(line, " : ")
			lines = append(lines, strings.TrimRight(text, ". \n"))
		}
	}
	if len(lines) == 0 {
		return strings.TrimSpace(out)
	}
	return strings.Join(lines, "; ")
}

func (l *Ladder) files() []string {
	if len(l.Files) > 0 {
		return l.Files
	}
	return []string{l.Store.Path}
}

// run runs a program and returns the end of what it prints.
func (l *Ladder) run(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.CommandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second // a child that keeps the output open does not hold us
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s: %w", args[0], ctx.Err())
	}
	text := out.Bytes()
	if len(text) > maxOutput {
		text = text[len(text)-maxOutput:]
	}
	return string(text), err
}

// send runs Runtime commands, up to the first that fails.
func (l *Ladder) send(ctx context.Context, c *runtime.Client, commands []resource.Command) error {
	for _, cmd := range commands {
		if err := l.one(ctx, c, cmd); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ladder) one(ctx context.Context, c *runtime.Client, cmd resource.Command) error {
	for try := 0; ; try++ {
		reply, err := c.Do(ctx, cmd.Text, nil)
		if err != nil {
			return err
		}
		if good(cmd, reply) || cmd.Optional {
			return nil
		}
		if again, _ := regexp.MatchString(cmd.Retry, reply); cmd.Retry == "" || !again || try == retries {
			return &runtime.Error{Command: cmd.Text, Reply: reply}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

func good(cmd resource.Command, reply string) bool {
	if cmd.Expect == "" {
		return strings.TrimSpace(reply) == ""
	}
	ok, _ := regexp.MatchString(cmd.Expect, reply)
	return ok
}

// errNotInPlace says that the proxy cannot apply a configuration in place, or not this one.
var errNotInPlace = errors.New("the proxy does not apply this in place")

var created = regexp.MustCompile(`^New version created: (\d+)`)

const maxBundle = 64 << 20

// apply has the proxy take over the whole configuration in place. A Refused error says that it is not valid,
// errNotInPlace that a reload is needed.
func (l *Ladder) apply(ctx context.Context, c *runtime.Client, text []byte) (err error) {
	reply, err := c.Do(ctx, "prepare config", nil)
	if err != nil {
		return err
	}
	m := created.FindStringSubmatch(reply)
	if m == nil {
		return fmt.Errorf("%w: %s", errNotInPlace, firstLine(reply))
	}
	at := "@" + m[1]
	defer func() {
		if err != nil {
			c.Do(ctx, "abort config "+at, nil)
		}
	}()
	total := 0
	add := func(command, path string, data []byte) error {
		if total += len(data); total > maxBundle {
			return fmt.Errorf("%w: the files are larger than %d bytes", errNotInPlace, maxBundle)
		}
		// The last line feed of a payload is not its own: with one more the file
		// arrives as it is.
		reply, err := c.Do(ctx, command+" "+at+" "+runtime.Quote(path), append(slices.Clone(data), '\n'))
		if err == nil && reply != "" {
			err = fmt.Errorf("%w: %s: %s", errNotInPlace, command, firstLine(reply))
		}
		return err
	}
	source := func(path string, data []byte) error {
		if done, err := parts(ctx, c, at, path, data); done || err != nil {
			total += len(data)
			return err
		}
		return add("add config", path, data)
	}
	err = l.each(text, source, func(n named) error {
		for name, data := range load(n.path, n.dir) {
			if err := add("add config-file", name, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	reply, err = c.Do(ctx, "commit config "+at, nil)
	if err != nil {
		return err
	}
	switch last := lastLine(reply); {
	case last == "Success!":
		for line := range strings.Lines(strings.TrimSuffix(reply, last)) {
			l.Log.Info("applied in place", "change", strings.TrimSpace(line))
		}
		return nil
	case strings.HasPrefix(last, "Fatal errors"):
		return &Refused{"the proxy does not accept the configuration: " + alerts(reply)}
	default:
		return fmt.Errorf("%w: %s", errNotInPlace, reply)
	}
}

// manyParts is from how many bytes on a file is told by the names of its sections.
const manyParts = 64 << 10

// parts sends a file to a proxy that has most of its sections: those are named only. It is false if the proxy cannot do
// with that, and has to get the whole.
func parts(ctx context.Context, c *runtime.Client, at, path string, data []byte) (done bool, err error) {
	if len(data) < manyParts {
		return false, nil
	}
	cut := config.Cut(data)
	send := func(lacks func(config.Sum) bool) (string, error) {
		return c.Do(ctx, "add config-parts "+at+" "+runtime.Quote(path), append(config.Manifest(cut, lacks), '\n'))
	}
	reply, err := send(nil)
	if rest, is := strings.CutPrefix(reply, "Unknown sections:\n"); is && err == nil {
		lacking := map[config.Sum]bool{}
		for line := range strings.Lines(rest) {
			if sum, err := config.ParseSum(strings.TrimSpace(line)); err == nil {
				lacking[sum] = true
			}
		}
		reply, err = send(func(sum config.Sum) bool { return lacking[sum] })
	}
	return reply == "" && err == nil, err
}

// load reads a file that the configuration names, or the files of a folder. What cannot be read is left out: the proxy
// then says what it misses.
func load(path, dir string) map[string][]byte {
	files := map[string][]byte{}
	for _, try := range []string{path, filepath.Join(dir, path)} {
		fi, err := os.Stat(try)
		if err != nil {
			continue
		}
		if fi.Mode().IsRegular() && fi.Size() <= maxBundle {
			if data, err := os.ReadFile(try); err == nil {
				files[path] = data
			}
			return files
		}
		if fi.IsDir() {
			entries, _ := os.ReadDir(try)
			for _, e := range entries {
				if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Size() <= maxBundle {
					if data, err := os.ReadFile(filepath.Join(try, e.Name())); err == nil {
						files[filepath.Join(path, e.Name())] = data
					}
				}
			}
			return files
		}
	}
	return files
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// Send runs Runtime commands for the API's run-time resources, with no change of the file.
func (l *Ladder) Send(ctx context.Context, c *runtime.Client, commands []resource.Command) error {
	l.change.Lock()
	defer l.change.Unlock()
	return l.send(ctx, c, commands)
}
