package master

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/forebay-lb/forebay/proxy/config"
	"github.com/forebay-lb/forebay/proxy/internal/engine/bundle"
	"github.com/forebay-lb/forebay/proxy/internal/process/worker"
)

// known is what the master knows of the files that its worker's configuration
// names.
type known struct {
	names  map[string]bool       // all that was looked for, there or not
	sums   map[string]bundle.Sum // of those that the worker has read
	wanted map[string]bool       // of which it needs more than the sum each time

	sections map[config.Sum]bool // that the worker had the last time
}

// Bounds of an update.
const (
	maxKnown = 20000 // names: more are an old list, which is made anew
	maxTurns = 20    // in which the worker asks for files that files name
)

// knownOf is what a bundle tells.
func knownOf(b *bundle.Bundle) *known {
	k := &known{names: make(map[string]bool), sums: make(map[string]bundle.Sum), wanted: make(map[string]bool)}
	for _, name := range b.Names() {
		k.names[name] = true
	}
	return k
}

// update has the worker apply what changed, without that the files are loaded
// here: sections that the worker has are named by their sums, and it checks the
// whole itself. It returns false if that did not succeed, whatever the reason, and
// nothing was changed then: whoever goes on loads the files and finds out.
func (m *Master) update(p *process) bool {
	k := m.known
	if k == nil || len(k.names) > maxKnown || m.o.Strict || m.o.Diag {
		return false
	}
	sources, err := config.ReadSources(bundle.Disk{}, m.o.Files)
	if err != nil || m.o.Settings.Files != worker.SourceNames(sourceNames(sources)) {
		return false
	}
	reply, err := k.send(p, sources, &bundle.Recorder{From: bundle.Disk{}})
	if err != nil {
		return false
	}
	m.tell(reply)
	m.o.Console.Notice("Applied in place by worker (%d)", p.pid)
	return true
}

// asked is a worker, by its Runtime commands.
type asked interface {
	ask(command string, payload []byte) (reply string, err error)
}

// send has a worker apply the sources, with what there is of the files that they
// name. An error tells that they are not in force.
func (k *known) send(p asked, sources []*config.File, rec *bundle.Recorder) (reply []string, err error) {
	id, err := prepare(p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.ask(fmt.Sprintf("abort config @%d", id), nil)
		}
	}()
	sections := make(map[config.Sum]bool, len(k.sections)+16)
	for _, s := range sources {
		if err := k.addParts(p, id, s, sections); err != nil {
			return nil, err
		}
	}
	for name := range k.names {
		rec.Look(name)
	}
	sent := make(map[string]bool)
	for range maxTurns {
		sums := make(map[string]bundle.Sum)
		err := addUpdate(p, id, rec.Update(func(name string, sum bundle.Sum) bool {
			sums[name] = sum
			same := sent[name] || k.sums[name] == sum && !k.wanted[name]
			sent[name] = sent[name] || !same
			return same
		}))
		if err != nil {
			return nil, err
		}
		text, err := p.ask(fmt.Sprintf("commit config @%d", id), nil)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		switch last := lines[len(lines)-1]; last {
		case "Success!":
			k.sums, k.sections = sums, sections
			return lines[:len(lines)-1], nil
		case "Files are missing":
			if !k.look(lines, rec, sent) {
				return nil, errors.New("the worker asks for files that it has")
			}
		default:
			return nil, errors.New(last)
		}
	}
	return nil, errors.New("the worker asks for more and more files")
}

// look reads the files that the worker asks for. It is false if there is none that
// it was not told of.
func (k *known) look(lines []string, rec *bundle.Recorder, sent map[string]bool) (more bool) {
	for _, l := range lines {
		quoted, is := strings.CutPrefix(l, "? ")
		name, err := strconv.Unquote(quoted)
		if !is || err != nil {
			continue
		}
		if !k.names[name] {
			k.names[name], more = true, true
			rec.Look(name)
		} else if !k.wanted[name] && !sent[name] {
			k.wanted[name], more = true, true
		}
	}
	return more
}

// tell shows what the worker says of a configuration that it has applied: warnings,
// and the changes.
func (m *Master) tell(lines []string) {
	for i := 0; i < len(lines); {
		text := lines[i]
		for i++; i < len(lines) && strings.HasPrefix(lines[i], " "); i++ {
			text += "\n" + lines[i] // of the same message
		}
		if rest, is := strings.CutPrefix(text, "["+config.Warning.String()+"] "); is {
			m.o.Console.Warn("%s", rest)
		} else if rest, is := strings.CutPrefix(text, "["+config.Notice.String()+"] "); is {
			m.o.Console.Notice("%s", rest)
		} else {
			m.o.Console.Notice("change: %s", text)
		}
	}
}

func sourceNames(sources []*config.File) (names []string) {
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return names
}

// prepare opens a version.
func prepare(p asked) (id int, err error) {
	reply, err := p.ask("prepare config", nil)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(reply, "New version created: %d", &id); err != nil {
		return 0, errors.New(firstLine(reply))
	}
	return id, nil
}

// add runs a command that has nothing to say when all is well.
func add(p asked, command string, payload []byte) error {
	reply, err := p.ask(command, payload)
	if err == nil && strings.TrimSpace(reply) != "" {
		err = errors.New(firstLine(reply))
	}
	return err
}

// addParts sends a source file: of sections that the worker has, the names only.
// It notes which there are.
func (k *known) addParts(p asked, id int, s *config.File, sections map[config.Sum]bool) error {
	parts := config.Cut(s.Bytes())
	for i := range parts {
		if parts[i].Plain {
			sections[parts[i].Sum()] = true
		}
	}
	command := fmt.Sprintf("add config-parts @%d %s", id, escape(s.Name))
	reply, err := p.ask(command, config.Manifest(parts, func(sum config.Sum) bool { return k.sections != nil && !k.sections[sum] }))
	if err != nil {
		return err
	}
	rest, is := strings.CutPrefix(reply, "Unknown sections:\n")
	if !is {
		if strings.TrimSpace(reply) != "" {
			return errors.New(firstLine(reply))
		}
		return nil
	}
	lacking := make(map[config.Sum]bool)
	for l := range strings.Lines(rest) {
		if sum, err := config.ParseSum(strings.TrimSpace(l)); err == nil {
			lacking[sum] = true
		}
	}
	return add(p, command, config.Manifest(parts, func(sum config.Sum) bool { return lacking[sum] }))
}

func addUpdate(p asked, id int, u *bundle.Update) error {
	var b bytes.Buffer
	if err := bundle.Encode(&b, u); err != nil {
		return err
	}
	return add(p, fmt.Sprintf("add config-update @%d", id), b.Bytes())
}
