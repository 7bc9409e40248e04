package runtime

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Patterns is a kind of lists of patterns that the proxy holds, by the word that its commands have for it (chapter 9.3).
type Patterns string

// The kinds of lists.
const (
	Map Patterns = "map"
	ACL Patterns = "acl"
)

// A List is a list of patterns in the proxy.
type List struct {
	ID   string // its number, which is another one with the next configuration
	File string // as the configuration writes it; empty for patterns in a line
	Text string // who uses it
}

// ref names a list in a command.
func (l List) ref() string {
	if l.File == "" {
		return "#" + l.ID
	}
	return Quote(l.File)
}

// An Entry is an entry of a list.
type Entry struct {
	ID    string // the proxy's reference: 0x…
	Key   string
	Value string // of a map
}

var listLine = regexp.MustCompile(`^(\d+) \((.*?)\) (.*)$`)

// Lists are those of a kind.
func (c *Client) Lists(ctx context.Context, k Patterns) ([]List, error) {
	reply, err := c.Do(ctx, "show "+string(k), nil)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(reply, "# id ") {
		return nil, &Error{"show " + string(k), strings.TrimSpace(reply)}
	}
	lists := []List{}
	for line := range strings.Lines(reply) {
		if m := listLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			lists = append(lists, List{m[1], m[2], m[3]})
		}
	}
	return lists, nil
}

// Entries are those of a list, in its order.
func (c *Client) Entries(ctx context.Context, k Patterns, l List) ([]Entry, error) {
	reply, err := c.Do(ctx, "show "+string(k)+" "+l.ref(), nil)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for line := range strings.Lines(reply) {
		line = strings.TrimSuffix(line, "\n")
		id, rest, ok := strings.Cut(line, " ")
		if !ok || !strings.HasPrefix(id, "0x") {
			if strings.TrimSpace(line) == "" {
				continue
			}
			return nil, &Error{"show " + string(k), strings.TrimSpace(reply[:min(len(reply), 200)])}
		}
		e := Entry{ID: id, Key: rest}
		if k == Map {
			e.Key, e.Value, _ = strings.Cut(rest, " ")
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// silent runs commands that say nothing when they have done what they should.
func (c *Client) silent(ctx context.Context, name, text string, payload []byte) error {
	reply, err := c.do(ctx, text, payload)
	if err == nil && strings.TrimSpace(reply) != "" {
		err = &Error{name, strings.TrimSpace(reply)}
	}
	return err
}

// Add adds an entry to a list.
func (c *Client) Add(ctx context.Context, k Patterns, l List, e Entry) error {
	return c.add(ctx, k, l.ref(), []Entry{e})
}

// add adds entries to what ref names: a list, perhaps with a version in front. HAProxy takes no more at once than fits into
// its buffer.
func (c *Client) add(ctx context.Context, k Patterns, ref string, entries []Entry) error {
	name := "add " + string(k)
	var batch strings.Builder
	flush := func() (err error) {
		if batch.Len() == 0 {
			return nil
		}
		if k == Map {
			err = c.silent(ctx, name, name+" "+ref, []byte(batch.String()))
		} else {
			err = c.silent(ctx, name, batch.String(), nil)
		}
		batch.Reset()
		return err
	}
	for _, e := range entries {
		next := e.Key + " " + e.Value + "\n"
		if k == ACL {
			next = name + " " + ref + " " + Quote(e.Key)
			if batch.Len() > 0 {
				next = ";" + c.Prefix + next
			}
		}
		if batch.Len() > 0 && batch.Len()+len(next) > smallBuffer/2 {
			if err := flush(); err != nil {
				return err
			}
			next = strings.TrimPrefix(next, ";"+c.Prefix)
		}
		batch.WriteString(next)
	}
	return flush()
}

// entryRef names an entry in a command: by its reference, else by its key.
func (e Entry) ref() string {
	if e.ID != "" {
		return "#" + e.ID
	}
	return Quote(e.Key)
}

// Set changes the value of an entry of a map, or of all of its key when it has no reference.
func (c *Client) Set(ctx context.Context, l List, e Entry, value string) error {
	return c.silent(ctx, "set map", "set map "+l.ref()+" "+e.ref()+" "+Quote(value), nil)
}

// Delete takes an entry out, or all of its key when it has no reference.
func (c *Client) Delete(ctx context.Context, k Patterns, l List, e Entry) error {
	return c.silent(ctx, "del "+string(k), "del "+string(k)+" "+l.ref()+" "+e.ref(), nil)
}

// Clear takes all entries out.
func (c *Client) Clear(ctx context.Context, k Patterns, l List) error {
	return c.silent(ctx, "clear "+string(k), "clear "+string(k)+" "+l.ref(), nil)
}

// versions is held from the version of a list that is prepared to its commit: the later one of two would win whole.
var versions sync.Mutex

var prepared = regexp.MustCompile(`New version created: (\d+)`)

// Replace gives a list these entries and no others, at once.
func (c *Client) Replace(ctx context.Context, k Patterns, l List, entries []Entry) error {
	versions.Lock()
	defer versions.Unlock()
	reply, err := c.Do(ctx, "prepare "+string(k)+" "+l.ref(), nil)
	if err != nil {
		return err
	}
	m := prepared.FindStringSubmatch(reply)
	if m == nil {
		return &Error{"prepare " + string(k), strings.TrimSpace(reply)}
	}
	ref := fmt.Sprintf("@%s %s", m[1], l.ref())
	if err = c.add(ctx, k, ref, entries); err == nil {
		err = c.silent(ctx, "commit "+string(k), "commit "+string(k)+" "+ref, nil)
	}
	if err != nil { // nobody sees that version: its entries only take room
		c.Do(ctx, "clear "+string(k)+" "+ref, nil)
	}
	return err
}
